"""The traffic of the demonstration: a simulated day that ends now, then hours that pass as they do."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import NamedTuple

import polars as pl

from infraspectre.capture import CaptureSource
from infraspectre.capture.replay import Replay
from infraspectre.ports import Account, Clock
from infraspectre.records.flows import FlowBatch
from infraspectre.records.times import NANOSECONDS
from infraspectre.simulation.attacks import ATTACKS
from infraspectre.simulation.capture import Behaviour
from infraspectre.simulation.scenarios.day import day
from infraspectre.simulation.site import Site

SEED = "demo/8"
"""Draws the office, one where the day ends, and the hours after it begin, in the morning of a weekday."""
HOSTS = 40
ATTACKS_OF_DAY = 8
ATTACKS_OF_HOUR = 6
DAY_S, HOUR_S = 86_400.0, 3_600.0
STRETCH_S = 60.0
"""Each hour is longer by so much than the one before, so that none is as another."""
MOST_HOURS = 48
"""After so many the first comes again."""


class Attack(NamedTuple):
    """Is an attack that was played, and who took part in it when."""

    name: str
    hosts: frozenset[str]
    first_seen: int
    last_seen: int


class Part(NamedTuple):
    """Is a capture of the office, how much later than simulated it takes place, and how fast it is played."""

    capture: Path
    shift: int
    """Nanoseconds."""
    speed: float
    """0 is as fast as possible."""
    attacks: list[Attack]


class Traffic:
    """Gives the flows of the office; it is read as an interface is, and never ends by itself."""

    def __init__(self, folder: Path, clock: Clock, stopped: Event, *, with_day: bool) -> None:
        """Play until stopped, the day first unless it was played before; captures lie in a folder meanwhile."""
        self.is_done = False
        self.attacks: list[Attack] = []
        """What was played so far."""
        self._folder = folder / "capture"
        self._clock, self._stopped, self._with_day = clock, stopped, with_day
        self._batches = self._played()
        self._source: Replay | None = None

    def read(self, timeout_s: float = 1.0) -> FlowBatch | None:
        """Return the next flows, None where there are none for so long; `is_done` is set once stopped."""
        self.is_done = self._stopped.is_set()
        if self.is_done:
            return None
        if self._source is None:
            self._source = next(self._batches)
        batch = self._source.read(timeout_s)
        if self._source.is_done:
            self._source = None
        return batch

    def stop(self) -> None:
        """End soon; any thread may say so."""
        self._stopped.set()

    def account(self) -> Account:
        """Return what was read of the part that is played."""
        return Account() if self._source is None else self._source.account()

    def _played(self) -> Iterator[Replay]:
        if self._with_day:
            yield from self._replayed(self._day())
        while True:
            for number in range(MOST_HOURS):
                yield from self._replayed(self._hour(number))

    def _replayed(self, part: Part) -> Iterator[Replay]:
        """Yield the replay of a part, whose capture goes once it was played."""
        self.attacks += part.attacks
        try:
            yield Replay(Moved(CaptureSource([str(part.capture)]), part.shift), part.speed)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _day(self) -> Part:
        site = day(SEED, hosts=HOSTS, duration_s=DAY_S, attacks=ATTACKS_OF_DAY)
        return self._written(site, self._clock.now() - site.capture.started_at - round(DAY_S * NANOSECONDS), 0.0)

    def _hour(self, number: int) -> Part:
        site = day(SEED, hosts=HOSTS, duration_s=HOUR_S + number * STRETCH_S, attacks=0)
        rng = random.Random(f"{SEED}/hour/{number}")  # noqa: S311 - repeatable on purpose; keeps no secret
        for name in rng.sample(sorted(ATTACKS), ATTACKS_OF_HOUR):
            begin_s = rng.uniform(0.0, 0.6) * HOUR_S
            ATTACKS[name](site, rng, begin_s, HOUR_S)
        return self._written(site, self._clock.now() - site.capture.started_at, 1.0)

    def _written(self, site: Site, shift: int, speed: float) -> Part:
        """Write what happened at a site."""
        result = site.write(self._folder, "day", 0, {})
        return Part(result.capture, shift, speed, list(attacks_of(site, shift)))


class Moved:
    """Gives the flows of a source at another time."""

    def __init__(self, source: CaptureSource, shift: int) -> None:
        """Let everything be later by so many nanoseconds."""
        self._source, self._shift = source, shift

    def __iter__(self) -> Iterator[FlowBatch]:
        for batch in self._source:
            yield FlowBatch(batch.frame.with_columns(pl.col("started_at", "ended_at") + self._shift))

    def account(self) -> Account:
        """Return what was read and lost so far."""
        return self._source.account()

    def progress(self) -> tuple[int, int]:
        """Return the bytes read and the bytes in all."""
        return self._source.progress()

    def alerts(self) -> tuple[()]:
        """Return no alerts."""
        return ()


def attacks_of(site: Site, shift: int) -> Iterator[Attack]:
    """Yield the attacks that were played at a site."""
    spans: dict[Behaviour, list[tuple[int, int]]] = {}
    for flow in site.capture.flows:
        if flow.behaviour.attack:
            spans.setdefault(flow.behaviour, []).append((flow.started_at, flow.ended_at))
    for behaviour, its in spans.items():
        hosts = frozenset((*behaviour.attackers, *behaviour.victims, *behaviour.control_servers))
        first, last = min(first for first, _ in its), max(last for _, last in its)
        yield Attack(behaviour.name, hosts, first + shift, last + shift)
