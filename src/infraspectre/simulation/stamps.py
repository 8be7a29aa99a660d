"""Copies of a packet in bulk: numpy stamps new values into many copies and keeps their checksums right."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from infraspectre.simulation.packets import ETHERNET_BYTES, PROTOCOLS

Words = npt.NDArray[np.uint16]
"""Big-endian 16-bit words, as native numbers."""
Frames = npt.NDArray[np.uint8]
"""Equally long frames, one per row."""

IDENTIFICATION, SRC, DST = ETHERNET_BYTES + 4, ETHERNET_BYTES + 12, ETHERNET_BYTES + 16
SRC_PORT, DST_PORT, SEQUENCE, ACKNOWLEDGEMENT = (ETHERNET_BYTES + 20 + offset for offset in (0, 2, 4, 8))
"""Offsets of fields in an IPv4 packet without options inside Ethernet."""
_IP_CHECKSUM, _TRANSPORT = ETHERNET_BYTES + 10, ETHERNET_BYTES + 20
_PROTOCOL = ETHERNET_BYTES + 9
_CHECKSUM_OFFSETS = {PROTOCOLS["tcp"]: 16, PROTOCOLS["udp"]: 6, PROTOCOLS["icmp"]: 2}
_HAS_PSEUDO_HEADER = (PROTOCOLS["tcp"], PROTOCOLS["udp"])


def stamp(frame: bytes, copies: int, words: Mapping[int, Words]) -> Frames:
    """Copy an IPv4 frame, write words at even offsets, and update both checksums as in RFC 1624, equation 3."""
    frames = np.tile(np.frombuffer(frame, np.uint8), (copies, 1))
    protocol = frame[_PROTOCOL]
    ip_sum, transport_sum = np.zeros(copies, np.int64), np.zeros(copies, np.int64)
    for offset, values in words.items():
        change = values.astype(np.int64) - int.from_bytes(frame[offset : offset + 2], "big")
        if offset < _TRANSPORT:
            ip_sum += change
        if offset >= _TRANSPORT or (offset >= SRC and protocol in _HAS_PSEUDO_HEADER):
            transport_sum += change
        _write(frames, offset, values)
    _correct(frames, _IP_CHECKSUM, ip_sum)
    at = _TRANSPORT + _CHECKSUM_OFFSETS[protocol]
    _correct(frames, at, transport_sum, zero=0xFFFF if protocol == PROTOCOLS["udp"] else 0)
    return frames


def split(values: npt.NDArray[np.uint32], offset: int) -> dict[int, Words]:
    """Cut 32-bit numbers into the two words at an offset."""
    return {offset: (values >> 16).astype(np.uint16), offset + 2: (values & 0xFFFF).astype(np.uint16)}


def _write(frames: Frames, offset: int, values: npt.NDArray[np.integer]) -> None:
    frames[:, offset] = values >> 8
    frames[:, offset + 1] = values & 0xFF


def _correct(frames: Frames, offset: int, change: npt.NDArray[np.int64], zero: int = 0) -> None:
    """Subtract a change of the sum from a checksum in one's complement arithmetic."""
    old = frames[:, offset].astype(np.int64) << 8 | frames[:, offset + 1]
    total = (0xFFFF - old + change) % 0xFFFF
    checksum = 0xFFFF - np.where(total == 0, 0xFFFF, total)
    _write(frames, offset, np.where(checksum == 0, zero, checksum))
