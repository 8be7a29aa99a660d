"""RDP's connection request (MS-RDPBCGR 2.2.1.1); what follows is TLS."""

from __future__ import annotations

import struct

_TLS_AND_CREDSSP, _CREDSSP = 3, 2


def _tpkt(payload: bytes) -> bytes:
    return struct.pack("!BBH", 3, 0, 4 + len(payload)) + payload


def connection_request(user: str) -> bytes:
    """Ask for a session as a user, offering TLS and CredSSP."""
    cookie = f"Cookie: mstshash={user}\r\n".encode()
    variable = cookie + struct.pack("<BBHI", 1, 0, 8, _TLS_AND_CREDSSP)
    return _tpkt(struct.pack("!BBHHB", 6 + len(variable), 0xE0, 0, 0, 0) + variable)


def connection_confirm() -> bytes:
    """Choose CredSSP."""
    variable = struct.pack("<BBHI", 2, 0x1F, 8, _CREDSSP)
    return _tpkt(struct.pack("!BBHHB", 6 + len(variable), 0xD0, 0, 0x1234, 0) + variable)
