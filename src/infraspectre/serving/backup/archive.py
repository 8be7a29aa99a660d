"""The file of a backup: a tar archive, compressed by gzip, whose last members say what the others hold.

format.json    version of the format, of the program and of its records; time
NAME ...       each file of the data folder
manifest.json  name, size and SHA-256 of each of them
manifest.sig   Ed25519 public key and signature of the manifest, in hexadecimal
"""

from __future__ import annotations

import gzip
import hashlib
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from infraspectre.errors import InputError

FORMAT = 1
HEAD, MANIFEST, SIGNATURE = "format.json", "manifest.json", "manifest.sig"
CONTEXT = b"infraspectre backup 1\n"
"""Begins what is signed, so that a signature of something else is never one of a backup."""
LEVEL = 1
"""Most of a platform is compressed already."""
BLOCK = 512
CHUNK_BYTES = 1 << 20
MOST_NAME_BYTES = 1_024
MOST_PADDING_BYTES = 1 << 20
MOST_SAID_BYTES = 1 << 28
"""Bytes of the manifest at the most: more than a million files."""
SAFE = re.compile(r"\A(?!\.{1,2}(?:/|\Z))[^/\0\n\r]+(?:/(?!\.{1,2}(?:/|\Z))[^/\0\n\r]+)*\Z")
"""A relative path without steps up."""
Said = TypeVar("Said")


class Head(msgspec.Struct, frozen=True):
    """Says by what a backup was made."""

    format: int
    version: str
    """Of the program."""
    schema: int
    """Of its records."""
    at: str


class Sealed(msgspec.Struct, frozen=True):
    """Says what a file has to hold."""

    name: str
    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """Says what a backup holds."""

    head: Head
    files: list[Sealed]

    @property
    def bytes(self) -> int:
        """Return the size of all files together."""
        return sum(each.bytes for each in self.files)


class Signature(msgspec.Struct, frozen=True):
    """Is a signature of a manifest."""

    public_key: str
    signature: str


class Source(NamedTuple):
    """Is a file to put into a backup: so many bytes of it, under a name."""

    name: str
    path: Path
    size: int


