"""ASN.1 values in distinguished encoding (ITU-T X.690), for certificates, SPNEGO and Kerberos."""

from __future__ import annotations

from datetime import UTC, datetime

INTEGER, BIT_STRING, OCTET_STRING, OID, UTF8, SEQUENCE, SET = 0x02, 0x03, 0x04, 0x06, 0x0C, 0x30, 0x31
UTC_TIME, GENERAL_TIME, GENERAL_STRING, ENUMERATED = 0x17, 0x18, 0x1B, 0x0A


def value(tag: int, *parts: bytes) -> bytes:
    """Encode a tag, the length and the content."""
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def sequence(*parts: bytes) -> bytes:
    """Encode a sequence."""
    return value(SEQUENCE, *parts)


def integer(number: int) -> bytes:
    """Encode a non-negative integer."""
    return value(INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def oid(text: str) -> bytes:
    """Encode an object identifier such as '2.5.4.3'."""
    first, second, *rest = map(int, text.split("."))
    return value(OID, bytes((first * 40 + second,)), *map(_base128, rest))


def _base128(number: int) -> bytes:
    octets = [number & 0x7F]
    while number := number >> 7:
        octets.append(0x80 | number & 0x7F)
    return bytes(reversed(octets))


def tagged(number: int, *parts: bytes) -> bytes:
    """Encode a constructed, context-specific value."""
    return value(0xA0 | number, *parts)


def application(number: int, *parts: bytes) -> bytes:
    """Encode a constructed, application-specific value."""
    return value(0x60 | number, *parts)


def general_string(text: str) -> bytes:
    """Encode a GeneralString."""
    return value(GENERAL_STRING, text.encode())


def utc_time(seconds: int) -> bytes:
    """Encode seconds since the epoch as UTCTime."""
    return value(UTC_TIME, datetime.fromtimestamp(seconds, UTC).strftime("%y%m%d%H%M%SZ").encode())


def general_time(seconds: int) -> bytes:
    """Encode seconds since the epoch as GeneralizedTime."""
    return value(GENERAL_TIME, datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%d%H%M%SZ").encode())
