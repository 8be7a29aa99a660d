"""NTP (RFC 5905)."""

from __future__ import annotations

import random
import struct

EPOCH_OFFSET_S = 2_208_988_800
"""Seconds from 1900 to 1970 (RFC 5905, figure 4)."""


def _time(seconds: float) -> bytes:
    return struct.pack("!II", int(seconds) + EPOCH_OFFSET_S & 0xFFFFFFFF, int(seconds % 1 * 2**32))


def request(now_s: float) -> bytes:
    """Ask for the time (version 4, mode 3)."""
    return struct.pack("!BBBb", 0x23, 0, 6, -24) + bytes(36) + _time(now_s)


def response(asked: bytes, now_s: float, rng: random.Random) -> bytes:
    """Tell the time as a server of stratum 2 (mode 4)."""
    header = struct.pack("!BBBbII", 0x24, 2, 6, -24, rng.randrange(1, 900), rng.randrange(1, 2000))
    return header + bytes((192, 0, 2, 123)) + _time(now_s - 400) + asked[40:48] + _time(now_s) + _time(now_s + 2e-5)


def monitor_list(rng: random.Random, items: int) -> bytes:
    """Answer a MONLIST request as old servers do (mode 7, 72 bytes for each client)."""
    return struct.pack("!BBBBHH", 0xD7, 0, 3, 42, items, 72) + rng.randbytes(72 * items)
