"""Repair: what is broken goes into quarantine, a signed notice says what is lost, and all that is sound stays."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from hashlib import sha256
from itertools import chain, pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec

from infraspectre.adapters.log.disk import Disk
from infraspectre.adapters.log.frames import FIRST, Header, Kind, Place, Signer, notice
from infraspectre.adapters.log.layout import (
    CURSORS,
    EPOCH,
    EPOCH_BYTES,
    MARK,
    QUARANTINE,
    TOPICS,
    WRITER,
    epoch_in,
    epoch_line,
    topics_in,
)
from infraspectre.adapters.log.local import LocalLog, lock
from infraspectre.adapters.log.points import Point, cut, epoch_of_frames, find_end, parts_of
from infraspectre.adapters.log.retention import Dropped
from infraspectre.adapters.log.segments import Broken, Frame, Origin, Segment, Unfinished, segment_path, segments_in
from infraspectre.adapters.log.slots import Slots
from infraspectre.adapters.log.verifying import Lost, TopicCheck
from infraspectre.errors import InputError, OutputError
from infraspectre.files import writing_to


class Repair(msgspec.Struct):
    """Says what was done to a topic."""

    topic: str
    lost: list[Lost] = []
    missing: Dropped | None = None
    """What is gone before the first entry."""
    unfinished_bytes: int = 0
    """Of a write that a crash interrupted; they were cut off."""
    restored_epoch: bool = False
    cursors: list[str] = []
    """Consumers whose cursors were damaged and written anew, or begin anew where nothing was left."""

    @property
    def lost_entries(self) -> int:
        """Return how many entries cannot be read any more."""
        missing = self.missing.end - self.missing.first if self.missing else 0
        return missing + sum(each.end - each.first for each in self.lost)


class Edit(NamedTuple):
    """Puts other bytes in place of a part of a segment."""

    offset: int
    size: int
    data: bytes


def repair(log: LocalLog) -> list[Repair]:
    """Mend all topics of a log that nobody uses; raises OutputError where somebody writes."""
    return [mended(log, name) for name in topics_in(log.folder)]


def mended(log: LocalLog, name: str) -> Repair:
    """Mend one topic."""
    folder = log.folder / TOPICS / name
    held = lock(folder / WRITER, wait=False)
    if held is None:
        raise OutputError("is written by another process", path=folder, remedy="stop that one first")
    done = Repair(name)
    with writing_to(folder):
        try:
            TopicRepair(log, name, done).run()
        finally:
            log.disk.close(held)
    check = TopicCheck(log.folder, name, None, ())
    check.verdict()
    if gone := check.missing():
        done.missing = gone
        log.topic(name).note(Kind.DROPPED, msgspec.json.encode(gone))
    return done


class TopicRepair:
    """Mends the segments of one topic whose lock is held."""

    def __init__(self, log: LocalLog, topic: str, done: Repair) -> None:
        """Prepare to mend; what is done is noted."""
        self._log = log
        self._disk: Disk = log.disk
        self._folder = log.folder / TOPICS / topic
        self._signer = Signer(topic, log.key())
        self._done = done
        self._digest = self._first_digest()
        self._edits: dict[Path, list[Edit]] = defaultdict(list)

    def run(self) -> None:
        """Mend everything, and tell the durable end anew."""
        self._restore_epoch()
        mark = Slots(self._folder / MARK, self._disk)
        known = Point.of(mark.read())
        origin = Origin(self._done.topic, self._epoch, (self._signer.public,))
        if not segments_in(self._folder) and known is not None and known.end:
            self._disk.close(self._disk.open(segment_path(self._folder, 0)))
        parts = chain(parts_of(self._folder, origin, known), [(None, None)])
        for (file, part), (_, following) in pairwise(parts):
            if file is not None:
                self._mend(file.path, part, following.header if isinstance(following, Frame) else None)
        for path, edits in self._edits.items():
            self._rewrite(path, edits)
        recovery = find_end(self._folder, origin, None)
        if recovery.torn:
            self._done.unfinished_bytes = recovery.torn
            cut(self._folder, recovery, self._disk)
        mark.renew(recovery.point.packed())
        self._mend_cursors()

    def _mend_cursors(self) -> None:
        """Write damaged cursors anew; one that is lost begins anew, so that nothing is missed."""
        for path in sorted((self._log.folder / CURSORS / self._done.topic).glob("*")):
            slots = Slots(path, self._disk)
            if slots.damage():
                slots.renew(slots.read())
                self._done.cursors.append(path.name)

    def _first_digest(self) -> bytes:
        """Return what the first frame should name: the last frame of the segment dropped before it."""
        verdict = TopicCheck(self._log.folder, self._done.topic, None, ()).verdict()
        digests = {each.end: bytes.fromhex(each.digest) for each in verdict.dropped}
        return digests.get(verdict.begin, FIRST)

    def _restore_epoch(self) -> None:
        path = self._folder / EPOCH
        told = epoch_of_frames(self._folder)
        try:
            epoch = epoch_in(path)
        except (InputError, FileNotFoundError):
            epoch = ""
        if told not in (None, epoch):
            self._disk.write_whole(path, epoch_line(told or ""))
            self._done.restored_epoch = True
        self._epoch = bytes.fromhex(told or epoch) or bytes(EPOCH_BYTES)

    def _mend(self, path: Path, part: Frame | Broken | Unfinished | None, following: Header | None) -> None:
        if isinstance(part, Frame):
            self._digest = part.header.digest
        elif isinstance(part, Broken):
            self._edits[path].append(Edit(part.offset, part.size, self._notice(path, part, following)))

    def _notice(self, path: Path, part: Broken, following: Header | None) -> bytes:
        """Return the frame that stands in place of a broken part, whose bytes are kept."""
        with Segment(path) as file:
            broken = file.bytes_at(part.offset, part.size)
        kept = self._keep(f"{self._done.topic}-{path.stem}-{part.offset}", broken) if broken else ""
        end = part.first if part.end is None else part.end
        bridge = following.previous.hex() if following else ""
        lost = Lost(part.first, end, part.problem, kept, sha256(broken).hexdigest(), bridge)
        self._done.lost.append(lost)
        place = Place(self._epoch, part.first, self._log.clock.now(), self._digest)
        header, body = notice(Kind.LOST, place, msgspec.json.encode(lost), end - part.first)
        frame, self._digest = self._signer.frame(header, body)
        return frame

    def _keep(self, name: str, data: bytes) -> str:
        folder = self._log.folder / QUARANTINE
        self._disk.make_folder(folder)
        self._disk.write_whole(folder / name, data)
        return f"{QUARANTINE}/{name}"

    def _rewrite(self, path: Path, edits: list[Edit]) -> None:
        data = path.read_bytes()
        self._disk.write_whole(path, b"".join(pieces(data, edits)))


def pieces(data: bytes, edits: list[Edit]) -> Iterator[bytes]:
    """Yield the parts of edited bytes, in order."""
    place = 0
    for edit in edits:
        yield data[place : edit.offset]
        yield edit.data
        place = edit.offset + edit.size
    yield data[place:]
