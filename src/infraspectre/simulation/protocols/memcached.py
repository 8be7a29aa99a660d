"""Memcached over UDP (protocol.txt, "UDP protocol"): a frame header, then text."""

from __future__ import annotations

import random
import struct


def answer(rng: random.Random, size: int) -> bytes:
    """Send one datagram of a long value, of about a size in bytes."""
    header = struct.pack("!HHHH", rng.getrandbits(16), rng.randrange(700), 700, 0)
    return header + f"VALUE a 0 {size * 700}\r\n".encode() + rng.randbytes(size - 40).hex()[: size - 40].encode()
