"""The spool of a sensor: batches on disk until the server has them, bounded, and exact about what it lost.

It is a folder of segments, each a chain of frames with checksums, and a file that says what of them is still wanted.
What was appended survives the end of the process at any point; once a second the system brings it to the disk.
At any time recovered + received = sent + queued + lost, in batches and in flows.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import struct
import time
from binascii import crc32
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from threading import RLock
from typing import BinaryIO, NamedTuple

import msgspec

from infraspectre.adapters.sensor_link.protocol import MOST_IN_FLIGHT
from infraspectre.errors import InputError, OutputError, UsageError
from infraspectre.files import make_folder, write_whole, writing_to

MAGIC = b"ISS\x01"
SEGMENT_HEAD = struct.Struct(">4s16sI")
"""Magic, the epoch, and a checksum of both."""
FRAME_HEAD = struct.Struct(">IQIII")
"""Bytes, sequence and rows of a batch, a checksum of it, and one of all this with the epoch before it."""
LEAST_BYTES = 1 << 20
MOST_SEGMENT_BYTES = 16 << 20
SEGMENTS = 16
"""A full spool has so many at the least: shedding sheds little more than it must."""
SYNC_S = 1.0
LOCK, STATE, SUFFIX = "lock", "state.json", ".spool"
SHED, REFUSED, DAMAGED, DISK = "shed", "refused", "damaged", "disk"
"""Why flows are lost: there was no room, the server never takes them, they were changed on disk, writing failed."""


class Place(NamedTuple):
    """Says where a frame begins; places are ordered as batches are."""

    segment: int
    offset: int


class Frame(NamedTuple):
    """Is what a frame says of its batch."""

    size: int
    sequence: int
    rows: int
    digest: int


class Held:
    """Is a batch in the spool, and what was lost directly before it."""

    __slots__ = ("epoch", "frame", "lost", "place")

    def __init__(self, place: Place, epoch: str, frame: Frame) -> None:
        """Remember where a batch lies, and its number."""
        self.place = place
        self.epoch = epoch
        self.frame = frame
        self.lost: Counter[str] = Counter()


class State(msgspec.Struct, frozen=True):
    """Says what of the segments is still wanted."""

    begin: tuple[int, int] = (0, 0)
    """All from this place on."""
    held: list[tuple[int, int]] = []
    """What is wanted before it."""
    lost: list[tuple[int, int, dict[str, int]]] = []
    """Flows lost directly before what begins at a place, by reason."""
    carried: dict[str, int] = {}
    """Flows lost before what comes next, by reason."""


class Tally(msgspec.Struct):
    """Counts batches and the flows in them."""

    batches: int = 0
    flows: int = 0

    def add(self, flows: int) -> None:
        """Count a batch."""
        self.batches += 1
        self.flows += flows


class SpoolAccount(msgspec.Struct):
    """Says what became of all batches since the spool was opened."""

    recovered: Tally
    received: Tally
    sent: Tally
    queued: Tally
    lost: dict[str, Tally]
    bytes: int


class Segment:
    """Is a file of frames; `live` counts those that are still wanted."""

    def __init__(self, path: Path, epoch: str, size: int) -> None:
        """Remember a file."""
        self.path = path
        self.epoch = epoch
        self.size = size
        self.live = 0


class Spool:
    """Keeps batches in a folder until they are acknowledged; several threads may use it."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        """Open the folder and begin an epoch; raises UsageError where another process uses it, and OutputError.

        When more than so many bytes would lie there, the oldest batches are shed, except those that may be under way.
        """
        if most_bytes < LEAST_BYTES:
            raise UsageError(
                f"a spool of {most_bytes} bytes is too small", remedy=f"give it {LEAST_BYTES} at the least"
            )
        self.epoch = secrets.token_hex(8)
        self.on_append: Callable[[], None] = lambda: None
        """Is called after each `append`."""
        self._folder = make_folder(folder)
        self._lock_file = locked(folder / LOCK)
        self._most_bytes = most_bytes
        self._segment_bytes = min(most_bytes // SEGMENTS, MOST_SEGMENT_BYTES)
        self._guard = RLock()
        self._held: deque[Held] = deque()
        self._lossy: dict[Place, Held] = {}
        self._carried: Counter[str] = Counter()
        self._segments: dict[int, Segment] = {}
        self._flying = 0
        self._unsure = 0
        self._next = 0
        self._last_number = 0
        self._file: int | None = None
        self._synced_at = time.monotonic()
        self._recovered, self._received, self._sent, self._queued = Tally(), Tally(), Tally(), Tally()
        self._lost: dict[str, Tally] = {}
        self._recover()

    def append(self, payload: bytes, rows: int) -> None:
        """Keep a batch, or count it as lost where that is impossible."""
        with self._guard:
            self._received.add(rows)
            frame = Frame(len(payload), self._next, rows, crc32(payload))
            self._next += 1
            reason = self._keep(frame, payload)
            if reason is not None:
                self._count_lost(reason, rows)
                self._carried[reason] += rows
            if reason is not None or self._held[-1].lost:
                self._save()
        self.on_append()

    def take(self) -> tuple[Held, bytes] | None:
        """Return the oldest batch that is not under way, which it is from now on; None where there is none."""
        with self._guard:
            while self._flying < len(self._held):
                held = self._held[self._flying]
                payload = self._read(held)
                if payload is not None:
                    self._flying += 1
                    return held, payload
                self._lose(self._flying, DAMAGED)
            return None

    def settle(self, known: Mapping[str, int]) -> None:
        """Forget all that the server has, by the number that it wants next in each epoch; nothing is under way."""
        with self._guard:
            self._flying = self._unsure = 0
            before = len(self._held)
            while self._held and self._held[0].frame.sequence < known.get(self._held[0].epoch, 0):
                self._finish()
            if len(self._held) < before:
                self._save()

    def acknowledge(self, epoch: str, sequence: int) -> int:
        """Forget a batch under way and all before it, and return how many; raises InputError for one that is not."""
        with self._guard:
            numbers = [(self._held[at].epoch, self._held[at].frame.sequence) for at in range(self._flying)]
            if (epoch, sequence) not in numbers:
                raise InputError("is not under way", field=f"{epoch}.{sequence}")
            count = numbers.index((epoch, sequence)) + 1
            for _ in range(count):
                self._finish()
            self._flying -= count
            self._save()
            return count

    def refuse(self, epoch: str, sequence: int) -> None:
        """Give up a batch that the server never takes; raises InputError unless it is the oldest under way."""
        with self._guard:
            if not self._flying or (self._held[0].epoch, self._held[0].frame.sequence) != (epoch, sequence):
                raise InputError("is not the oldest under way", field=f"{epoch}.{sequence}")
            self._flying -= 1
            self._lose(0, REFUSED)
            self._save()

    def rewind(self) -> None:
        """Take what is under way for what has to be sent again, unless the server turns out to have it."""
        with self._guard:
            self._unsure = max(self._unsure, self._flying)
            self._flying = 0

    def first(self) -> tuple[str, int]:
        """Return epoch and number of the oldest batch, or of the next one."""
        with self._guard:
            return (self._held[0].epoch, self._held[0].frame.sequence) if self._held else (self.epoch, self._next)

    def account(self) -> SpoolAccount:
        """Return what became of all batches."""
        with self._guard:
            recovered, received, sent, queued = map(copied, (self._recovered, self._received, self._sent, self._queued))
            lost = {reason: copied(tally) for reason, tally in self._lost.items()}
            return SpoolAccount(recovered, received, sent, queued, lost, self._total_bytes())

    def close(self) -> None:
        """Bring everything to the disk and leave the folder."""
        with self._guard:
            self._save()
            self._end_segment()
            os.close(self._lock_file)

    def _keep(self, frame: Frame, payload: bytes) -> str | None:
        """Write a batch and return None, or why that is impossible."""
        size = FRAME_HEAD.size + len(payload)
        if not self._make_room(size):
            return SHED
        while True:
            try:
                place = self._write(frame, payload)
                break
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not self._shed_segment():
                    return DISK
        self._hold(Held(place, self.epoch, frame))
        return None

    def _hold(self, held: Held) -> None:
        self._held.append(held)
        self._segments[held.place.segment].live += 1
        self._queued.add(held.frame.rows)
        if self._carried:
            self._blame(held, self._carried)
            self._carried = Counter()

    def _blame(self, held: Held, lost: Counter[str]) -> None:
        """Note what was lost directly before a batch."""
        held.lost += lost
        self._lossy[held.place] = held

    def _make_room(self, size: int) -> bool:
        """Shed until so many more bytes have room, and tell whether they have."""
        room = self._most_bytes - size - SEGMENT_HEAD.size
        shed = False
        while self._total_bytes() > room and self._shed():
            shed = True
        if shed:
            self._save()
        return self._total_bytes() <= room

    def _shed_segment(self) -> bool:
        """Shed until a segment is gone, and tell whether one is."""
        before = self._total_bytes()
        while self._total_bytes() == before and self._shed():
            pass
        self._save()
        return self._total_bytes() < before

    def _shed(self) -> bool:
        """Shed the oldest batch that cannot be under way, and tell whether there was one."""
        pinned = max(self._flying, self._unsure)
        if pinned >= len(self._held):
            return False
        self._lose(pinned, SHED)
        return True

    def _lose(self, at: int, reason: str) -> None:
        """Give up a batch; what comes after it says so."""
        victim = self._held[at]
        del self._held[at]
        lost = victim.lost + Counter({reason: victim.frame.rows})
        if at < len(self._held):
            self._blame(self._held[at], lost)
        else:
            self._carried += lost
        self._count_lost(reason, victim.frame.rows)
        self._release(victim)

    def _count_lost(self, reason: str, rows: int) -> None:
        self._lost.setdefault(reason, Tally()).add(rows)

    def _finish(self) -> None:
        """Forget the oldest batch: the server has it."""
        held = self._held.popleft()
        self._sent.add(held.frame.rows)
        self._release(held)

    def _release(self, held: Held) -> None:
        """Let go of a batch, and of its segment once nothing in it is wanted."""
        self._queued.batches -= 1
        self._queued.flows -= held.frame.rows
        self._lossy.pop(held.place, None)
        self._unsure = min(self._unsure, len(self._held))
        segment = self._segments[held.place.segment]
        segment.live -= 1
        if segment.live == 0:
            self._remove(held.place.segment)

    def _remove(self, number: int) -> None:
        if self._file is not None and number == self._last_number:
            os.close(self._file)
            self._file = None
        self._segments.pop(number).path.unlink(missing_ok=True)

    def _total_bytes(self) -> int:
        return sum(segment.size for segment in self._segments.values())

    def _write(self, frame: Frame, payload: bytes) -> Place:
        """Append a frame; after an error nothing of it remains."""
        file = self._file
        if file is None or self._segments[self._last_number].size >= self._segment_bytes:
            file = self._begin_segment()
        segment = self._segments[self._last_number]
        try:
            write_all(file, [frame_head(self.epoch, frame), payload], segment.size)
        except OSError:
            self._end_segment()
            with suppress(OSError):
                os.truncate(segment.path, segment.size)
            raise
        place = Place(self._last_number, segment.size)
        segment.size += FRAME_HEAD.size + frame.size
        self._sync()
        return place

    def _begin_segment(self) -> int:
        self._end_segment()
        self._last_number = number = self._last_number + 1
        path = self._folder / f"{number:012}{SUFFIX}"
        self._file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        self._segments[number] = Segment(path, self.epoch, SEGMENT_HEAD.size)
        try:
            write_all(self._file, [segment_head(self.epoch)], 0)
        except OSError:
            self._remove(number)
            raise
        return self._file

    def _end_segment(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                os.fdatasync(self._file)
            os.close(self._file)
            self._file = None

    def _sync(self) -> None:
        """Have the system bring what was written to the disk, once a second at the most."""
        now = time.monotonic()
        if self._file is not None and now - self._synced_at >= SYNC_S:
            self._synced_at = now
            with suppress(OSError):  # what was written can be read, and no more is promised before a power loss
                os.fdatasync(self._file)

    def _read(self, held: Held) -> bytes | None:
        """Return a batch, None if it was changed since it was written."""
        try:
            with self._segments[held.place.segment].path.open("rb") as file:
                file.seek(held.place.offset + FRAME_HEAD.size)
                payload = file.read(held.frame.size)
        except OSError:
            return None
        return payload if crc32(payload) == held.frame.digest and len(payload) == held.frame.size else None

    def _save(self) -> None:
        """Note what is still wanted; where that fails, the server will recognise what it is sent again."""
        before = min(max(self._flying, self._unsure), len(self._held))
        following = self._held[before].place if before < len(self._held) else self._end()
        state = State(
            following,
            [self._held[at].place for at in range(before)],
            [(*place, dict(held.lost)) for place, held in self._lossy.items()],
            dict(self._carried),
        )
        with suppress(OutputError):
            write_whole(self._folder / STATE, msgspec.json.encode(state))

    def _end(self) -> Place:
        """Return where the next frame may begin at the earliest."""
        if self._file is None:
            return Place(self._last_number + 1, 0)
        return Place(self._last_number, self._segments[self._last_number].size)

    def _recover(self) -> None:
        """Find what an earlier process left."""
        state = read_state(self._folder / STATE)
        paths = {int(path.stem): path for path in self._folder.glob(f"*{SUFFIX}") if path.stem.isdecimal()}
        self._last_number = max([*paths, state.begin[0] - 1, 0])
        wanted = {Place(*each) for each in state.held}
        lost = {Place(segment, offset): Counter(counts) for segment, offset, counts in state.lost}
        for number, path in sorted(paths.items()):
            epoch, size, frames = read_segment(path)
            self._segments[number] = Segment(path, epoch, size)
            for offset, frame in frames:
                place = Place(number, offset)
                if place >= state.begin or place in wanted:
                    self._recover_frame(place, frame, size, lost.get(place))
            if self._segments[number].live == 0:
                self._remove(number)
        self._carried += Counter(state.carried)
        self._unsure = min(MOST_IN_FLIGHT, len(self._held))

    def _recover_frame(self, place: Place, frame: Frame | None, size: int, lost: Counter[str] | None) -> None:
        """Hold a batch that an earlier process left, or count it as lost where it was changed or is cut off."""
        rows = frame.rows if frame else 0
        self._recovered.add(rows)
        if lost:
            self._carried += lost
        if frame is None or place.offset + FRAME_HEAD.size + frame.size > size:
            self._count_lost(DAMAGED, rows)
            self._carried[DAMAGED] += rows
        else:
            self._hold(Held(place, self._segments[place.segment].epoch, frame))


def copied(tally: Tally) -> Tally:
    """Return a tally that does not change any more."""
    return Tally(tally.batches, tally.flows)


def locked(path: Path) -> int:
    """Return a file that no other process can lock as long as it is open; raises UsageError, OutputError."""
    with writing_to(path):
        file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(file)
        raise UsageError("is used by another sensor", path=path.parent, remedy="give each sensor its own") from error
    return file


def read_state(path: Path) -> State:
    """Return what is still wanted; all of it where nobody knows, since the server recognises what it has."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=State)
    except (OSError, ValueError):
        return State()


