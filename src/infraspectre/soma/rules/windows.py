"""What happens in a stretch of time: so many flows, or several kinds of flows in order, within a bounded memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from operator import attrgetter, ge

from infraspectre.soma.detector import MAX_FLOW_IDS, MAX_PACKETS, SECOND, Case, Row
from infraspectre.soma.rules.rule import Window

LATENESS_NS = 2_400 * SECOND
"""How late a flow may come after others that began when it did: its active timeout and then its idle timeout."""
FEWEST_KEPT = 256
"""Flows that each key may keep in any case; a window keeps twice as many as it waits for."""
MOST_SUMMED = 4_096
"""Flows that each key of a window with sums keeps: of more, the latest count."""

_begin = attrgetter("at")


class Event:
    """Is one flow that fulfilled a step: when and between whom, and what a window measures of it."""

    __slots__ = ("amounts", "at", "ended_at", "flow_id", "is_told", "marks", "orig", "packet", "resp", "step", "texts")

    def __init__(
        self, row: Row, step: int, marks: Iterable[int] = (), amounts: Iterable[float] = (), texts: Iterable[str] = ()
    ) -> None:
        """Take a flow, its step, hashes of the values to tell apart, amounts to sum up, and a few telling texts."""
        self.at: int = row["started_at"]
        self.ended_at: int = row["ended_at"]
        self.flow_id: int = row["flow_id"]
        self.packet: int | None = row["first_packet"]
        self.orig: str = row["orig_ip"]
        self.resp: str = row["resp_ip"]
        self.step = step
        self.marks = tuple(marks)
        self.amounts = tuple(amounts)
        self.texts = tuple(texts)
        self.is_told = False


class EventCase(Case, ABC):
    """Gathers flows that made a rule come true for one key, and keeps recent ones that still may."""

    def __init__(self) -> None:
        """Start with no flow."""
        super().__init__()
        self.recent: list[Event] = []
        self.measures: dict[str, float] = {}
        self.origs: set[str] = set()
        self.resps: set[str] = set()
        self.last: Event | None = None

    @property
    def ends(self) -> tuple[str | None, str | None]:
        """Return who began and who answered where it is one host; else, if it is on neither side, the last flow's."""
        orig = next(iter(self.origs)) if len(self.origs) == 1 else None
        resp = next(iter(self.resps)) if len(self.resps) == 1 else None
        return (self.last.orig, self.last.resp) if self.last and not orig and not resp else (orig, resp)

    @abstractmethod
    def take(self, events: list[Event]) -> None:
        """Take flows that fulfil a step, and tell those that make the rule come true."""

    def tell(self, events: Sequence[Event]) -> None:
        """Take those of some flows into the evidence that are not in it yet."""
        fresh = [event for event in events if not event.is_told]
        if not fresh:
            return
        for event in fresh:
            event.is_told = True
            self.origs |= {event.orig} if len(self.origs) < 2 else set()
            self.resps |= {event.resp} if len(self.resps) < 2 else set()
            self.show(event.texts)
        self.last = fresh[-1]
        ids = dict.fromkeys(event.flow_id for event in fresh)
        self.absorb(
            {
                "first_seen": min(event.at for event in fresh),
                "last_seen": max(event.ended_at for event in fresh),
                "flows": len(ids),
                "flow_ids": list(ids)[:MAX_FLOW_IDS],
                "packets": [event.packet for event in fresh if event.packet is not None][:MAX_PACKETS],
            }
        )

    def merge(self, events: list[Event]) -> int:
        """Put flows among the recent ones in order of their beginning; return the place of the first of them."""
        first = min(events, key=_begin).at
        self.recent = sorted([*self.recent, *events], key=_begin)
        return bisect_left(self.recent, first, key=_begin)