class Writer:
    """Puts files into a backup, one after another."""

    def __init__(self, out: gzip.GzipFile, head: Head) -> None:
        """Begin with the head."""
        self._out, self._head = out, head
        self._files: list[Sealed] = []
        self._say(HEAD, msgspec.json.encode(head))

    def add(self, source: Source) -> None:
        """Copy a file; raises InputError where it cannot be read, or is shorter than it was."""
        self._begin(source.name, source.size)
        state, left = hashlib.sha256(), source.size
        with source.path.open("rb") as file:
            while left:
                data = file.read(min(left, CHUNK_BYTES))
                if not data:
                    raise InputError("became shorter while it was copied", path=source.path)
                state.update(data)
                self._out.write(data)
                left -= len(data)
        self._out.write(bytes(-source.size % BLOCK))
        self._files.append(Sealed(source.name, source.size, state.hexdigest()))

    def end(self, key: Ed25519PrivateKey) -> Manifest:
        """Say and sign what was put in."""
        manifest = Manifest(self._head, self._files)
        data = msgspec.json.encode(manifest)
        public = key.public_key().public_bytes_raw().hex()
        self._say(MANIFEST, data)
        self._say(SIGNATURE, msgspec.json.encode(Signature(public, key.sign(CONTEXT + data).hex())))
        self._out.write(bytes(2 * BLOCK))
        return manifest

    def _say(self, name: str, data: bytes) -> None:
        self._begin(name, len(data))
        self._out.write(data + bytes(-len(data) % BLOCK))

    def _begin(self, name: str, size: int) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, 0o600
        self._out.write(info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape"))


@contextmanager
def packed(file: IO[bytes]) -> Iterator[gzip.GzipFile]:
    """Give what compresses into a file; after a failure nothing more is written."""
    out = gzip.GzipFile("", mode="wb", fileobj=file, compresslevel=LEVEL, mtime=0)
    yield out
    out.close()


class Member(NamedTuple):
    """Is a file in a backup that is being read."""

    name: str
    size: int
    chunks: Iterator[bytes]
    """Its bytes; they are to be read before the next member."""


@contextmanager
def members(path: Path) -> Iterator[Iterator[Member]]:
    """Give the files of a backup in order; raises InputError for what is damaged, cut off or no backup."""
    try:
        with path.open("rb") as raw, gzip.GzipFile(fileobj=raw) as file:
            yield walk(file)
    except (OSError, EOFError, zlib.error, tarfile.TarError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
            raise InputError(f"cannot be read: {error.strerror}", path=path) from error
        raise InputError("is damaged, cut off or no backup", path=path, remedy="take another backup") from error
    except InputError as error:
        raise InputError(error.args[0], path=path, remedy="take another backup") from error


def walk(file: gzip.GzipFile) -> Iterator[Member]:
    """Yield the members of a tar archive (POSIX.1-1988, and GNU's long names), which have to be plain files."""
    long: str | None = None
    while (block := exactly(file, BLOCK)) != bytes(BLOCK):
        info = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        if info.type == tarfile.GNUTYPE_LONGNAME and 0 < info.size <= MOST_NAME_BYTES:
            long = exactly(file, info.size).rstrip(b"\0").decode()
            exactly(file, -info.size % BLOCK)
            continue
        if info.type != tarfile.REGTYPE or info.size < 0:
            raise InputError("holds something that is no plain file")
        yield Member(checked(long or info.name), info.size, chunks(file, info.size))
        exactly(file, -info.size % BLOCK)
        long = None
    if file.read(MOST_PADDING_BYTES).strip(b"\0") or file.read(1):  # its end is where gzip's checksum is looked at
        raise InputError("holds something behind its end")


def checked(name: str) -> str:
    """Return the name of a file; raises InputError for one that leaves the folder."""
    if not SAFE.match(name) or len(name.encode()) > MOST_NAME_BYTES:
        raise InputError(f"holds a file with a name that is not allowed: {name[:64]!r}")
    return name


def chunks(file: gzip.GzipFile, size: int) -> Iterator[bytes]:
    """Yield so many bytes."""
    while size:
        data = exactly(file, min(size, CHUNK_BYTES))
        size -= len(data)
        yield data


def exactly(file: gzip.GzipFile, size: int) -> bytes:
    """Read so many bytes; raises EOFError where there are fewer."""
    data = file.read(size)
    if len(data) < size:
        raise EOFError
    return data


def examine(path: Path, trusted: str | None = None) -> Manifest:
    """Read a whole backup, and return what it holds if all of it is as its signed manifest says; raises InputError.

    `trusted` is the public key, in hexadecimal, that must have signed it.
    """
    found: dict[str, Sealed] = {}
    said: dict[str, bytes] = {}
    with members(path) as each:
        for member in each:
            if member.name in found or member.name in said:
                raise InputError(f"holds {member.name[:64]!r} twice")
            if member.name in (HEAD, MANIFEST, SIGNATURE):
                said[member.name] = whole(member)
                check_head(said)
            else:
                found[member.name] = sealed(member)
    manifest = signed(path, said, trusted)
    if {file.name: file for file in manifest.files} != found:
        raise InputError("does not hold what its manifest says", path=path, remedy="take another backup")
    return manifest


def check_head(said: dict[str, bytes]) -> None:
    """Raise InputError unless a backup begins with a format that is known."""
    if decoded(said.get(HEAD, b""), Head).format > FORMAT:
        raise InputError("was made by a newer version of the program")


def whole(member: Member) -> bytes:
    """Return the bytes of a member that is read at once; raises InputError for one that is too large."""
    if member.size > MOST_SAID_BYTES:
        raise InputError(f"holds {member.name} of {member.size:,} bytes")
    return b"".join(member.chunks)


def sealed(member: Member, write: Callable[[bytes], Any] = len) -> Sealed:
    """Read a member, hand its bytes on, and return what it is."""
    state = hashlib.sha256()
    for data in member.chunks:
        state.update(data)
        write(data)
    return Sealed(member.name, member.size, state.hexdigest())


def signed(path: Path, said: dict[str, bytes], trusted: str | None) -> Manifest:
    """Return the manifest, its signature checked; raises InputError."""
    signature = decoded(said.get(SIGNATURE, b""), Signature, path)
    if trusted is not None and signature.public_key != trusted:
        raise InputError(
            "is not signed by the key that was given", path=path, remedy="use a backup of a trusted source"
        )
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(signature.public_key))
        key.verify(bytes.fromhex(signature.signature), CONTEXT + said.get(MANIFEST, b""))
    except (InvalidSignature, ValueError) as error:
        raise InputError("has a bad signature", path=path, remedy="take another backup") from error
    return decoded(said.get(MANIFEST, b""), Manifest, path)


def decoded(data: bytes, kind: type[Said], path: Path | None = None) -> Said:
    """Return what a member says; raises InputError."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError("is no backup, or not a whole one", path=path, remedy="take another backup") from error
