"""DCE/RPC over named pipes or TCP (C706, chapter 12)."""

from __future__ import annotations

import struct
import uuid

SERVICE_CONTROL = uuid.UUID("367abb81-9844-35f1-ad32-98f038001003")
"""The service control manager (MS-SCMR)."""
ACTIVATION = uuid.UUID("000001a0-0000-0000-c000-000000000046")
"""IRemoteSCMActivator, by which DCOM makes objects on other machines (MS-DCOM 1.9)."""
MANAGEMENT = uuid.UUID("f309ad18-d86a-11d0-a075-00c04fb68820")
"""IWbemLevel1Login, where WMI begins (MS-WMI 1.9)."""
_REQUEST, _RESPONSE, _BIND, _BIND_ACK = 0, 2, 11, 12
_NTLM, _PRIVACY, _PROOF_BYTES = 10, 6, 16
"""Authentication type, level and bytes of the proof of a sealed call."""
_NDR = uuid.UUID("8a885d04-1ceb-11c9-9fe8-08002b104860")


def bind(interface: uuid.UUID, version: int = 2) -> bytes:
    """Ask for an interface."""
    syntaxes = interface.bytes_le + struct.pack("<I", version) + _NDR.bytes_le + struct.pack("<I", 2)
    body = struct.pack("<HHIB3xHBx", 4280, 4280, 0, 1, 0, 1) + syntaxes
    return _packet(_BIND, body)


def bind_ack(port: int) -> bytes:
    """Accept an interface, and name the port as secondary address."""
    address = f"{port}\0".encode()
    start = struct.pack("<HHIH", 4280, 4280, 0x5F13, len(address)) + address
    results = struct.pack("<BxxxHH", 1, 0, 0) + _NDR.bytes_le + struct.pack("<I", 2)
    return _packet(_BIND_ACK, start + bytes(-(len(start) + 16) % 4) + results)


def request(call: int, operation: int, sealed: bytes) -> bytes:
    """Call an operation by its number; what it is told is sealed (MS-RPCE 2.2.2.11), with random bytes for proof."""
    return _packet(_REQUEST, struct.pack("<IHH", len(sealed), 0, operation), call, sealed)


def response(call: int, sealed: bytes) -> bytes:
    """Return from an operation; what it tells is sealed."""
    return _packet(_RESPONSE, struct.pack("<IHBx", len(sealed), 0, 0), call, sealed)


def _packet(kind: int, body: bytes, call: int = 1, sealed: bytes = b"") -> bytes:
    if sealed:
        padding = -len(sealed) % 4
        trailer = struct.pack("<BBBBI", _NTLM, _PRIVACY, padding, 0, 0)
        body += sealed + bytes(padding) + trailer + sealed[:_PROOF_BYTES].ljust(_PROOF_BYTES, b"\x01")
    size = 16 + len(body)
    return struct.pack("<BBBBIHHI", 5, 0, kind, 3, 0x10, size, _PROOF_BYTES if sealed else 0, call) + body
