"""Parts of the feed, decoded once for all who follow it, and what a selection takes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple, Self

import msgspec

from infraspectre.feed.relevance import Relevance
from infraspectre.feed.selection import RANK, Selection
from infraspectre.records.detection import SEVERITIES
from infraspectre.records.events import Entry
from infraspectre.records.feed import FeedEvent

SAMPLE = 10
"""Of events of low severity one in so many is kept where a stream is sampled: those whose number it divides."""
SAMPLED_BELOW = RANK["medium"]
PIECE_SIZE = 64 << 10
"""Characters of events that are sent together or not at all; one event may be larger."""
MOST_SUBJECTS = 1_000
"""Subjects that one summary tells apart; the rest is counted together."""


class ReadEvent(FeedEvent, frozen=True, gc=False):
    """Is an event as it is read: ten thousands are in memory, and no search for cycles has to look through them."""

    entities: tuple[str, ...] = ()  # type: ignore[assignment]
    countries: tuple[str, ...] = ()  # type: ignore[assignment]


DECODER = msgspec.json.Decoder(ReadEvent)


class Happening(msgspec.Struct, gc=False, eq=False):
    """Is an event of the feed with its place, and what many ask of it worked out once."""

    sequence: int
    event: FeedEvent
    source: bytes
    learnt: Relevance
    rank: int = 0
    """Of its severity."""
    _relevance: float | None = None
    _data: Any = None

    def __post_init__(self) -> None:
        """Look up the rank."""
        self.rank = RANK[self.event.severity]

    @property
    def relevance(self) -> float:
        """Return how much the event is worth an analyst's time, as far as was known when somebody asked first."""
        if self._relevance is None:
            self._relevance = self.learnt.of(self.event)
        return self._relevance

    @property
    def data(self) -> Any:
        """Return the record within the event."""
        if self._data is None:
            self._data = msgspec.json.decode(self.event.data)
        return self._data

    def text(self, epoch: str) -> str:
        """Return the event as JSON in one line, with the position behind it.

        The entry is taken as it is, since encoding it again would cost more than everything else.
        """
        source = self.source
        if b"\n" in source or b"\r" in source or source[-1:] != b"}":
            source = msgspec.json.format(source, indent=-1).strip()
        return f'{source[:-1].decode()},"position":"{epoch}.{self.sequence + 1}"}}'


class Piece(msgspec.Struct, gc=False, frozen=True):
    """Is a part of a stream ready to be sent: events joined by commas, and what was shed among them."""

    text: str
    events: int
    shed: tuple[int, ...]
    """Events left out, by severity."""
    end: int
    """The number of the entry behind it."""

    @property
    def size(self) -> int:
        """Return the characters to send."""
        return len(self.text)


def joined(pieces: Sequence[Piece]) -> Piece:
    """Return pieces that follow each other as one."""
    if len(pieces) == 1:
        return pieces[0]
    text = ",".join(piece.text for piece in pieces if piece.events)
    shed = tuple(map(sum, zip(*(piece.shed for piece in pieces), strict=True)))
    return Piece(text, sum(piece.events for piece in pieces), shed, pieces[-1].end)


class Tally(NamedTuple):
    """Counts events of one kind about the same subject."""

    events: int
    first: str
    """When the first happened, as its event says."""
    last: str
    rank: int
    relevance: float

    def plus(self, later: Tally) -> Tally:
        """Return both together."""
        return Tally(
            self.events + later.events,
            self.first,
            later.last,
            max(self.rank, later.rank),
            max(self.relevance, later.relevance),
        )


Key = tuple[str, str, str]
"""Channel, kind and subject: events that agree in them are told once in a summary."""
OTHERS: Key = ("", "", "")
Tallies = dict[Key, Tally]


def add(tallies: Tallies, key: Key, tally: Tally) -> None:
    """Count into a summary, among the others where it tells as many subjects apart as it may."""
    if key not in tallies and len(tallies) >= MOST_SUBJECTS:
        key = OTHERS
    known = tallies.get(key)
    tallies[key] = tally if known is None else known.plus(tally)


