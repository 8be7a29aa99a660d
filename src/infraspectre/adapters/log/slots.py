"""Small values that change often: two slots of a sector each, of which one is always whole."""

from __future__ import annotations

import os
from pathlib import Path
from struct import Struct
from zlib import crc32

from infraspectre.adapters.log.disk import Disk

SLOT_BYTES = 512
"""Disks write so many bytes whole or not at all."""
PREFIX = Struct("<QH")
CHECKSUM = Struct("<I")
ROOM = SLOT_BYTES - PREFIX.size - CHECKSUM.size


class Slots:
    """Keeps a value in a file: each is written over the older of two."""

    def __init__(self, path: Path, disk: Disk) -> None:
        """Use a file, which is made by the first value."""
        self.path = path
        self._disk = disk
        self._file: int | None = None
        self._turn = 0

    def write(self, value: bytes, durable: bool) -> None:
        """Change the value; a durable one is on the disk at the end."""
        if self._file is None:
            self._open()
        turn = self._turn + 1
        data = (PREFIX.pack(turn, len(value)) + value).ljust(SLOT_BYTES - CHECKSUM.size, b"\x00")
        self._disk.write(self._file, data + CHECKSUM.pack(crc32(data)), turn % 2 * SLOT_BYTES)  # type: ignore[arg-type]
        if durable:
            self._disk.sync(self._file)  # type: ignore[arg-type]
        self._turn = turn

    def _open(self) -> None:
        is_new = not self.path.exists()
        self._turn = max((turn for turn, _ in values_of(self._content())), default=0)
        self._file = self._disk.open(self.path)
        if is_new:
            self._disk.sync_folder(self.path.parent)

    def read(self) -> bytes | None:
        """Return the value that was written last, None where no slot is whole."""
        return max(values_of(self._content()), default=(0, None))[1]

    def renew(self, value: bytes | None) -> None:
        """Write a value into both slots of a new file, or remove the file."""
        self.close()
        if value is None:
            self._disk.remove(self.path)
            return
        self._turn = 0
        self._file = self._disk.open(self.path)
        self._disk.truncate(self._file, 0)
        for durable in (False, True):
            self.write(value, durable)
        self.close()

    def damage(self) -> str | None:
        """Say what is wrong with the file, None if nothing is."""
        content = self._content()
        whole = len(values_of(content))
        empty = sum(not any(content[place : place + SLOT_BYTES]) for place in (0, SLOT_BYTES))
        return None if whole + empty == 2 and len(content) <= 2 * SLOT_BYTES else "a slot has a wrong checksum"

    def _content(self) -> bytes:
        try:
            file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return b""
        try:
            return os.read(file, 2 * SLOT_BYTES + 1)
        finally:
            os.close(file)

    def close(self) -> None:
        """Give the file back."""
        if self._file is not None:
            self._disk.close(self._file)
            self._file = None


def values_of(content: bytes) -> list[tuple[int, bytes]]:
    """Return the values of whole slots with their turns."""
    slots = (content[place : place + SLOT_BYTES] for place in (0, SLOT_BYTES))
    return [value for slot in slots if (value := value_of(slot)) is not None]


def value_of(slot: bytes) -> tuple[int, bytes] | None:
    """Return the turn and the value of a slot, None where it is not whole."""
    data, checksum = slot[: -CHECKSUM.size], slot[-CHECKSUM.size :]
    if len(slot) < SLOT_BYTES or CHECKSUM.pack(crc32(data)) != checksum:
        return None
    turn, length = PREFIX.unpack_from(data)
    return (turn, data[PREFIX.size : PREFIX.size + length]) if turn > 0 and length <= ROOM else None
