"""The event log on this machine's disk: one folder for each topic, one process that writes it, any number that read."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Condition, Lock

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from infraspectre.adapters.log.disk import Disk
from infraspectre.adapters.log.frames import FIRST, Kind, Signer, notice, public_bytes
from infraspectre.adapters.log.keys import log_key, rotating, waiting_key
from infraspectre.adapters.log.layout import (
    CURSORS,
    EPOCH,
    MARK,
    OPENING,
    TOPICS,
    WRITER,
    checked,
    made_epoch,
    topics_in,
)
from infraspectre.adapters.log.points import Point, check_epoch, cut, find_end
from infraspectre.adapters.log.reading import Reader
from infraspectre.adapters.log.retention import Dropped, retain
from infraspectre.adapters.log.segments import Origin, segments_in
from infraspectre.adapters.log.slots import Slots
from infraspectre.adapters.log.writing import Counts, Limits, Queue, Site, Writer
from infraspectre.errors import InfraSpectreError, InputError, OutputError
from infraspectre.files import writing_to
from infraspectre.ports import Clock
from infraspectre.records.events import Entry, Position

POLL_S = 0.002
"""A reader looks so often whether another process has written."""


class LocalLog:
    """Keeps topics in a folder."""

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        limits: Limits | None = None,
        key: Path | None = None,
        disk: Disk | None = None,
    ) -> None:
        """Use a folder, which is made by the first entry; `key` is a file with the private key, else it lies there."""
        self.folder = folder
        self.clock = clock
        self.limits = limits or Limits()
        self.disk = disk or Disk()
        self._key = key
        self._topics: dict[str, LocalTopic] = {}
        self._cursors: dict[tuple[str, str], Slots] = {}
        self._lock = Lock()
        self._moving = Lock()

    def topic(self, name: str) -> LocalTopic:
        """Return a topic, which is made by its first entry."""
        with self._lock:
            if name not in self._topics:
                self._topics[name] = LocalTopic(self, checked(name))
            return self._topics[name]

    def key(self) -> Ed25519PrivateKey:
        """Return the private key, which is made at its first use."""
        return log_key(self.folder, self._key)

    def signing_keys(self) -> list[Ed25519PrivateKey]:
        """Return the private keys that there are: the one that signs, and one that is about to take its place."""
        return [self.key(), *waiting_key(self.folder)]

    def rotate(self, new: Path | None = None) -> str:
        """Let a new key sign from here on in all topics, and return the public one in hexadecimal.

        It lies beside the log in place of the old one, unless both come from elsewhere. Raises OutputError where
        another process writes; whatever happens, it can be called again.
        """
        with rotating(self.folder, self.disk, new) as key:
            for name in topics_in(self.folder):
                self.topic(name).hand_over(key)
        return public_bytes(key).hex()

    def cursor(self, consumer: str, topic: str) -> int | None:
        """Return the number that a consumer wants next, None for one that has not begun in this epoch of the topic."""
        found = self.position(consumer, topic)
        return found.sequence if found is not None and found.epoch == self.topic(topic).epoch else None

    def position(self, consumer: str, topic: str) -> Position | None:
        """Return where a consumer was, also in an epoch of the topic that is over; None for one that never was."""
        value = self._slots(consumer, topic).read()
        if value is None:
            return None
        epoch, _, sequence = value.decode("ascii").partition(" ")
        return Position(epoch, int(sequence))

    def unread(self, topic: str) -> int | None:
        """Return the lowest number that a consumer of a topic wants next, None where there is no consumer."""
        consumers = [path.name for path in (self.folder / CURSORS / topic).glob("*")]
        wanted = [self.cursor(consumer, topic) for consumer in consumers]
        return min((sequence for sequence in wanted if sequence is not None), default=None)

    def move(self, consumer: str, topic: str, sequence: int) -> None:
        """Remember durably that a consumer is done with all before a number; raises OutputError."""
        slots = self._slots(consumer, topic)
        value = f"{self.topic(topic).epoch} {sequence}".encode()
        with writing_to(slots.path), self._moving:
            self.disk.make_folder(slots.path.parent)
            slots.write(value, durable=True)

    def _slots(self, consumer: str, topic: str) -> Slots:
        with self._lock:
            if (consumer, topic) not in self._cursors:
                path = self.folder / CURSORS / checked(topic) / checked(consumer)
                self._cursors[consumer, topic] = Slots(path, self.disk)
            return self._cursors[consumer, topic]

    def close(self) -> None:
        """Make durable what waits, and release what is held."""
        with self._lock:  # not while closing: what a writer does last may ask for cursors
            topics, cursors = [*self._topics.values()], [*self._cursors.values()]
        for topic in topics:
            topic.close()
        with self._moving:
            for cursor in cursors:
                cursor.close()


class LocalTopic:
    """Keeps the entries of a topic in segments of signed frames."""

    def __init__(self, log: LocalLog, name: str) -> None:
        """Belong to a log; nothing is made or looked at before it has to be."""
        self.folder = log.folder / TOPICS / name
        self.name = name
        self._log = log
        self._disk = log.disk
        self._mark = Slots(self.folder / MARK, log.disk)
        self._reader = Reader(self.folder)
        self._lock = Lock()
        self._moved = Condition()
        self._epoch = ""
        self._queue: Queue | None = None
        self._is_closed = False
        self._held: int | None = None
        self._point: Point | None = None
        self._seen = Point()

    @property
    def epoch(self) -> str:
        """Name the incarnation of the topic, which is made with it."""
        if not self._epoch:
            with self._lock:
                self._open()
        return self._epoch

    @property
    def begin(self) -> int:
        """Return the number of the first entry that is still kept."""
        return self._reader.begin()

    @property
    def end(self) -> int:
        """Return the number that the next entry will have; all before it are durable."""
        return self._end().end

    def counts(self) -> Counts:
        """Return what became of entries that this process was to append."""
        return self._queue.counts() if self._queue else Counts()

    def append(self, data: Sequence[bytes]) -> Future[int]:
        """Add entries, all or none; the future gives the number of the first once they are durable."""
        try:
            return self._writing().append(data)
        except InfraSpectreError as error:
            failed: Future[int] = Future()
            failed.set_exception(error)
            return failed

    def retain(self) -> list[Dropped]:
        """Drop segments that are too old or too large together, and return what was in them; raises OutputError."""
        return retain(self._writing().writer, self._unread)

    def note(self, kind: Kind, body: bytes) -> None:
        """Say something about the log itself in a frame without entries; raises OutputError."""
        self._writing().writer.write(lambda place: notice(kind, place, body))

    def hand_over(self, key: Ed25519PrivateKey) -> None:
        """Let another key sign from here on; raises OutputError."""
        self._writing().writer.hand_over(Signer(self.name, key))

    def read(self, start: int, most: int = 1_000, wait_s: float = 0.0) -> list[Entry]:
        """Return durable entries from a number on, waiting up to so long for the first; see `Topic.read`."""
        point = self._end()
        if start > point.end:
            raise InputError(f"ends before entry {start}", path=self.folder, remedy=f"read from {point.end} on")
        if start == point.end and wait_s > 0:
            point = self._wait(start, wait_s)
        if start >= point.end or most < 1:
            return []
        origin = Origin(self.name, bytes.fromhex(self._epoch), (point.key,))
        return self._reader.read(start, most, point, origin)

    def _end(self) -> Point:
        """Return the durable end: this process knows it if it writes, else it is told by the one that does."""
        if not self._epoch:
            self.epoch  # noqa: B018  what a crash left is looked at first
        if self._point is not None:
            return self._point
        told = Point.of(self._mark.read())
        if told is not None and told.end >= self._seen.end:
            self._seen = told
        return self._seen

    def _wait(self, start: int, wait_s: float) -> Point:
        deadline = time.monotonic() + wait_s
        with self._moved:
            while (point := self._end()).end <= start and (left := deadline - time.monotonic()) > 0:
                self._moved.wait(left if self._point else min(left, POLL_S))
        return point

    def _told(self, point: Point) -> None:
        """Tell how far the topic is durable; what other processes cannot be told now they are with the next point."""
        with suppress(OSError):
            self._mark.write(point.packed(), durable=False)
        with self._moved:
            self._point = point
            self._moved.notify_all()

    def _writing(self) -> Queue:
        if self._is_closed:
            raise OutputError("is closed", path=self.folder, remedy="open the log again")
        if self._queue is None:
            with self._lock:
                self._queue = self._queue or self._begun()
        return self._queue

    def _begun(self) -> Queue:
        """Take the lock, find the end, and start to write; raises OutputError where another process writes."""
        self._open(keep=True)
        if self._held is None:
            raise OutputError("is written by another process", path=self.folder, remedy="stop that one first")
        point = self._point or Point()
        signers = [Signer(self.name, key) for key in self._log.signing_keys()]
        signer = next((each for each in signers if point.key in (FIRST, each.public)), None)
        if signer is None:
            self._let_go()
            raise OutputError(
                "was signed by another key", path=self.folder, remedy="restore the key, or 'infraspectre log rotate'"
            )
        site = Site(bytes.fromhex(self._epoch), self._log.clock, self._disk)
        writer = Writer(self.folder, site, signer, point, self._log.limits, self._told)
        return Queue(writer, lambda: retain(writer, self._unread))

    def _unread(self) -> int | None:
        return self._log.unread(self.name)

    def _open(self, keep: bool = False) -> None:
        """Make the topic if it is none yet; if nobody writes it, find its end, cut off what a crash left, and tell it.

        A writer takes its lock while it holds the one for opening, so that whoever gets that one knows the end told to
        be found already, or finds it.
        """
        with writing_to(self.folder):
            self._disk.make_folder(self.folder)
            with locked(self.folder / OPENING):
                epoch = made_epoch(self.folder / EPOCH, self._disk)
                check_epoch(self.folder, epoch)
                self._held = self._held or lock(self.folder / WRITER, wait=False)
                try:
                    if self._held is not None:
                        self._recover(epoch)
                except BaseException:
                    self._let_go()
                    raise
                if not keep:
                    self._let_go()
                self._epoch = epoch

    def _recover(self, epoch: str) -> None:
        mark = Point.of(self._mark.read())
        keys = [] if mark or not segments_in(self.folder) else map(public_bytes, self._log.signing_keys())
        recovery = find_end(self.folder, Origin(self.name, bytes.fromhex(epoch), [*keys]), mark)
        if recovery.torn:
            cut(self.folder, recovery, self._disk)
        self._told(recovery.point)

    def _let_go(self) -> None:
        """Let another process write, and tell the end from now on."""
        self._point = None
        self._mark.close()
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def close(self) -> None:
        """Make durable what waits, and let others write."""
        with self._lock:
            self._is_closed = True
            if self._queue is not None:
                self._queue.close()
            self._let_go()


def lock(path: Path, wait: bool) -> int | None:
    """Take a lock that ends with the process; None if another has it."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(file)
        return None
    return file


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock while the block runs."""
    file = lock(path, wait=True)
    try:
        yield
    finally:
        if file is not None:
            os.close(file)
