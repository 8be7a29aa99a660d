"""Roots of Merkle trees over the entries of a frame, as in RFC 6962, section 2.1."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256


def root_of(data: Iterable[bytes]) -> bytes:
    """Return the root hash over entries; that of none is the hash of nothing."""
    level = [sha256(b"\x00" + each).digest() for each in data]
    while len(level) > 1:
        odd = level[-1:] if len(level) % 2 else []
        level = [sha256(b"\x01" + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=False)]
        level += odd
    return level[0] if level else sha256().digest()
