"""RTP packets (RFC 3550), as calls and conferences send them."""

from __future__ import annotations

import struct

SAMPLES = 160
"""Samples of a packet of 20 ms at 8 kHz."""


def packet(number: int, sound: bytes, source: int = 1) -> bytes:
    """Carry 20 ms of G.711 sound (payload type 0, RFC 3551)."""
    return struct.pack("!BBHII", 0x80, 0, number & 0xFFFF, number * SAMPLES & 0xFFFFFFFF, source) + sound
