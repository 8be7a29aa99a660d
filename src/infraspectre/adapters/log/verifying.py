"""The offline verifier: finds what was changed, removed, put elsewhere or cut off, and says where."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from infraspectre.adapters.log.disk import Disk
from infraspectre.adapters.log.frames import FIRST, BrokenFrameError, Header, Kind, is_signed, next_key, root_in
from infraspectre.adapters.log.layout import CURSORS, EPOCH, EPOCH_BYTES, MARK, TOPICS, epoch_in, topics_in
from infraspectre.adapters.log.points import Point, epoch_of_frames, parts_of
from infraspectre.adapters.log.retention import Dropped
from infraspectre.adapters.log.segments import Broken, Frame, Origin, Unfinished, segment_path, segments_in
from infraspectre.adapters.log.slots import Slots
from infraspectre.errors import InputError

MOST_FINDINGS = 1_000
"""Of one topic; more are counted."""


class Head(msgspec.Struct, frozen=True):
    """Is the signed end of a topic, to be remembered elsewhere: a log that was cut off or forged does not have it."""

    topic: str
    epoch: str
    end: int
    at: int
    digest: str
    key: str
    signature: str
    signed: str
    """The bytes that are signed behind the topic's name, in hexadecimal."""


class Finding(msgspec.Struct, frozen=True):
    """Says what is wrong with a log, and where."""

    topic: str
    file: str
    offset: int
    first: int
    """The number of the first entry that is concerned."""
    end: int
    """The number of the entry behind those that are concerned."""
    problem: str


class Lost(msgspec.Struct, frozen=True):
    """Says which entries a repair could not save; stands in their place, signed."""

    first: int
    end: int
    problem: str
    kept: str
    """The file in quarantine with the broken bytes; empty where there were none."""
    digest: str
    """SHA-256 of those bytes, in hexadecimal."""
    bridge: str
    """The digest that the next frame names, in hexadecimal; empty where none followed."""


class Verdict(msgspec.Struct):
    """Says what a topic holds, and what is wrong with it."""

    topic: str
    epoch: str = ""
    begin: int = 0
    end: int = 0
    frames: int = 0
    keys: list[str] = []
    """Public keys that signed, in hexadecimal, the first one first."""
    head: Head | None = None
    findings: list[Finding] = []
    more_findings: int = 0
    lost: list[Lost] = []
    """What earlier repairs could not save."""
    dropped: list[Dropped] = []
    """Segments that were dropped, as far as the notices of it are still kept."""
    unfinished_bytes: int = 0
    """Of a write that is going on, or was when the machine failed."""

    @property
    def is_sound(self) -> bool:
        """Tell whether nothing is wrong; what was lost and reported by a repair does not count."""
        return not self.findings


def verify(
    folder: Path, trusted: str | None = None, heads: Sequence[Head] = (), names: Iterable[str] | None = None
) -> list[Verdict]:
    """Check all topics of a log, or the named ones; nothing is changed.

    `trusted` is the public key in hexadecimal by which the log must have been signed, by itself or handed over from or
    to it; `heads` are ends that were remembered. Raises InputError for a folder that is no log.
    """
    found = topics_in(folder)
    if not found:
        raise InputError("is no event log", path=folder, remedy="name the folder that holds the folder 'topics'")
    wanted = list(found if names is None else names)
    if missing := [name for name in {*wanted, *(head.topic for head in heads)} if name not in found]:
        raise InputError(f"has no topic {missing[0]}", path=folder, remedy=f"there are {', '.join(found)}")
    return [
        TopicCheck(folder, name, trusted, [head for head in heads if head.topic == name]).verdict() for name in wanted
    ]