def write_all(file: int, parts: list[bytes], offset: int) -> None:
    """Write bytes at a place; raises OSError unless all of them are written."""
    if os.pwritev(file, parts, offset) != sum(map(len, parts)):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def segment_head(epoch: str) -> bytes:
    """Return how a segment of an epoch begins."""
    name = epoch.encode()
    return SEGMENT_HEAD.pack(MAGIC, name, crc32(MAGIC + name))


def frame_head(epoch: str, frame: Frame) -> bytes:
    """Return what stands before a batch; its checksum holds for this epoch alone."""
    head = FRAME_HEAD.pack(*frame, 0)
    return FRAME_HEAD.pack(*frame, crc32(head, crc32(epoch.encode())))


def read_segment(path: Path) -> tuple[str, int, list[tuple[int, Frame | None]]]:
    """Return the epoch and the bytes of a segment, and where each of its frames begins.

    What cannot be read, with all that follows, is one frame that is None.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(SEGMENT_HEAD.size)
        epoch = head[len(MAGIC) : len(MAGIC) + 16].decode("ascii", "replace")
        if not epoch.isalnum() or head != segment_head(epoch):
            return "", size, [(0, None)] if head else []
        return epoch, size, list(read_frames(file, epoch, size))


def read_frames(file: BinaryIO, epoch: str, size: int) -> Iterator[tuple[int, Frame | None]]:
    """Yield where each frame of a segment begins, and what it says."""
    offset = SEGMENT_HEAD.size
    while offset < size:
        file.seek(offset)
        head = file.read(FRAME_HEAD.size)
        frame = Frame(*FRAME_HEAD.unpack(head)[:-1]) if len(head) == FRAME_HEAD.size else None
        if frame is None or head != frame_head(epoch, frame):
            yield offset, None
            return
        yield offset, frame
        offset += FRAME_HEAD.size + frame.size
