"""DNS messages (RFC 1035)."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Sequence

A, CNAME, NULL, PTR, MX, TXT, AAAA, ANY = 1, 5, 10, 12, 15, 16, 28, 255
NOERROR, NXDOMAIN = 0, 3
_NAME_OF_QUESTION = b"\xc0\x0c"

Answer = tuple[int, int, bytes]
"""Type, time to live in seconds, and data."""


def name(text: str) -> bytes:
    """Encode a domain name as labels."""
    labels = [label.encode() for label in text.rstrip(".").split(".")]
    return b"".join(bytes((len(label),)) + label for label in labels) + b"\x00"


def query(identifier: int, text: str, kind: int = A) -> bytes:
    """Ask one question, with recursion desired."""
    return struct.pack("!HHHHHH", identifier, 0x0100, 1, 0, 0, 0) + name(text) + struct.pack("!HH", kind, 1)


def response(asked: bytes, answers: Sequence[Answer], code: int = NOERROR) -> bytes:
    """Answer a query; every answer is for the name asked for."""
    header = asked[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(answers), 0, 0)
    return header + asked[12:] + b"".join(map(_record, answers))


def _record(answer: Answer) -> bytes:
    kind, ttl_s, data = answer
    return _NAME_OF_QUESTION + struct.pack("!HHIH", kind, 1, ttl_s, len(data)) + data


def address(ip: str, ttl_s: int = 300) -> Answer:
    """Answer with an address record."""
    packed = ipaddress.ip_address(ip).packed
    return (A if len(packed) == 4 else AAAA), ttl_s, packed


def text(data: bytes, ttl_s: int = 60) -> Answer:
    """Answer with a TXT record, cut into strings of 255 bytes."""
    strings = [data[start : start + 255] for start in range(0, len(data), 255)]
    return TXT, ttl_s, b"".join(bytes((len(each),)) + each for each in strings)
