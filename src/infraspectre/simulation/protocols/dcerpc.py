"""DCE/RPC over named pipes or TCP (C706, chapter 12)."""

from __future__ import annotations

import struct
import uuid

SERVICE_CONTROL = uuid.UUID("367abb81-9844-35f1-ad32-98f038001003")
"""The service control manager (MS-SCMR)."""
ENDPOINT_RESOLVER = uuid.UUID("99fcfec4-5260-101b-bbcb-00aa0021347a")
ACTIVATION = uuid.UUID("000001a0-0000-0000-c000-000000000046")
"""IOXIDResolver and IRemoteSCMActivator, by which DCOM makes objects on other machines (MS-DCOM 1.9)."""
MANAGEMENT = uuid.UUID("f309ad18-d86a-11d0-a075-00c04fb68820")
"""IWbemLevel1Login, where WMI begins (MS-WMI 1.9)."""
_REQUEST, _RESPONSE, _BIND, _BIND_ACK = 0, 2, 11, 12
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


def request(call: int, operation: int, stub: bytes) -> bytes:
    """Call an operation by its number."""
    return _packet(_REQUEST, struct.pack("<IHH", len(stub), 0, operation) + stub, call)


def response(call: int, stub: bytes) -> bytes:
    """Return from an operation."""
    return _packet(_RESPONSE, struct.pack("<IHBx", len(stub), 0, 0) + stub, call)


def _packet(kind: int, body: bytes, call: int = 1) -> bytes:
    return struct.pack("<BBBBIHHI", 5, 0, kind, 3, 0x10, 16 + len(body), 0, call) + body
