"""Learns what scores mean from simulated days and benign captures, and measures on later days whether that holds.

`python -m benches calibration` measures the data that comes with the package; `python -m benches.calibration` first
learns it anew, which is due whenever detectors change.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from benches import captures
from benches.process import ROOT
from benches.report import Cell, Figure, Report, Table, UnavailableError, markdown
from infraspectre import app
from infraspectre.errors import InfraSpectreError
from infraspectre.intel.calibration import Calibration, calibration
from infraspectre.intel.families import family
from infraspectre.learning.calibrating import Example, judged, learn, likelihood
from infraspectre.records import Decision, Detection
from infraspectre.records.times import from_datetime
from infraspectre.reflex.evidence import strongest
from infraspectre.reflex.likelihood import interval, stratum
from infraspectre.simulation import SCENARIOS, simulate

DATA = ROOT / "src" / "infraspectre" / "intel" / "data" / "calibration.json"
GRACE_NS = 1_800_000_000_000
"""An incident may begin this long after what it is about: a detector needs time to be sure."""
LATER = 1000
"""Seeds from here on are for measuring alone."""


class Play(NamedTuple):
    """Names a scenario with its options."""

    scenario: str
    options: dict[str, Any]


def plays() -> list[Play]:
    """Return what is played with each seed: days where they can be simulated, single behaviours otherwise."""
    if "day" in SCENARIOS:
        return [Play("day", {"hosts": 40, "duration_s": 7_200, "attacks": 18})]
    short: dict[str, Any] = {"duration_s": 300.0, "hosts": 4}
    return [
        *(Play("port-scan", {**short, "kind": kind, "ports": 60}) for kind in ("vertical", "horizontal", "slow")),
        Play("brute-force", short), *(Play("beacon", {**short, "channel": c}) for c in ("http", "tls", "dns")),
        Play("dns-tunnel", short), Play("domain-generation", short),
        *(Play("exfiltration", {**short, "channel": c, "megabytes": 2.0}) for c in ("https", "ftp", "icmp")),
        Play("lateral-movement", short), Play("web-attack", short),
    ]  # fmt: skip


class Truth(NamedTuple):
    """Says when an attack was and who took part."""

    begin: int
    end: int
    involved: frozenset[str]

    @classmethod
    def of(cls, label: dict[str, Any]) -> Truth:
        """Read an attack of labels.json."""
        begin, end = (from_datetime(datetime.fromisoformat(label[name])) for name in ("started_at", "ended_at"))
        return cls(begin, end, frozenset([*label["attackers"], *label["victims"], *label["control_servers"]]))

    def is_about(self, first: int, last: int, entities: Iterable[str | None]) -> bool:
        """Tell whether what names some entities for some time is about this attack."""
        return first <= self.end + GRACE_NS and last >= self.begin and not self.involved.isdisjoint(entities)


QUIET = [Play("day", {"hosts": 40, "duration_s": 86_400, "attacks": 0})]
"""A day without attacks, with all that looks like one: whatever it raises is harmless."""
QUIET_SEEDS = range(50, 56)
"""Such days to learn from: what ordinary work makes in a whole day is not seen in two hours full of attacks."""


def simulated(seeds: Iterable[int], played: Sequence[Play] = ()) -> Iterator[Example]:
    """Yield the incidents of what is played with these seeds, for which all that can be is played unless given."""
    for seed in seeds:
        for number, play in enumerate(played or plays()):
            name = f"calibration-{play.scenario}-{number}-{play.options['duration_s']:g}-{seed}"
            folder = captures.FOLDER / f"{name}-{captures.edition()}"
            if not (folder / "labels.json").exists():
                simulate(play.scenario, folder, seed, **play.options)
            labels = json.loads((folder / "labels.json").read_text())["behaviours"]
            truths = [Truth.of(each) for each in labels if each["attack"]]
            yield from examples(f"{play.scenario}/{number}/{seed}", folder / "capture.pcap", truths)


def benign() -> Iterator[Example]:
    """Yield the incidents of the captures that are labelled benign, if there is test data."""
    try:
        rows = [row for row in captures.labelled() if row["label"] == "benign"]
    except UnavailableError:
        return
    for row in rows:
        yield from examples(row["source"] + "/" + row["category"] + "/" + row["path"].name, row["path"], [])


def examples(origin: str, path: Path, truths: Sequence[Truth]) -> Iterator[Example]:
    """Yield what `analyze` makes of a capture, with the truth."""
    try:
        decisions = app.analyze(path).incidents
    except InfraSpectreError:
        return
    for decision in decisions:
        yield example(origin, decision, truths)


def example(origin: str, decision: Decision, truths: Sequence[Truth]) -> Example:
    """Compare an incident and its detections with the truth."""
    incident = decision.incident
    is_attack = any(each.is_about(incident.first_seen, incident.last_seen, incident.entities) for each in truths)
    true = {each.detection_id for each in incident.detections if any(is_true(each, truth) for truth in truths)}
    return Example(origin, decision.threat_score.level, incident.detections, is_attack, true)


def is_true(detection: Detection, truth: Truth) -> bool:
    """Tell whether a detection is about an attack."""
    return truth.is_about(detection.first_seen, detection.last_seen, (detection.orig, detection.resp))


class Judged(NamedTuple):
    """Holds what is said of an incident, and its outcome: 100 for an attack, else 0."""

    origin: str
    stratum: str
    family: str
    likelihood: float
    low: float
    high: float
    outcome: float

    @property
    def is_held(self) -> bool:
        """Tell whether the interval holds the outcome."""
        return self.low <= self.outcome <= self.high


def judge(examples: Iterable[Example], learnt: Calibration) -> list[Judged]:
    """Say of incidents what a calibration says."""
    said = []
    for each in examples:
        likely, told = likelihood(each, learnt), judged(each, learnt)
        low, high = interval(100 * likely, likely, told, each.level, learnt, 0.0)
        name = family(strongest(told).category).name
        said.append(Judged(each.origin, stratum(each.level), name, likely, low, high, 100.0 * each.is_attack))
    return said


def share(chosen: Sequence[Judged]) -> str:
    """Return how many of some incidents' intervals hold the outcome."""
    held = sum(each.is_held for each in chosen)
    return f"{held / len(chosen):.3f} of {len(chosen):,}" if chosen else "none"