class WindowCase(EventCase):
    """Waits until the flows of a window amount to enough."""

    def __init__(self, window: Window) -> None:
        """Start with no flow."""
        super().__init__()
        self._window = window

    def take(self, events: list[Event]) -> None:
        """Look at every window that ends with one of these flows or with one after it."""
        window = self._window
        place = self.merge(events)
        if len(self.recent) >= window.fewest:
            self._look(place)
        horizon = self.recent[-1].at - window.within_ns - LATENESS_NS
        self.recent = self.recent[bisect_left(self.recent, horizon, key=_begin) :][-most_kept(window) :]

    def _look(self, place: int) -> None:
        window = self._window
        content, least = _Content(window), tuple(window.least().values())
        left = bisect_left(self.recent, self.recent[place].at - window.within_ns, key=_begin)
        told = left
        for right in range(left, len(self.recent)):
            event = self.recent[right]
            content.add(event)
            while event.at - self.recent[left].at > window.within_ns:
                content.remove(self.recent[left])
                left += 1
            if right >= place and all(map(ge, content.measures(), least)):
                self.tell(self.recent[max(left, told) : right + 1])
                told = right + 1
                for name, value in zip(window.least(), content.measures(), strict=True):
                    self.measures[name] = max(value, self.measures.get(name, 0))


class _Content:
    """Measures what lies in a window while flows enter at one end and leave at the other."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._count = 0
        self._marks: list[Counter[int]] = [Counter() for _ in window.distinct]
        self._amounts = [0.0] * len(window.sums)

    def add(self, event: Event) -> None:
        self._count += 1
        for seen, mark in zip(self._marks, event.marks, strict=True):
            seen[mark] += 1
        self._amounts = [total + amount for total, amount in zip(self._amounts, event.amounts, strict=True)]

    def remove(self, event: Event) -> None:
        self._count -= 1
        for seen, mark in zip(self._marks, event.marks, strict=True):
            seen[mark] -= 1
            if not seen[mark]:
                del seen[mark]
        self._amounts = [total - amount for total, amount in zip(self._amounts, event.amounts, strict=True)]

    def measures(self) -> tuple[float, ...]:
        """Return what there is, in the order of `Window.least`."""
        return (self._count, *map(len, self._marks), *self._amounts)


def most_kept(window: Window) -> int:
    """Return how many flows each key of a window keeps at most."""
    waited = 2 * window.fewest
    return max(waited, FEWEST_KEPT, MOST_SUMMED if window.sums else 0)


Chain = tuple[Event, ...]


class SequenceCase(EventCase):
    """Waits until flows have fulfilled all steps in order."""

    def __init__(self, steps: int, within_ns: int) -> None:
        """Start with no step fulfilled."""
        super().__init__()
        self._steps = steps
        self._within_ns = within_ns
        self._settled: dict[int, Chain] = {}
        """For each step, the chain up to it that began last, of flows before which none comes any more."""

    def take(self, events: list[Event]) -> None:
        """Go on with each chain; what is too old to be overtaken is settled."""
        self.merge(events)
        chains = dict(self._settled)
        for event in self.recent:
            advance(chains, event, self._within_ns)
            if event.step == self._steps - 1 and (chain := chains.get(event.step)) and chain[-1] is event:
                self.tell(chain)
        horizon = self.recent[-1].at - LATENESS_NS
        old = max(bisect_left(self.recent, horizon, key=_begin), len(self.recent) - FEWEST_KEPT)
        for event in self.recent[:old]:
            advance(self._settled, event, self._within_ns)
        self.recent = self.recent[old:]


def advance(chains: dict[int, Chain], event: Event, within_ns: int) -> None:
    """Lengthen the chain that ends with the step before, if it began recently; of two chains, keep the younger."""
    before = chains.get(event.step - 1, ())
    if event.step and (not before or event.at < before[-1].at or event.at - before[0].at > within_ns):
        return
    chain, known = (*before, event), chains.get(event.step)
    if known is None or chain[0].at >= known[0].at:
        chains[event.step] = chain
