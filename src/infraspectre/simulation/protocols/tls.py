"""TLS 1.2 and 1.3 (RFC 5246, RFC 8446): true handshakes in clear, and records of random bytes for what is encrypted."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass

ALERT, HANDSHAKE, APPLICATION = 21, 22, 23
MAX_RECORD_BYTES = 16_384
SEAL_BYTES = 17
"""Content type and authentication tag added by TLS 1.3's ciphers."""
_CHANGE = b"\x14\x03\x03\x00\x01\x01"


@dataclass(frozen=True)
class Client:
    """Describes how a client library says hello."""

    name: str
    ciphers: tuple[int, ...]
    groups: tuple[int, ...] = (0x001D, 0x0017, 0x0018)
    signatures: tuple[int, ...] = (0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601)
    alpn: tuple[str, ...] = ("h2", "http/1.1")
    has_grease: bool = False
    is_tls13: bool = True


BROWSER = Client(
    "browser",
    (0x1301, 0x1302, 0x1303, 0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8, 0xC013, 0xC014, 0x9C, 0x9D, 0x2F, 0x35),
    has_grease=True,
)
SYSTEM = Client(
    "system library",
    (0x1302, 0x1301, 0xC02C, 0xC02B, 0xC030, 0xC02F, 0xC024, 0xC023, 0xC028, 0xC027, 0xC00A, 0xC009, 0x9D, 0x9C),
)
SCRIPT = Client(
    "script",
    (0x1302, 0x1303, 0x1301, 0xC02C, 0xC030, 0x9F, 0xCCA9, 0xCCA8, 0xCCAA, 0xC02B, 0xC02F, 0x9E),
    alpn=("http/1.1",),
)
IMPLANT = Client(
    "implant", (0xC02F, 0xC030, 0xC02B, 0xC02C, 0xCCA8, 0xCCA9, 0xC013, 0xC009, 0xC014, 0xC00A), alpn=(), is_tls13=False
)
_GREASE = tuple(0x0A0A + 0x1010 * n for n in range(16))
"""Reserved values of RFC 8701."""


def record(kind: int, payload: bytes, version: int = 0x0303) -> bytes:
    """Wrap a fragment in a record."""
    return struct.pack("!BHH", kind, version, len(payload)) + payload


def _message(kind: int, body: bytes) -> bytes:
    return bytes((kind,)) + len(body).to_bytes(3, "big") + body


def _block(data: bytes, width: int = 2) -> bytes:
    return len(data).to_bytes(width, "big") + data


def _words(numbers: tuple[int, ...]) -> bytes:
    return _block(b"".join(number.to_bytes(2, "big") for number in numbers))


def _extension(kind: int, data: bytes = b"") -> bytes:
    return kind.to_bytes(2, "big") + _block(data)


def _alpn(names: tuple[str, ...]) -> bytes:
    return _extension(16, _block(b"".join(_block(name.encode(), 1) for name in names))) if names else b""


def _common_extensions(client: Client, server_name: str | None) -> bytes:
    name = _extension(0, _block(b"\x00" + _block(server_name.encode()))) if server_name else b""
    ordinary = _extension(23) + _extension(0xFF01, b"\x00") + _extension(10, _words(client.groups))
    rest = _extension(11, b"\x01\x00") + _extension(35) + _alpn(client.alpn) + _extension(5, b"\x01\x00\x00\x00\x00")
    return name + ordinary + rest + _extension(13, _words(client.signatures))


def _modern_extensions(rng: random.Random, grease: tuple[int, ...]) -> bytes:
    share = b"\x00\x1d" + _block(rng.randbytes(32))
    versions = b"".join(version.to_bytes(2, "big") for version in (*grease, 0x0304, 0x0303))
    return _extension(51, _block(share)) + _extension(45, b"\x01\x01") + _extension(43, _block(versions, 1))


def client_hello(rng: random.Random, client: Client, server_name: str | None) -> bytes:
    """Say hello as a client library does, with the server's name unless it is addressed by number."""
    grease = (rng.choice(_GREASE),) if client.has_grease else ()
    extensions = b"".join(map(_extension, grease)) + _common_extensions(client, server_name)
    if client.is_tls13:
        extensions += _modern_extensions(rng, grease)
    session = _block(rng.randbytes(32), 1) if client.is_tls13 else b"\x00"
    start = b"\x03\x03" + rng.randbytes(32) + session
    body = start + _words(grease + client.ciphers) + b"\x01\x00" + _block(extensions)
    return record(HANDSHAKE, _message(1, body), 0x0301)


def sealed(rng: random.Random, size: int) -> bytes:
    """Make records that carry a number of encrypted application bytes."""
    full, rest = divmod(size, MAX_RECORD_BYTES)
    sizes = [MAX_RECORD_BYTES] * full + ([rest] if rest else [])
    return b"".join(record(APPLICATION, rng.randbytes(each + SEAL_BYTES)) for each in sizes)


def server_flight13(rng: random.Random, certificate: bytes) -> bytes:
    """Answer with TLS 1.3: everything after the hello is encrypted, of the size of a chain of two."""
    share = _extension(51, b"\x00\x1d" + _block(rng.randbytes(32)))
    body = b"\x03\x03" + rng.randbytes(32) + _block(rng.randbytes(32), 1) + b"\x13\x01\x00"
    hello = _message(2, body + _block(share + _extension(43, b"\x03\x04")))
    hidden = sealed(rng, 40) + sealed(rng, 2 * len(certificate) + 40) + sealed(rng, 110) + sealed(rng, 36)
    return record(HANDSHAKE, hello) + _CHANGE + hidden


def client_finish13(rng: random.Random) -> bytes:
    """Finish a TLS 1.3 handshake."""
    return _CHANGE + sealed(rng, 36)


def server_flight12(rng: random.Random, certificate: bytes, cipher: int = 0xC02B) -> bytes:
    """Answer with TLS 1.2 and the certificate in clear."""
    extensions = _extension(0xFF01, b"\x00") + _extension(23) + _extension(11, b"\x01\x00") + _extension(35)
    start = b"\x03\x03" + rng.randbytes(32) + _block(rng.randbytes(32), 1)
    hello = _message(2, start + cipher.to_bytes(2, "big") + b"\x00" + _block(extensions))
    chain = _message(11, _block(_block(certificate, 3), 3))
    key = b"\x03\x00\x1d" + _block(rng.randbytes(32), 1) + b"\x04\x03" + _block(rng.randbytes(71))
    return b"".join(record(HANDSHAKE, each) for each in (hello, chain, _message(12, key), _message(14, b"")))


def client_finish12(rng: random.Random) -> bytes:
    """Send the client's key and finish a TLS 1.2 handshake."""
    key = record(HANDSHAKE, _message(16, _block(rng.randbytes(32), 1)))
    return key + _CHANGE + record(HANDSHAKE, rng.randbytes(40))


def server_finish12(rng: random.Random) -> bytes:
    """Give a session ticket and finish a TLS 1.2 handshake."""
    ticket = _message(4, struct.pack("!I", 7200) + _block(rng.randbytes(192)))
    return record(HANDSHAKE, ticket) + _CHANGE + record(HANDSHAKE, rng.randbytes(40))


def close_notify(rng: random.Random, is_tls13: bool) -> bytes:
    """Say that nothing more will be sent."""
    return record(APPLICATION, rng.randbytes(2 + SEAL_BYTES)) if is_tls13 else record(ALERT, rng.randbytes(26))
