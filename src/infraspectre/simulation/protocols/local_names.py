"""Names on the local network: LLMNR (RFC 4795) and NetBIOS (RFC 1002), asked of everybody at once."""

from __future__ import annotations

import random
import struct

from infraspectre.simulation.protocols import dns

_IN, _NB = 1, 0x20
_LIFE_S = 30


def llmnr_query(rng: random.Random, text: str) -> bytes:
    """Ask everybody who has a name."""
    return struct.pack("!HHHHHH", rng.getrandbits(16), 0, 1, 0, 0, 0) + dns.name(text) + struct.pack("!HH", dns.A, _IN)


def llmnr_answer(asked: bytes, address: bytes) -> bytes:
    """Say that the name asked for is at an address."""
    record = b"\xc0\x0c" + struct.pack("!HHIH", dns.A, _IN, _LIFE_S, 4) + address
    return asked[:2] + struct.pack("!HHHHH", 0x8000, 1, 1, 0, 0) + asked[12:] + record


def _netbios(text: str) -> bytes:
    """Encode a name as 32 letters, two for each byte (RFC 1001, 14.1)."""
    padded = text.upper().encode()[:15].ljust(15) + b"\x00"
    letters = bytes(0x41 + nibble for byte in padded for nibble in (byte >> 4, byte & 15))
    return bytes((len(letters),)) + letters + b"\x00"


def netbios_query(rng: random.Random, text: str) -> bytes:
    """Ask everybody for a NetBIOS name (RFC 1002, 4.2.12)."""
    return (
        struct.pack("!HHHHHH", rng.getrandbits(16), 0x0110, 1, 0, 0, 0) + _netbios(text) + struct.pack("!HH", _NB, _IN)
    )


def netbios_answer(asked: bytes, address: bytes) -> bytes:
    """Say that a NetBIOS name is at an address (RFC 1002, 4.2.13)."""
    record = asked[12:-4] + struct.pack("!HHIHH", _NB, _IN, 165, 6, 0) + address
    return asked[:2] + struct.pack("!HHHHH", 0x8500, 0, 1, 0, 0) + record
