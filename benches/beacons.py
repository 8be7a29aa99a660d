"""Beacons by class in simulated days: those shaken a little, those shaken wildly, and those that call every six hours.

`python -m benches beacons` plays the days that are reported; `python -m benches.beacons --seeds 1 2` plays others.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple, get_args

from benches.days import Day, Outcome, Played, false_figure, false_table, played, share
from benches.report import Cell, Figure, Report, Table, markdown
from infraspectre.simulation.attacks import drawn_beacon
from infraspectre.simulation.drawing import log_uniform
from infraspectre.simulation.scenarios.beacon import Beacon, Channel, Rhythm, call_home
from infraspectre.simulation.scenarios.day import day as ordinary_day
from infraspectre.simulation.site import Site

HOSTS = 40
EACH = 3
"""Beacons of each class in one day, on as many hosts: more would make rare what they have in common usual."""
LONGEST_S = 6 * 3600.0


class Kind(NamedTuple):
    """Names a class of beacons and says how they call."""

    name: str
    jitter: tuple[float, float]
    period_s: tuple[float, float]
    floor: str
    aim: str

    def drawn(self, rng: random.Random, channel: Channel, span_s: float) -> Beacon:
        """Draw a beacon: all but its rhythm as in any day."""
        beacon = drawn_beacon(rng, channel, span_s)
        least, most = self.period_s
        period_s = log_uniform(rng, least, most) if least < most else least
        skip, awake = (0.0, (0.0, 24.0)) if self.is_slow else (beacon.rhythm.skip, beacon.rhythm.awake)
        return replace(beacon, rhythm=Rhythm(period_s, rng.uniform(*self.jitter), skip, awake))

    @property
    def is_slow(self) -> bool:
        """Tell whether a day has room for a handful of calls, so that it has to be the whole day."""
        return self.period_s[0] >= LONGEST_S

    def span(self, rng: random.Random, duration_s: float) -> tuple[float, float]:
        """Draw when such a beacon begins and ends."""
        if self.is_slow:
            return duration_s * rng.uniform(0.0, 0.05), duration_s
        begin_s = duration_s * rng.uniform(0.01, 0.5)
        return begin_s, min(duration_s, begin_s + duration_s * rng.uniform(0.3, 1.0))


KINDS = (
    Kind("jitter up to .5", (0.0, 0.5), (10.0, 3600.0), ".90", ".97"),
    Kind("jitter .5 to .95", (0.5, 0.95), (10.0, 3600.0), ".70", ".90"),
    Kind("6-hour period", (0.0, 0.2), (LONGEST_S, LONGEST_S), ".60", ".85"),
)
MOST_CALLS = 4_000
"""Most calls of one beacon, which bounds the size of a day."""
DAYS = tuple(Day(seed, HOSTS, 24, EACH * len(KINDS), "beacons") for seed in range(5000, 5010))
"""The days that are reported. Nothing was developed on them: whoever works on detectors plays seeds below 100."""


def infected_day(day: Day) -> Site:
    """Play an ordinary day in which some hosts call home, each to a master of its own."""
    duration_s = day.hours * 3600
    site = ordinary_day(f"day/{day.seed}", hosts=day.hosts, duration_s=duration_s, attacks=0)
    rng = site.derived("beacons")
    for victim, kind in zip(rng.sample(site.clients, day.attacks), KINDS * EACH, strict=True):
        begin_s, end_s = kind.span(rng, duration_s)
        beacon = kind.drawn(rng, rng.choice(get_args(Channel)), end_s - begin_s)
        least_s = (end_s - begin_s) / MOST_CALLS
        slower = replace(beacon.rhythm, period_s=max(beacon.rhythm.period_s, least_s))
        behaviour = call_home(site, rng, victim, replace(beacon, rhythm=slower), begin_s, end_s)
        behaviour.parameters["class"] = kind.name
    return site


def write(day: Day) -> None:
    """Play a day and write it down."""
    options = {"hosts": day.hosts, "duration_s": day.hours * 3600, "attacks": day.attacks}
    infected_day(day).write(day.folder, "beacons", day.seed, options)


def play(day: Day) -> Played:
    """Play a day, analyze it and compare."""
    return played(day, write)


def measure() -> Report:
    """Play the days that are reported."""
    return report([play(day) for day in DAYS])


def report(days: Sequence[Played]) -> Report:
    """Return what was found of each class, and what was false beside."""
    outcomes = [one for day in days for one in day.outcomes]
    by_kind = {kind: [one for one in outcomes if one.attack.parameters["class"] == kind.name] for kind in KINDS}
    figures = [
        Figure(f"beacons found, {kind.name}", share(one.is_found for one in its), "", kind.floor, kind.aim)
        for kind, its in by_kind.items()
    ]
    groups = {kind.name: its for kind, its in by_kind.items()} | by_channel(outcomes)
    return Report(
        [*figures, false_figure(days)], [group_table(groups), missed_table(outcomes), false_table(days)], [METHOD]
    )


METHOD = (
    "Each day has 40 hosts and 24 hours, and three beacons of each class, on nine hosts and with channel, look, port, "
    "skipped calls and hours of sleep drawn as in `days`; those of six hours call four times. Found and named are as "
    "in `days`: found is loosely."
)


def by_channel(outcomes: Iterable[Outcome]) -> dict[str, list[Outcome]]:
    """Return outcomes by channel."""
    groups: dict[str, list[Outcome]] = {}
    for one in outcomes:
        groups.setdefault(one.attack.name.partition(" ")[0], []).append(one)
    return dict(sorted(groups.items()))


def group_table(groups: dict[str, list[Outcome]]) -> Table:
    """Return what was found of each group."""
    rows: list[Sequence[Cell]] = [
        (name, len(its), share(one.is_found for one in its), share(one.is_named for one in its))
        for name, its in groups.items()
    ]
    return Table("By class and channel", ("group", "beacons", "loosely", "strictly"), rows)


def missed_table(outcomes: Iterable[Outcome]) -> Table:
    """Return the beacons that were not found strictly, with their parameters."""
    rows: list[Sequence[Cell]] = [
        (one.attack.name, "loosely" if one.is_found else "missed", ", ".join(told(one)))
        for one in outcomes
        if not one.is_named
    ]
    return Table("Not found strictly", ("beacon", "found", "parameters"), rows)


def told(outcome: Outcome) -> list[str]:
    """Say how a beacon called."""
    numbers = {name: value for name, value in outcome.attack.parameters.items() if isinstance(value, float)}
    return [f"{name} {value:.3g}" for name, value in numbers.items()]


def main() -> int:
    """Play days of one's own choice."""
    parser = argparse.ArgumentParser(prog="python -m benches.beacons", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    chosen = parser.parse_args()
    days = [play(Day(seed, HOSTS, 24, EACH * len(KINDS), "beacons")) for seed in chosen.seeds]
    print(markdown("beacons", "", report(days)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
