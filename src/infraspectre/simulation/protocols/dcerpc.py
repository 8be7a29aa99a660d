"""DCE/RPC over named pipes (C706, chapter 12)."""

from __future__ import annotations

import struct
import uuid

SERVICE_CONTROL = uuid.UUID("367abb81-9844-35f1-ad32-98f038001003")
"""The service control manager (MS-SCMR)."""
_NDR = uuid.UUID("8a885d04-1ceb-11c9-9fe8-08002b104860")


def bind(interface: uuid.UUID, version: int = 2) -> bytes:
    """Ask for an interface."""
    syntaxes = interface.bytes_le + struct.pack("<I", version) + _NDR.bytes_le + struct.pack("<I", 2)
    body = struct.pack("<HHIB3xHBx", 4280, 4280, 0, 1, 0, 1) + syntaxes
    return struct.pack("<BBBBIHHI", 5, 0, 11, 3, 0x10, 16 + len(body), 0, 1) + body
