"""Benign texts of shapes that public lists lack: hosts of content networks, lookups, and values that people type."""

from __future__ import annotations

import base64
import random
import string
from collections.abc import Callable, Sequence

Maker = Callable[[random.Random, Sequence[str]], str]


def made_texts(makers: Sequence[Maker], words: Sequence[str], *, count: int, seed: int) -> list[tuple[str, str]]:
    """Return pairs of the maker's name and a text: `count` of each maker, repeated ones left out."""
    result = []
    for maker in makers:
        draw = random.Random(f"{seed} {maker.__name__}")  # noqa: S311 - texts to learn from, not secrets
        made = dict.fromkeys(maker(draw, words) for _ in range(count))
        result += [(maker.__name__, text) for text in made]
    return result


def content_host(draw: random.Random, words: Sequence[str]) -> str:
    """Name a host of a content network: a short token or a number, and a place."""
    size = draw.choice((6, 8, 13, 14))
    token = "".join(draw.choices(string.ascii_lowercase + string.digits, k=size))
    shapes = (f"d{token}.cloudfront.net", f"e{draw.randrange(10**5)}.a.akamaiedge.net", f"{token}.azureedge.net")
    return draw.choice(
        (*shapes, f"r{draw.randrange(9)}---sn-{token}.googlevideo.com", f"{_number_host(draw)}.compute.net")
    )


def object_host(draw: random.Random, words: Sequence[str]) -> str:
    """Name a host after an object: an identifier in hexadecimal digits below a service."""
    token = draw.choice((draw.randbytes(16).hex(), draw.randbytes(20).hex(), _uuid(draw)))
    return f"{token}.{draw.choice(list(words))}.{draw.choice(list(words))}.com"


def address_lookup(draw: random.Random, words: Sequence[str]) -> str:
    """Look an address up, in a block list or in reverse."""
    if draw.random() < 0.3:
        return ".".join(draw.choices("0123456789abcdef", k=32)) + ".ip6.arpa"
    zone = draw.choice(("zen.spamhaus.org", "in-addr.arpa", "list.dnswl.org", "bl.spamcop.net", "dnsbl.example.net"))
    return ".".join(str(draw.randrange(256)) for _ in range(4)) + "." + zone


def service_host(draw: random.Random, words: Sequence[str]) -> str:
    """Name a service or a machine in words and numbers."""
    host = draw.choice(
        ("_dmarc", "_ldap._tcp.dc._msdcs", "selector1._domainkey", "www", "mail", "api", _number_host(draw))
    )
    parts = draw.choices(list(words), k=draw.randint(1, 3))
    return f"{host}.{draw.choice('.-').join(parts)}.{draw.choice(list(words))}.com"


def sentence(draw: random.Random, words: Sequence[str]) -> str:
    """Write a sentence, with the marks that people use."""
    said = draw.choices(
        [*words, "and", "or", "select", "from", "where", "union", "don't", "it's", "the", "a"], k=draw.randint(2, 14)
    )
    return draw.choice((" ", " ", ", ", " - ", " & ")).join(said) + draw.choice(
        ("", ".", "!", "?", "...", " :)", " (new)")
    )


def token(draw: random.Random, words: Sequence[str]) -> str:
    """Write a token: hexadecimal, base 64, UUID, or letters and digits."""
    raw = draw.randbytes(draw.randint(6, 48))
    mixed = "".join(draw.choices(string.ascii_letters + string.digits, k=draw.randint(6, 40)))
    return draw.choice(
        (raw.hex(), base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode(), _uuid(draw), mixed)
    )


def address(draw: random.Random, words: Sequence[str]) -> str:
    """Write an address of a page, a file or a mailbox."""
    first, second, third = draw.choices(list(words), k=3)
    number = draw.randrange(10_000)
    return draw.choice(
        (
            f"https://www.{first}.com/{second}/{third}?id={number}&lang=en#top",
            f"/{first}/{second}/{third}.{draw.choice(('html', 'png', 'css', 'php', 'js'))}",
            f"{first}.{second}@{third}.com",
            f"../{first}/{second}.css",
            f"C:\\{first}\\{second}.txt",
        )
    )


def value(draw: random.Random, words: Sequence[str]) -> str:
    """Write a number, a date, a price, a list or an object as programs do."""
    first, second = draw.choices(list(words), k=2)
    number = draw.randrange(100_000)
    return draw.choice(
        (
            str(number),
            f"-{number / 100:.2f}",
            f"20{draw.randrange(10, 30)}-0{draw.randrange(1, 9)}-1{draw.randrange(9)}T08:{draw.randrange(10, 60)}:00Z",
            f"${number / 100:.2f}",
            f"{first},{second},{number}",
            f'{{"{first}": {number}, "{second}": ["{first}", true]}}',
            f"[{number}, {number + 1}]",
            f"{first}={second};{second}={number}",
            f"({first} OR {second}) -{first}",
            f"{first} <= {number}",
            f"O'{first.title()}",
        )
    )


HOSTS: tuple[Maker, ...] = (content_host, object_host, address_lookup, service_host)
PARAMETERS: tuple[Maker, ...] = (sentence, token, address, value)


def _uuid(draw: random.Random) -> str:
    digits = draw.randbytes(16).hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _number_host(draw: random.Random) -> str:
    numbers = (str(draw.randrange(256)) for _ in range(draw.randint(1, 4)))
    return draw.choice(("host", "ec2", "ip", "node", "static")) + "-" + "-".join(numbers)
