"""DNS names as tunnels make them: data written in the characters that names may hold, cut into labels.

The encodings are those that the tools document: base 32, 64 and 128 (iodine), hexadecimal digits behind a counter
(dnscat2), and base 32 or 64 of files (DNSExfiltrator, dns2tcp).
"""

from __future__ import annotations

import base64
import random
import zlib
from collections.abc import Sequence

ENCODINGS = ("base 32", "base 64", "base 128", "hexadecimal", "plain hexadecimal", "short")


def tunnel_names(words: Sequence[str], *, count: int, seed: int) -> list[tuple[str, str]]:
    """Return pairs of an encoding and a name: `count` of each encoding, below domains that change."""
    result = []
    for encoding in ENCODINGS:
        draw = random.Random(f"{seed} {encoding}")  # noqa: S311 - names to learn from, not secrets
        for _ in range(count):
            domain = f"{draw.choice(list(words))}.{draw.choice(('com', 'net', 'tk', 'info'))}"
            below = draw.choice(("", "", "t.", "www.", f"{draw.choice(list(words))[:4]}."))
            result.append((encoding, f"{_data(draw, words, encoding)}.{below}{domain}"))
    return result


def _data(draw: random.Random, words: Sequence[str], encoding: str) -> str:
    if encoding == "short":
        head = draw.choice(("p", "r", "v", "z", "y", "paa", "0i"))
        return head + "".join(draw.choices("abcdefghijklmnopqrstuvwxyz012345", k=draw.randint(14, 30)))
    raw = _payload(draw, words)
    if encoding == "base 32":
        text = base64.b32encode(raw).decode().rstrip("=").lower()
    elif encoding == "base 64":
        text = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    elif encoding == "base 128":
        text = "".join(chr(byte) if byte < 128 and chr(byte).isalnum() else chr(0xBC + byte % 62) for byte in raw)
    else:
        text = raw.hex()
    if encoding == "hexadecimal":
        text = f"{draw.randrange(1 << 32):08x}{text}"
    width = draw.choice((30, 57, 60, 63))
    return ".".join(text[first : first + width] for first in range(0, min(len(text), 3 * width), width))


def _payload(draw: random.Random, words: Sequence[str]) -> bytes:
    """Return what is carried: random, compressed or plain bytes."""
    size = draw.randint(14, 110)
    said = " ".join(draw.choices(list(words), k=40)).encode()
    return draw.choice((draw.randbytes(size), zlib.compress(said)[:size], said[:size]))
