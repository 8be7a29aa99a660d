"""Captures as files: classic pcap with nanosecond time stamps."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

from infraspectre.files import whole_file

MAGIC_NANOSECONDS = 0xA1B23C4D
LINKTYPE_ETHERNET = 1
SNAP_LENGTH = 262_144
RECORD_BYTES = 16

HEADER = struct.pack("<IHHiIII", MAGIC_NANOSECONDS, 2, 4, 0, 0, SNAP_LENGTH, LINKTYPE_ETHERNET)
"""File header of draft-ietf-opsawg-pcap, section 4, little-endian."""


def write_pcap(path: Path, packets: Iterable[tuple[int, bytes]]) -> int:
    """Write frames with their times in nanoseconds since the epoch, in the order given; return how many."""
    count = 0
    with whole_file(path) as file:
        file.write(HEADER)
        for at, frame in packets:
            seconds, nanoseconds = divmod(at, 1_000_000_000)
            file.write(struct.pack("<IIII", seconds, nanoseconds, len(frame), len(frame)) + frame)
            count += 1
    return count
