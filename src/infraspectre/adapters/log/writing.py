"""The writer of a topic: a thread that takes all that waits and makes it durable in one frame."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from threading import Condition, RLock, Thread
from typing import NamedTuple

from infraspectre.adapters.log.disk import Disk
from infraspectre.adapters.log.frames import (
    MOST_BODY_BYTES,
    MOST_ENTRIES,
    Header,
    Kind,
    Place,
    Signer,
    group,
    next_key,
    notice,
)
from infraspectre.adapters.log.points import Point
from infraspectre.adapters.log.segments import segment_path
from infraspectre.errors import InfraSpectreError, InputError, OutputError, OverloadError
from infraspectre.files import writing_to
from infraspectre.ports import Clock
from infraspectre.telemetry import LOG_APPEND, Timed

LENGTH_BYTES = 4


class Limits(NamedTuple):
    """Bounds what a topic takes, and says how long it keeps it."""

    segment_bytes: int = 1 << 26
    """A segment that reached this size is followed by another."""
    group_entries: int = 4_096
    group_bytes: int = 1 << 23
    """No more is put into a frame, unless it is one append."""
    waiting_entries: int = 200_000
    waiting_bytes: int = 1 << 26
    """What would wait beyond that is refused."""
    keep_s: float | None = None
    """Segments whose last entry is older are dropped; None keeps all."""
    keep_bytes: int | None = None
    """The oldest segments are dropped while all together are larger; None keeps all."""
    drop_unread: bool = False
    """Drop also what a consumer has not come to yet."""


class Site(NamedTuple):
    """Holds what a writer is given from outside."""

    epoch: bytes
    clock: Clock
    disk: Disk


class Waiting(NamedTuple):
    """Is one append that is not durable yet."""

    data: Sequence[bytes]
    size: int
    future: Future[int]


class Counts(NamedTuple):
    """Says what became of the entries that were to be appended: taken is durable, failed and waiting together."""

    taken: int = 0
    durable: int = 0
    failed: int = 0
    refused: int = 0
    waiting: int = 0


class Writer:
    """Appends frames behind a point, one at a time, each durable before the next."""

    def __init__(
        self, folder: Path, site: Site, signer: Signer, point: Point, limits: Limits, tell: Callable[[Point], None]
    ) -> None:
        """Write into the folder of a topic whose lock is held; `tell` is called with each durable end."""
        self.folder = folder
        self.disk = site.disk
        self.limits = limits
        self.point = point
        self._epoch = site.epoch
        self._clock = site.clock
        self._signer = signer
        self._tell = tell
        self._file: int | None = None
        self._turn = RLock()

    def write(self, make: Callable[[Place], tuple[Header, bytes]]) -> Point:
        """Write one frame, made for its place, and return the point behind it; raises OutputError.

        A failure leaves the topic as it was. After it the file is opened anew and cut off, since the system forgets
        what it could not write: a second sync would succeed without having written it
        (Rebello et al., Can Applications Recover from fsync Failures?, USENIX ATC 2020).
        """
        with self._turn, writing_to(segment_path(self.folder, self.point.segment)):
            try:
                file, start = self._opened()
                header, body = make(Place(self._epoch, start.end, self._clock.now(), start.digest))
                frame, digest = self._signer.frame(header, body)
                self.disk.write(file, frame, start.offset)
                self.disk.sync(file)
            except OSError:
                self.close()
                raise
            key = next_key(header._replace(key=self._signer.public), body)
            self.point = Point(header.end, start.segment, start.offset + len(frame), digest, key)
            self._tell(self.point)
            return self.point

    def hand_over(self, signer: Signer) -> None:
        """Let another key sign from here on; raises OutputError.

        The one before says so in a frame, and the new one takes over in another: only who has a key can bring it in.
        """
        with self._turn:
            if self.point.key != signer.public:
                self.write(lambda place: notice(Kind.KEY, place, signer.public))
            self._signer = signer
            self.write(lambda place: notice(Kind.KEY, place, signer.public))

    def now(self) -> int:
        """Return the time of the clock."""
        return self._clock.now()

    def _opened(self) -> tuple[int, Point]:
        """Return the file to write to and where to begin; a full segment is followed by a new one."""
        start = self.point
        if start.offset >= self.limits.segment_bytes and start.end > start.segment:
            self.close()
            start = start._replace(segment=start.end, offset=0)
        if self._file is None:
            self._file = self.disk.open(segment_path(self.folder, start.segment))
            self.disk.truncate(self._file, start.offset)
            self.disk.sync(self._file)
            self.disk.sync_folder(self.folder)
        return self._file, start

    def close(self) -> None:
        """Give the file back."""
        if self._file is not None:
            file, self._file = self._file, None
            self.disk.close(file)


class Queue:
    """Holds appends in order until the writer's thread has made them durable."""

    def __init__(self, writer: Writer, rolled: Callable[[], object]) -> None:
        """Start the thread; `rolled` is called in it after each new segment."""
        self.writer = writer
        self._rolled = rolled
        self._limits = writer.limits
        self._waiting: deque[Waiting] = deque()
        self._bytes = self._entries = 0
        self._counts = Counts()
        self._changed = Condition()
        self._closing = False
        self._thread = Thread(target=self._run, name="log writer", daemon=True)
        self._thread.start()

    def counts(self) -> Counts:
        """Return what became of entries so far."""
        with self._changed:
            return self._counts._replace(waiting=self._entries)

    def append(self, data: Sequence[bytes]) -> Future[int]:
        """Let entries wait for the writer; see `Topic.append`."""
        future: Future[int] = Future()
        size = sum(map(len, data)) + LENGTH_BYTES * len(data)
        with self._changed:
            if problem := self._problem(len(data), size):
                self._counts = self._counts._replace(refused=self._counts.refused + len(data))
            else:
                self._waiting.append(Waiting(data, size, future))
                self._bytes, self._entries = self._bytes + size, self._entries + len(data)
                self._counts = self._counts._replace(taken=self._counts.taken + len(data))
                self._changed.notify()
        if problem:
            future.set_exception(problem)
        return future

    def _problem(self, entries: int, size: int) -> InfraSpectreError | None:
        if self._closing:
            return OutputError("is closed", remedy="open the log again")
        if size > MOST_BODY_BYTES or entries > MOST_ENTRIES:
            return InputError(f"{entries:,} entries of {size:,} bytes are too much at once", remedy="append parts")
        full = self._entries + entries > self._limits.waiting_entries or self._bytes + size > self._limits.waiting_bytes
        if full and self._waiting:
            return OverloadError(f"{self._entries:,} entries wait to be written", remedy="try again later")
        return None

    def close(self) -> None:
        """Make durable what waits, and end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()
        self.writer.close()

    def _run(self) -> None:
        while taken := self._taken():
            segment = self.writer.point.segment
            self._write(taken)
            if self.writer.point.segment != segment:
                with suppress(InfraSpectreError):  # the next segment tries again
                    self._rolled()

    def _taken(self) -> list[Waiting]:
        """Return the next appends that fit into a frame, at least one; none once all is done."""
        taken: list[Waiting] = []
        entries = size = 0
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            while self._waiting:
                head = self._waiting[0]
                entries, size = entries + len(head.data), size + head.size
                if taken and (entries > self._limits.group_entries or size > self._limits.group_bytes):
                    break
                taken.append(self._waiting.popleft())
        return taken

    def _write(self, taken: list[Waiting]) -> None:
        data = [each for waiting in taken for each in waiting.data]
        try:
            with Timed(LOG_APPEND):
                end = self.writer.write(lambda place: group(place, data)).end if data else self.writer.point.end
        except Exception as error:  # noqa: BLE001  whatever it is, whoever waits is told, and the next append is tried
            self._done(taken, "failed")
            for waiting in taken:
                waiting.future.set_exception(error)
        else:
            self._done(taken, "durable")
            first = end - len(data)
            for waiting in taken:
                waiting.future.set_result(first)
                first += len(waiting.data)

    def _done(self, taken: list[Waiting], became: str) -> None:
        entries = sum(len(waiting.data) for waiting in taken)
        with self._changed:
            self._entries -= entries
            self._bytes -= sum(waiting.size for waiting in taken)
            self._counts = self._counts._replace(**{became: getattr(self._counts, became) + entries})