class Match(msgspec.Struct, gc=False, eq=False):
    """Is what a selection takes of a part of the feed; shared by all who selected the same."""

    epoch: str
    happenings: tuple[Happening, ...]
    """In order; no list, which the search for cycles would look through again and again."""
    end: int
    """The number behind the part looked at."""
    parcel: Any = None
    """What was last made of it for many to send."""
    _whole: tuple[Piece, ...] = ()
    _sampled: tuple[Piece, ...] = ()
    _tallies: Tallies | None = None
    _summaries: dict[int, str] = {}

    @property
    def whole(self) -> tuple[Piece, ...]:
        """Return all events."""
        if not self._whole:
            self._whole = tuple(self._pieces(lambda _: True))
        return self._whole

    @property
    def sampled(self) -> tuple[Piece, ...]:
        """Return the events without most of those of low severity, and how many those were."""
        if not self._sampled:
            self._sampled = tuple(self._pieces(is_sampled))
        return self._sampled

    def _pieces(self, is_kept: Callable[[Happening], bool]) -> Iterator[Piece]:
        texts: list[str] = []
        shed = [0] * len(SEVERITIES)
        room = PIECE_SIZE
        for happening in self.happenings:
            if not is_kept(happening):
                shed[happening.rank] += 1
                continue
            text = happening.text(self.epoch)
            if texts and len(text) > room:
                yield Piece(",".join(texts), len(texts), tuple(shed), happening.sequence)
                texts, shed, room = [], [0] * len(SEVERITIES), PIECE_SIZE
            texts.append(text)
            room -= len(text)
        yield Piece(",".join(texts), len(texts), tuple(shed), self.end)

    @property
    def tallies(self) -> Tallies:
        """Return the events counted by subject."""
        if self._tallies is None:
            self._tallies = self._tallied()
        return self._tallies

    def _tallied(self) -> Tallies:
        tallies: Tallies = {}
        for happening in self.happenings:
            event = happening.event
            tally = Tally(1, event.at, event.at, happening.rank, happening.relevance)
            add(tallies, (event.channel, event.kind, event.subject), tally)
        return tallies

    def summary(self, matches: Sequence[Match]) -> str:
        """Return the members of a summary of matches, of which this is the last; worked out once for all."""
        known = self._summaries.get(matches[0].end)
        if known is None:
            known = self._summaries[matches[0].end] = summarized(matches)
        return known

    def after(self, sequence: int) -> Match:
        """Return what lies from a number on."""
        if not self.happenings or self.happenings[0].sequence >= sequence:
            return self
        return Match(self.epoch, tuple([each for each in self.happenings if each.sequence >= sequence]), self.end)


def is_sampled(happening: Happening) -> bool:
    """Tell whether an event is kept where a stream is sampled; all servers keep the same."""
    return happening.rank >= SAMPLED_BELOW or happening.sequence % SAMPLE == 0


def summarized(matches: Iterable[Match]) -> str:
    """Return the members of a summary as JSON without braces."""
    tallies: Tallies = {}
    for key, tally in chain.from_iterable(match.tallies.items() for match in matches):
        add(tallies, key, tally)
    others = tallies.pop(OTHERS, None)
    fields = {
        "count": sum(tally.events for tally in tallies.values()) + (others.events if others else 0),
        "summaries": [
            {"channel": key[0], "kind": key[1], "subject": key[2], **told(tally)} for key, tally in tallies.items()
        ],
        "others": told(others) if others else None,
    }
    return msgspec.json.encode(fields).decode()[1:-1]


def told(tally: Tally) -> dict[str, Any]:
    """Return what a summary says of a tally."""
    return {
        "count": tally.events,
        "first": tally.first,
        "last": tally.last,
        "severity": SEVERITIES[tally.rank],
        "relevance": round(tally.relevance, 4),
    }


class Batch:
    """Is a part of the feed, from `start` to before `end`, with its events by tenant."""

    def __init__(self, epoch: str, start: int, entries: Sequence[Entry], relevance: Relevance) -> None:
        """Decode entries; those that are no events are counted in `malformed`."""
        self.epoch = epoch
        self.start = start
        self.end = entries[-1].sequence + 1 if entries else start
        self.lost = ""
        self.size = sum(len(entry.data) for entry in entries)
        self.malformed = 0
        self.by_tenant: dict[str, list[Happening]] = {}
        self._matches: dict[Selection, Match] = {}
        for entry in entries:
            self._decode(entry, relevance)

    def _decode(self, entry: Entry, relevance: Relevance) -> None:
        try:
            event = DECODER.decode(entry.data)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self.malformed += 1
            return
        happening = Happening(entry.sequence, event, entry.data, relevance)
        self.by_tenant.setdefault(event.tenant, []).append(happening)

    @classmethod
    def hole(cls, epoch: str, start: int, end: int, reason: str) -> Self:
        """Return a part of the feed that nobody can read any more; `lost` says why."""
        batch = cls(epoch, start, (), Relevance())
        batch.end, batch.lost = end, reason
        return batch

    def match(self, selection: Selection) -> Match:
        """Return what a selection takes of the batch."""
        known = self._matches.get(selection)
        return self.keep(selection, filter(selection.takes, self.of(selection.tenant))) if known is None else known

    def keep(self, selection: Selection, happenings: Iterable[Happening]) -> Match:
        """Remember what a selection takes, for others who select the same."""
        match = self._matches[selection] = Match(self.epoch, tuple(happenings), self.end)
        return match

    def of(self, tenant: str) -> list[Happening]:
        """Return the events of a tenant."""
        return self.by_tenant.get(tenant, [])