class TopicCheck:
    """Walks through the frames of a topic and compares each with what the others say about it."""

    def __init__(self, folder: Path, topic: str, trusted: str | None, heads: Sequence[Head]) -> None:
        """Prepare to look into the folder of a log."""
        self._log = folder
        self._folder = folder / TOPICS / topic
        self._trusted = trusted
        self._heads = {(head.end, head.digest): head for head in heads}
        self._result = Verdict(topic)
        self._previous: bytes | None = None
        self._anchor: bytes | None = None
        self._key: bytes | None = None
        self._keys: dict[bytes, None] = {}
        self._repairers: list[tuple[Path, Frame]] = []
        self._last: Header | None = None

    def verdict(self) -> Verdict:
        """Check everything."""
        result, segments = self._result, segments_in(self._folder)
        self._check_small_files()
        mark = Point.of(Slots(self._folder / MARK, Disk()).read())
        result.begin = result.end = segments[0] if segments else 0
        for file, part in parts_of(self._folder, self._origin(), mark):
            if isinstance(part, Frame):
                self._check_frame(file.path, part, file.body(*part))
            elif isinstance(part, Unfinished):
                result.unfinished_bytes = part.size
            else:
                self._broken(file.path, part)
        if not segments and mark is not None and mark.end:
            self._found(segment_path(self._folder, 0), "is missing", 0, 0, mark.end)
        self._check_begin()
        self._check_keys()
        self._check_heads()
        result.head = None if self._last is None else head_of(result.topic, self._last)
        return result

    def _origin(self) -> Origin:
        return Origin(self._result.topic, bytes.fromhex(self._result.epoch), self._keys)

    def _found(
        self, path: Path, problem: str, offset: int = 0, first: int | None = None, end: int | None = None
    ) -> None:
        if len(self._result.findings) >= MOST_FINDINGS:
            self._result.more_findings += 1
            return
        first = self._result.end if first is None else first
        name = str(path.relative_to(self._log))
        self._result.findings.append(
            Finding(self._result.topic, name, offset, first, first if end is None else end, problem)
        )

    def _check_small_files(self) -> None:
        try:
            self._result.epoch = epoch_in(self._folder / EPOCH)
        except (InputError, FileNotFoundError):
            self._found(self._folder / EPOCH, "holds no epoch")
            self._result.epoch = epoch_of_frames(self._folder) or bytes(EPOCH_BYTES).hex()
        if not (self._folder / MARK).exists():
            self._found(self._folder / MARK, "is missing: nobody knows whether entries are missing at the end")
        for path in (self._folder / MARK, *sorted((self._log / CURSORS / self._result.topic).glob("*"))):
            if problem := Slots(path, Disk()).damage():
                self._found(path, problem)

    def _broken(self, path: Path, part: Broken) -> None:
        self._found(path, part.problem, part.offset, part.first, part.end)
        self._previous = None
        self._anchor = self._anchor or b"?"
        self._result.end = part.end or part.first

    def _check_frame(self, path: Path, frame: Frame, body: bytes) -> None:
        header = frame.header
        for problem in self._problems(header, body):
            self._found(path, problem, frame.offset, header.first, header.end)
        self._result.frames += 1
        self._result.end = header.end
        self._anchor = self._anchor or header.previous
        self._heads.pop((header.end, header.digest.hex()), None)
        self._previous, self._last = header.digest, header
        if header.kind is Kind.LOST:
            self._repairers.append((path, frame))
        else:
            self._keys[header.key] = None
            self._key = next_key(header, body)
        try:
            self._note(header.kind, body)
        except (msgspec.MsgspecError, ValueError):
            self._found(path, "has a notice that cannot be read", frame.offset, header.first, header.end)

    def _note(self, kind: Kind, body: bytes) -> None:
        """Remember what a frame says about the log."""
        if kind is Kind.DROPPED:
            self._result.dropped.append(msgspec.json.decode(body, type=Dropped))
        elif kind is Kind.LOST:
            lost = msgspec.json.decode(body, type=Lost)
            self._result.lost.append(lost)
            self._previous = bytes.fromhex(lost.bridge) or self._previous

    def _problems(self, header: Header, body: bytes) -> Iterable[str]:
        try:
            if root_in(header, body) != header.root:
                yield "entries were changed: they do not have the root that was signed"
        except BrokenFrameError as error:
            yield str(error)
        if self._previous is not None and header.previous != self._previous:
            yield "does not follow the frame before it: frames were changed, removed or moved"
        if not is_signed(header, self._result.topic):
            yield "has a wrong signature"
        if self._key is not None and header.key != self._key and header.kind is not Kind.LOST:
            yield "is signed by another key that nobody handed over to"

    def missing(self) -> Dropped | None:
        """Return what is missing before the first frame and was not dropped by the log itself."""
        begin, anchor = self._result.begin, self._anchor
        if anchor in (None, b"?") or (begin, anchor) == (0, FIRST):
            return None
        gone = Dropped(0, begin, (anchor or b"").hex(), 0, "missing")
        is_known = any((each.end, each.digest) == (gone.end, gone.digest) for each in self._result.dropped)
        return None if is_known else gone

    def _check_begin(self) -> None:
        if gone := self.missing():
            path = segment_path(self._folder, gone.end)
            self._found(path, "begins behind entries that nobody dropped: they are missing", 0, gone.first, gone.end)

    def _check_keys(self) -> None:
        result, trusted = self._result, self._trusted
        result.keys = [key.hex() for key in self._keys]
        for path, (offset, header) in self._repairers:
            if header.key.hex() not in (*result.keys, trusted):
                self._found(path, "tells of lost entries under an unknown key", offset, header.first, header.end)
        signers = {*result.keys, *(frame.header.key.hex() for _, frame in self._repairers)}
        if trusted is not None and result.frames and trusted not in signers:
            self._found(self._folder, "is not signed by the given key")

    def _check_heads(self) -> None:
        for end, digest in self._heads:
            dropped = end < self._result.begin or (self._anchor is not None and digest == self._anchor.hex())
            if not dropped:
                self._found(
                    self._folder, f"lacks the remembered end before entry {end}: it was cut off or changed", 0, 0, end
                )


def head_of(topic: str, header: Header) -> Head:
    """Return the end of a topic whose last frame has a header."""
    return Head(
        topic,
        header.epoch.hex(),
        header.end,
        header.at,
        header.digest.hex(),
        header.key.hex(),
        header.signature.hex(),
        header.signed.hex(),
    )