CHOICES: dict[str, Callable[[Judged], bool]] = {
    "all incidents": lambda _: True,
    "incidents of level medium or above": lambda each: each.stratum == "raised",
    "attacks": lambda each: each.outcome > 0,
    "harmless ones": lambda each: each.outcome == 0,
    "attacks of level medium or above": lambda each: each.outcome > 0 and each.stratum == "raised",
    "harmless ones of level medium or above": lambda each: each.outcome == 0 and each.stratum == "raised",
}


def report(later: Sequence[Judged]) -> Report:
    """Return how often intervals hold, and how well probabilities agree with shares."""
    wanted = ".86 to .94", ".88 to .92"
    figures = [
        Figure(f"90% intervals that hold the outcome, {name}", share(list(filter(chosen, later))), "", *wanted)
        for name, chosen in CHOICES.items()
    ]  # fmt: skip
    brier = sum((each.likelihood - each.outcome / 100) ** 2 for each in later) / max(1, len(later))
    figures.append(Figure("Brier score of the probability", brier))
    return Report(figures, [by_probability(later), by_family(later)], [METHOD])


METHOD = (
    "Learnt on seeds below 100, with attacks and without, and on benign captures; measured on seeds of 1000 and above. "
    "An incident is an attack if it overlaps one in time and names anybody in it; its outcome is then 100, else 0."
)


def by_probability(later: Sequence[Judged]) -> Table:
    """Compare, by tenths of the probability, what is said with the share of attacks."""
    groups: dict[int, list[Judged]] = defaultdict(list)
    for each in later:
        groups[min(9, int(10 * each.likelihood))].append(each)
    rows: list[Sequence[Cell]] = [
        (f"{tenth / 10:.1f} to {(tenth + 1) / 10:.1f}", len(its), mean([each.likelihood for each in its]),
         mean([each.outcome / 100 for each in its]))
        for tenth, its in sorted(groups.items())
    ]  # fmt: skip
    return Table("Probability and share of attacks", ("probability", "incidents", "mean", "attacks"), rows)


def mean(values: Sequence[float]) -> float:
    """Return the mean."""
    return sum(values) / len(values)


def by_family(later: Sequence[Judged]) -> Table:
    """Return, by family of the severest finding, how many attacks there are and how often intervals hold."""
    groups: dict[tuple[str, str], list[Judged]] = defaultdict(list)
    for each in later:
        groups[each.stratum, each.family].append(each)
    rows: list[Sequence[Cell]] = [
        (*key, len(its), int(sum(each.outcome / 100 for each in its)), share(its))
        for key, its in sorted(groups.items())
    ]
    return Table("By family", ("level", "family", "incidents", "attacks", "held"), rows)


def measure(seeds: Sequence[int] = range(LATER, LATER + 5)) -> Report:
    """Measure the calibration that comes with the package on later days."""
    return report(judge(later_days(seeds), calibration()))


def later_days(seeds: Sequence[int]) -> Iterator[Example]:
    """Yield the incidents of later days: of some hours with attacks, and of as many whole days without."""
    yield from simulated(seeds)
    yield from simulated(seeds, QUIET)


def main() -> int:
    """Learn anew, write the data, and measure."""
    parser = argparse.ArgumentParser(prog="python -m benches.calibration", description=__doc__)
    parser.add_argument("--seeds", type=int, default=7, help="days with attacks to learn from")
    parser.add_argument("--later", type=int, default=5, help="later days to measure on")
    arguments = parser.parse_args()
    learnt = learn([*simulated(range(arguments.seeds)), *simulated(QUIET_SEEDS, QUIET), *benign()])
    DATA.write_bytes(msgspec.json.format(msgspec.json.encode(learnt), indent=0) + b"\n")
    later = judge(later_days(range(LATER, LATER + arguments.later)), learnt)
    print(markdown("calibration", str(__doc__).partition("\n")[0], report(later)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
