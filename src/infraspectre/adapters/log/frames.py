"""Frames, of which segments consist: a signed header and a body, as pure functions of bytes.

A frame holds one group of entries, or says something about the log: that another key signs from here on, that older
segments were dropped, or that entries are lost. Numbers are little-endian.

bytes  header                             bytes  header, continued
 0     magic                               48    checksum of the body (CRC-32)
 8     epoch of the topic                  52    root of the Merkle tree over the entries (RFC 6962)
16     kind                                84    digest of the frame before; zeros in the first
20     bytes of the body                  116    public key that signs (Ed25519)
24     entries                            148    signature over the topic's name and bytes 0 to 147
32     number of the first entry          212    checksum of bytes 0 to 211 (CRC-32)
40     time, nanoseconds since the epoch  216    body: the length of each entry in 4 bytes, then the entries
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import IntEnum
from hashlib import sha256
from itertools import accumulate, pairwise
from typing import NamedTuple
from zlib import crc32

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from infraspectre.adapters.log.merkle import root_of

MAGIC = b"ISLOG\x01\r\n"
SIGNED = struct.Struct("<8s8sIIQQqI32s32s32s")
SIGNATURE_BYTES = 64
CHECKSUM = struct.Struct("<I")
HEADER_BYTES = SIGNED.size + SIGNATURE_BYTES + CHECKSUM.size
MOST_BODY_BYTES = 1 << 28
MOST_ENTRIES = 1 << 20
"""Of one append."""
MOST_SEQUENCE = (1 << 63) - 1
FIRST = bytes(32)
"""Stands where the first frame of a topic would name the one before."""
CONTEXT = b"infraspectre log 1\n"
"""Begins what is signed, so that a signature of something else is never one of a frame."""


class Kind(IntEnum):
    """Says what a frame holds."""

    ENTRIES = 1
    KEY = 2
    """Its body is the public key that signs all frames behind it."""
    DROPPED = 3
    """Its body says which segment was removed for its age or size."""
    LOST = 4
    """Stands in place of entries that were damaged; its body says how."""


KINDS = {int(kind): kind for kind in Kind}


class BrokenFrameError(Exception):
    """Says why bytes are no frame."""


class Header(NamedTuple):
    """Holds what a frame says before its body."""

    epoch: bytes
    kind: Kind
    length: int
    entries: int
    first: int
    at: int
    checksum: int
    root: bytes
    previous: bytes
    key: bytes
    signature: bytes = b""

    @property
    def end(self) -> int:
        """Return the number of the entry behind the frame."""
        return self.first + self.entries

    @property
    def size(self) -> int:
        """Return the bytes of the whole frame."""
        return HEADER_BYTES + self.length

    @property
    def signed(self) -> bytes:
        """Return the bytes that are signed, beside the topic's name."""
        return SIGNED.pack(MAGIC, *self[:-1])

    @property
    def digest(self) -> bytes:
        """Return what the next frame has to name."""
        return sha256(self.signed).digest()


class Place(NamedTuple):
    """Says where and when a frame is made."""

    epoch: bytes
    first: int
    at: int
    previous: bytes

    def header(self, kind: Kind, entries: int, root: bytes) -> Header:
        """Return the header of a frame there; what depends on its body and on who signs is filled in later."""
        return Header(self.epoch, kind, 0, entries, self.first, self.at, 0, root, self.previous, FIRST)


class Signer:
    """Signs frames of a topic."""

    def __init__(self, topic: str, key: Ed25519PrivateKey) -> None:
        """Sign with a private key."""
        self._begin = CONTEXT + topic.encode() + b"\n"
        self._key = key
        self.public = public_bytes(key)

    def frame(self, header: Header, body: bytes) -> tuple[bytes, bytes]:
        """Return a frame and its digest; key, length and checksum are filled in."""
        header = header._replace(key=self.public, length=len(body), checksum=crc32(body))
        signed = header.signed
        head = signed + self._key.sign(self._begin + signed)
        return head + CHECKSUM.pack(crc32(head)) + body, sha256(signed).digest()


def public_bytes(key: Ed25519PrivateKey) -> bytes:
    """Return the public key of a private one, as frames hold it."""
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def is_signed(header: Header, topic: str) -> bool:
    """Tell whether the signature of a frame is that of its key."""
    try:
        key = Ed25519PublicKey.from_public_bytes(header.key)
        key.verify(header.signature, CONTEXT + topic.encode() + b"\n" + header.signed)
    except (InvalidSignature, ValueError):
        return False
    return True


def next_key(header: Header, body: bytes) -> bytes:
    """Return the public key that has to sign the frame behind one."""
    return body if header.kind is Kind.KEY else header.key


def group(place: Place, data: Sequence[bytes]) -> tuple[Header, bytes]:
    """Return header and body of a frame of entries, for `Signer.frame`."""
    body = struct.pack(f"<{len(data)}I", *map(len, data)) + b"".join(data)
    return place.header(Kind.ENTRIES, len(data), root_of(data)), body


def notice(kind: Kind, place: Place, body: bytes, entries: int = 0) -> tuple[Header, bytes]:
    """Return header and body of a frame that says something about the log, for `Signer.frame`."""
    return place.header(kind, entries, root_of([body])), body


def root_in(header: Header, body: bytes) -> bytes:
    """Return the root that a frame should have; raises BrokenFrameError."""
    return root_of(entries_of(header, body) if header.kind is Kind.ENTRIES else [body])


def header_of(data: bytes) -> Header:
    """Read a header; raises BrokenFrameError."""
    if len(data) < HEADER_BYTES:
        raise BrokenFrameError("ends within a header")
    if CHECKSUM.unpack_from(data, HEADER_BYTES - CHECKSUM.size)[0] != crc32(data[: HEADER_BYTES - CHECKSUM.size]):
        raise BrokenFrameError("a header has a wrong checksum")
    magic, epoch, kind, *rest = SIGNED.unpack_from(data)
    if magic != MAGIC or kind not in KINDS:
        raise BrokenFrameError("has a frame of an unknown kind")
    header = Header._make([epoch, KINDS[kind], *rest, data[SIGNED.size : SIGNED.size + SIGNATURE_BYTES]])
    if header.length > MOST_BODY_BYTES or header.end > MOST_SEQUENCE:
        raise BrokenFrameError("has a frame beyond all bounds")
    return header


def check_body(header: Header, body: bytes) -> None:
    """Raise BrokenFrameError unless a body is that of a header."""
    if len(body) < header.length:
        raise BrokenFrameError("ends within a frame")
    if crc32(body) != header.checksum:
        raise BrokenFrameError("a frame has a wrong checksum")


def entries_of(header: Header, body: bytes, skip: int = 0, most: int = MOST_ENTRIES) -> list[bytes]:
    """Return the entries in a body behind some that are skipped; raises BrokenFrameError."""
    table = 4 * header.entries
    if len(body) < table:
        raise BrokenFrameError("a frame has fewer entries than it says")
    lengths = struct.unpack_from(f"<{header.entries}I", body)
    if table + sum(lengths) != len(body):
        raise BrokenFrameError("a frame has entries of other lengths than it says")
    place = table + sum(lengths[:skip])
    ends = accumulate(lengths[skip : skip + most], initial=place)
    return [body[begin:end] for begin, end in pairwise(ends)]
