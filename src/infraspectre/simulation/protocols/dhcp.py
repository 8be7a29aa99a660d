"""DHCP (RFC 2131, RFC 2132)."""

from __future__ import annotations

import struct

DISCOVER, OFFER, REQUEST, ACK = 1, 2, 3, 5
_COOKIE = b"\x63\x82\x53\x63"
LEASE_S = 86_400


def _option(code: int, data: bytes) -> bytes:
    return bytes((code, len(data))) + data


def message(
    kind: int, transaction: int, mac: bytes, client: bytes = bytes(4), offered: bytes = bytes(4),
    server: bytes = b"", name: str = "", requested: bytes = b"", router: bytes = b"",
) -> bytes:  # fmt: skip
    """Build a message; one with an offered address is a server's, which may name a router, for names too."""
    operation = 2 if kind in (OFFER, ACK) else 1
    header = struct.pack("!BBBBIHH", operation, 1, 6, 0, transaction, 0, 0) + client + offered + bytes(8)
    options = _option(53, bytes((kind,))) + (_option(54, server) if server else b"")
    options += _option(50, requested) if requested else b""
    if operation == 2:
        options += _option(51, LEASE_S.to_bytes(4, "big")) + _option(1, b"\xff\xff\xff\x00")
        options += _option(3, router) + _option(6, router) if router else b""
    else:
        options += _option(12, name.encode()) + _option(60, b"MSFT 5.0") + _option(55, bytes((1, 3, 6, 15, 31, 33, 43)))
    return (header + mac + bytes(10) + bytes(192) + _COOKIE + options + b"\xff").ljust(300, b"\x00")
