"""What `analyze` finds in simulated days of enterprises, and what it raises on ordinary work."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import infraspectre
from benches import captures
from benches.report import Cell, Figure, Report, Table, markdown
from infraspectre.records import Decision
from infraspectre.records.detection import SEVERITIES
from infraspectre.records.times import from_datetime
from infraspectre.simulation import simulate

MEDIUM = SEVERITIES.index("medium")
SECOND = 1_000_000_000
GRACE_NS = 1_800 * SECOND
"""An incident may begin this long after what it is about: a detector needs time to be sure."""
MOST_ENTITIES, MOST_TECHNIQUES, LONGEST = 12, 12, 3.0
"""An incident that names more of them, beyond the attack's own, or that lasts so many times as long and hours more, is
a blanket: it says nothing about where to look."""
DAY_S = 86_400.0
FALSE_SHOWN = 40


@dataclass(frozen=True)
class Day:
    """Says which day is played."""

    seed: int
    hosts: int
    hours: float
    attacks: int
    kind: str = "day"

    @property
    def folder(self) -> Path:
        """Return where the day lies, of this edition of the simulation."""
        name = f"{self.kind}-{self.seed}-{self.hosts}-{self.hours:g}-{self.attacks}-{captures.edition()}"
        return captures.FOLDER / name

    @property
    def host_days(self) -> float:
        """Return how many hosts work for how many days."""
        return self.hosts * self.hours * 3600 / DAY_S


DAYS = (
    Day(1000, 40, 24, 12), Day(1001, 60, 12, 14), Day(1002, 120, 8, 16), Day(1003, 80, 24, 14), Day(1004, 200, 6, 16),
    Day(1005, 100, 12, 0), Day(1006, 60, 24, 0), Day(1007, 300, 24, 20),
)  # fmt: skip
"""The days that are reported. Nothing was developed on them: whoever works on detectors plays seeds below 100."""


@dataclass(frozen=True)
class Attack:
    """Holds the truth about one attack."""

    name: str
    family: str
    campaign: str
    begin: int
    end: int
    culprits: frozenset[str]
    """Attackers and control servers."""
    involved: frozenset[str]
    techniques: frozenset[str]
    parameters: dict[str, Any]

    @classmethod
    def of(cls, label: dict[str, Any]) -> Attack:
        """Read a behaviour of labels.json."""
        culprits = frozenset(label["attackers"]) | frozenset(label["control_servers"])
        begin, end = (from_datetime(datetime.fromisoformat(label[name])) for name in ("started_at", "ended_at"))
        involved = culprits | frozenset(label["victims"])
        return cls(
            label["name"], label["category"], label["campaign"], begin, end, culprits, involved,
            frozenset(label["techniques"]), label["parameters"],
        )  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """Says what became of one attack."""

    attack: Attack
    is_found: bool
    is_named: bool
    technique: float
    """1 if a technique is named right, .5 if its parent or a child is, else 0."""
    stories: frozenset[str]
    """Campaigns, or incidents without one, in which it was found."""
    delay_s: float | None
    """Seconds of event time from its begin until an incident about it was of medium level."""


@dataclass(frozen=True)
class Played:
    """Holds what was found on one day."""

    day: Day
    outcomes: list[Outcome]
    false: list[Decision]
    incidents: int
    detections: int
    packets: int
    cpu_s: float


def overlaps(decision: Decision, attack: Attack) -> bool:
    """Tell whether an incident is about the time of an attack."""
    incident = decision.incident
    return incident.first_seen <= attack.end + GRACE_NS and incident.last_seen >= attack.begin


def is_about(decision: Decision, attack: Attack) -> bool:
    """Tell whether an incident of level medium or above overlaps an attack and names anybody in it."""
    return overlaps(decision, attack) and not attack.involved.isdisjoint(decision.incident.entities)


def is_blanket(decision: Decision, attack: Attack) -> bool:
    """Tell whether an incident names so much that it would be about anything."""
    incident = decision.incident
    span, lasted = incident.last_seen - incident.first_seen, attack.end - attack.begin
    return (
        len(set(incident.entities) - attack.involved) > MOST_ENTITIES
        or len(incident.techniques) > MOST_TECHNIQUES
        or span > LONGEST * lasted + 2 * 3600 * SECOND
    )


def parent(technique: str) -> str:
    """Return the technique above a sub-technique."""
    return technique.partition(".")[0]


def technique_score(decision: Decision, attack: Attack) -> float:
    """Return how well an incident names a technique."""
    named = {each.id for each in decision.incident.techniques}
    if named & attack.techniques:
        return 1.0
    return 0.5 if set(map(parent, named)) & set(map(parent, attack.techniques)) else 0.0


def outcome(attack: Attack, raised: Iterable[Decision]) -> Outcome:
    """Judge what was raised about an attack."""
    about = [each for each in raised if is_about(each, attack)]
    named = [
        each
        for each in about
        if not attack.culprits.isdisjoint(each.incident.entities)
        and technique_score(each, attack) == 1.0
        and not is_blanket(each, attack)
    ]
    since = [each.incident.detected_at - attack.begin for each in about if each.incident.detected_at is not None]
    return Outcome(
        attack, bool(about), bool(named), max((technique_score(each, attack) for each in about), default=0.0),
        frozenset(each.incident.campaign_id or each.incident.incident_id for each in about),
        max(0, min(since)) / SECOND if since else None,
    )  # fmt: skip


def play(day: Day) -> Played:
    """Play a day, analyze it and compare."""
    return played(day, write)


def write(day: Day) -> None:
    """Play a day and write it down."""
    simulate("day", day.folder, day.seed, hosts=day.hosts, duration_s=day.hours * 3600, attacks=day.attacks)


def played(day: Day, write: Callable[[Day], None]) -> Played:
    """Analyze a day, which is written first unless it lies there, and compare."""
    if not (day.folder / "labels.json").exists():
        write(day)
    capture = day.folder / "capture.pcap"
    truth = json.loads((day.folder / "labels.json").read_text())
    analysis = infraspectre.analyze(capture)
    attacks = [Attack.of(each) for each in truth["behaviours"] if each["attack"]]
    raised = [each for each in analysis.incidents if SEVERITIES.index(each.threat_score.level) >= MEDIUM]
    false = [each for each in raised if not any(is_about(each, attack) for attack in attacks)]
    outcomes = [outcome(attack, raised) for attack in attacks]
    summary = analysis.summary
    return Played(day, outcomes, false, len(raised), len(analysis.detections), summary.packets, summary.cpu_s)


def measure() -> Report:
    """Play the days that are reported."""
    return report([play(day) for day in DAYS])


def report(days: list[Played]) -> Report:
    """Return what was found on some days."""
    outcomes = [one for day in days for one in day.outcomes]
    return Report(figures(days, outcomes), [family_table(outcomes), day_table(days), false_table(days)], [METHOD])


METHOD = (
    "An attack is found loosely if an incident of level medium or above overlaps it in time and names anybody in it, "
    "and strictly if that names an attacker or control server and a right technique, and is no blanket. An incident "
    "that is about no attack is false."
)


def share(values: Iterable[float]) -> float:
    """Return a mean, 0 of nothing."""
    listed = list(values)
    return round(sum(listed) / max(1, len(listed)), 3)


def figures(days: list[Played], outcomes: list[Outcome]) -> list[Figure]:
    """Return the figures of the whole."""
    families = by_family(outcomes)
    worst = min((share(one.is_named for one in its) for its in families.values()), default=0.0)
    return [
        Figure("attacks found, loosely", share(one.is_found for one in outcomes), "", ".90", ".97"),
        Figure("attacks found, strictly", share(one.is_named for one in outcomes), "", ".70", ".90"),
        Figure("worst family, strictly", worst, "", ".45", ".80"),
        false_figure(days),
        Figure("technique named right", share(one.technique for one in outcomes if one.is_found), "", ".70", ".90"),
        Figure("campaign completeness", share(completeness(days)), "", ".70", ".90"),
        Figure("detections per incident to read", round(ratio(days), 1), "x", "5", "20"),
    ]


def false_figure(days: Sequence[Played]) -> Figure:
    """Return how many incidents are false."""
    false, host_days = sum(len(day.false) for day in days), sum(day.day.host_days for day in days)
    return Figure("false incidents per day and 1,000 hosts", round(1000 * false / host_days, 1), "", "25", "5, then 1")


def ratio(days: list[Played]) -> float:
    """Return how many detections there are for each incident of level medium or above."""
    return sum(day.detections for day in days) / max(1, sum(day.incidents for day in days))


def completeness(days: Iterable[Played]) -> Iterator[float]:
    """Yield, for each campaign, the largest share of its stages that one story holds."""
    for day in days:
        stages: dict[str, list[Outcome]] = defaultdict(list)
        for one in day.outcomes:
            if one.attack.campaign:
                stages[one.attack.campaign].append(one)
        for its in stages.values():
            joined = Counter(story for one in its for story in one.stories)
            yield max(joined.values(), default=0) / len(its)


def by_family(outcomes: Iterable[Outcome]) -> dict[str, list[Outcome]]:
    """Return outcomes by the family of their attacks."""
    families: dict[str, list[Outcome]] = defaultdict(list)
    for one in outcomes:
        families[one.attack.family].append(one)
    return dict(sorted(families.items()))


def family_table(outcomes: list[Outcome]) -> Table:
    """Return what was found of each family."""
    measures: tuple[Callable[[Outcome], float], ...] = (
        lambda one: one.is_found, lambda one: one.is_named, lambda one: one.technique,
    )  # fmt: skip
    rows: list[Sequence[Cell]] = [
        (name, len(its), *(share(map(each, its)) for each in measures)) for name, its in by_family(outcomes).items()
    ]
    return Table("By family", ("family", "attacks", "loosely", "strictly", "technique"), rows)


def day_table(days: list[Played]) -> Table:
    """Return what was found on each day."""
    rows: list[Sequence[Cell]] = [
        (
            day.day.seed, day.day.hosts, day.day.hours, day.packets, round(day.cpu_s, 1), len(day.outcomes),
            sum(one.is_found for one in day.outcomes), sum(one.is_named for one in day.outcomes), day.incidents,
            len(day.false),
        )
        for day in days
    ]  # fmt: skip
    header = "seed", "hosts", "hours", "packets", "CPU s", "attacks", "loosely", "strictly", "incidents", "false"
    return Table("By day", header, rows)


def false_table(days: Sequence[Played]) -> Table:
    """Return the false incidents."""
    rows: list[Sequence[Cell]] = [
        (day.day.seed, one.threat_score.level, one.incident.title, ", ".join(detectors(one)))
        for day in days
        for one in day.false
    ]
    return Table(f"False incidents (first {FALSE_SHOWN})", ("seed", "level", "incident", "by"), rows[:FALSE_SHOWN])


def detectors(decision: Decision) -> list[str]:
    """Return who found an incident."""
    return sorted({each.detector for each in decision.incident.detections})


def main() -> int:
    """Play days of one's own choice: `python -m benches.days --seeds 1 2 --hosts 60 --hours 6 --attacks 12`."""
    parser = argparse.ArgumentParser(prog="python -m benches.days", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--hosts", type=int, default=60)
    parser.add_argument("--hours", type=float, default=6.0)
    parser.add_argument("--attacks", type=int, default=12)
    parser.add_argument("--missed", action="store_true", help="list the attacks that are not found strictly")
    chosen = parser.parse_args()
    days = [play(Day(seed, chosen.hosts, chosen.hours, chosen.attacks)) for seed in chosen.seeds]
    print(markdown("days", "", report(days)))
    if chosen.missed:
        for one in (one for day in days for one in day.outcomes if not one.is_named):
            found = "loosely" if one.is_found else "missed"
            print(f"{found:8} {one.attack.name}  {one.attack.parameters}  {sorted(one.attack.techniques)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
