"""The reader of a topic: durable entries from a number on."""

from __future__ import annotations

from bisect import bisect_right
from pathlib import Path
from threading import Lock

from infraspectre.adapters.log.frames import BrokenFrameError, Header, Kind, entries_of
from infraspectre.adapters.log.points import Point
from infraspectre.adapters.log.segments import Broken, Frame, Index, Origin, Segment, segment_path, segments_in
from infraspectre.records.events import Entry, GapError

MOST_INDEXES = 64


class Reader:
    """Reads entries of a topic up to its durable end."""

    def __init__(self, folder: Path) -> None:
        """Read in the folder of a topic."""
        self._folder = folder
        self._segments: list[int] = []
        self._indexes: dict[int, Index] = {}
        self._last: tuple[Header | None, bytes] = (None, b"")
        self._lock = Lock()

    def begin(self) -> int:
        """Return the number of the first entry that is still kept."""
        return next(iter(segments_in(self._folder)), 0)

    def read(self, start: int, most: int, point: Point, origin: Origin) -> list[Entry]:
        """Return entries of one segment that lie before a point, at least one; raises GapError."""
        first, end, limit = self._segment_of(start, point)
        path = segment_path(self._folder, first)
        try:
            with Segment(path, limit) as file:
                return self._entries(file, origin, (first, end), start, most)
        except FileNotFoundError:
            self._segments = []
            after = max(self.begin(), end)
            raise GapError("is not kept any more", after, path=path, field=f"entry {start}") from None

    def _segment_of(self, start: int, point: Point) -> tuple[int, int, int | None]:
        """Return the first and the last number of the segment that holds an entry, and how far it may be read."""
        with self._lock:
            if point.segment not in self._segments:
                self._segments = [each for each in segments_in(self._folder) if each <= point.segment]
            place = bisect_right(self._segments, start) - 1
            known = self._segments[place : place + 2] if place >= 0 else []
        if not known:
            raise GapError("is not kept any more", self.begin(), path=self._folder, field=f"entry {start}")
        return (known[0], known[1], None) if len(known) > 1 else (known[0], point.end, point.offset)

    def _entries(self, file: Segment, origin: Origin, bounds: tuple[int, int], start: int, most: int) -> list[Entry]:
        (first, end), found = bounds, list[Entry]()
        with self._lock:
            index = self._index(first)
            expected, place = index.near(start)
        for part in file.walk(place, expected, origin, end, bodies=False):
            wanted = start + len(found)
            try:
                found += self._taken(file, part, wanted, most - len(found))
            except BrokenFrameError as error:
                if found:
                    break
                after = part.end if isinstance(part, Broken) else part.header.end
                raise GapError(str(error), after or end, path=file.path, field=f"entry {wanted}") from error
            if isinstance(part, Frame):
                with self._lock:
                    index.note(part.header.first, part.offset)
            if len(found) >= most:
                break
        return found

    def _taken(self, file: Segment, part: Frame | Broken, start: int, most: int) -> list[Entry]:
        """Return the entries of a part of a segment from a number on; raises BrokenFrameError."""
        if isinstance(part, Broken):
            if part.end is None or part.end > start:
                raise BrokenFrameError(part.problem)
            return []
        header = part.header
        if header.end <= start:
            return []
        if header.kind is Kind.LOST:
            raise BrokenFrameError("was lost")
        data = entries_of(header, self._body(file, part), start - header.first, most)
        return [Entry(sequence, header.at, each) for sequence, each in enumerate(data, start)]

    def _body(self, file: Segment, frame: Frame) -> bytes:
        """Return the body of a frame; the last one is kept, since its reader may want it in parts."""
        known, body = self._last
        if known != frame.header:
            body = file.body(*frame)
            self._last = (frame.header, body)
        return body

    def _index(self, segment: int) -> Index:
        index = self._indexes.pop(segment, None) or Index(segment)
        self._indexes[segment] = index
        while len(self._indexes) > MOST_INDEXES:
            del self._indexes[next(iter(self._indexes))]
        return index
