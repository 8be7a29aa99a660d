"""What `analyze` finds in the labelled captures of the test data, and what it raises on the benign ones."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import infraspectre
from benches import captures
from benches.report import Cell, Figure, Report, Table
from infraspectre.errors import InfraSpectreError
from infraspectre.records.detection import SEVERITIES

LABELS = ("malicious", "suspicious", "benign")
LOW, MEDIUM = SEVERITIES.index("low"), SEVERITIES.index("medium")
FALSE_ALARMS_SHOWN = 60


@dataclass(frozen=True)
class Finding:
    """Holds what was found in one capture."""

    path: Path
    label: str
    category: str
    level: int
    """The highest level of its incidents, as a position in SEVERITIES; -1 without incidents."""
    detectors: tuple[str, ...] = ()
    """Who detected anything, once each."""
    raised: tuple[tuple[str, str, str], ...] = ()
    """Level, title and detectors of each incident."""
    error: str = ""


def measure() -> Report:
    """Analyze every labelled capture."""
    findings = [examine(row) for row in captures.labelled() if row["label"] in LABELS]
    return Report(
        figures(findings), [*category_tables(findings), *false_alarm_tables(findings), errors(findings)], [METHOD]
    )


METHOD = (
    "Labels are per capture and come from whoever published it; a malicious one may hold nothing that shows in flows "
    "(one exploit in one request), and benign ones show odd protocols. A capture counts once, by the highest level of "
    "its incidents."
)


def examine(row: dict[str, Any]) -> Finding:
    """Analyze one capture."""
    about = row["path"], row["label"], row["category"]
    try:
        analysis = infraspectre.analyze(row["path"])
    except InfraSpectreError as error:
        return Finding(*about, level=-1, error=str(error))
    return Finding(
        *about,
        level=max((SEVERITIES.index(one.threat_score.level) for one in analysis.incidents), default=-1),
        detectors=names(analysis.detections),
        raised=tuple(
            (one.threat_score.level, one.incident.title, ", ".join(names(one.incident.detections)))
            for one in analysis.incidents
        ),
    )


def names(detections: Iterable[Any]) -> tuple[str, ...]:
    """Return the detectors behind detections, once each."""
    return tuple(sorted({one.detector for one in detections}))


REACHED: tuple[tuple[str, Callable[[Finding], bool]], ...] = (
    ("incident, medium or above", lambda one: one.level >= MEDIUM),
    ("incident, low or above", lambda one: one.level >= LOW),
    ("any detection", lambda one: bool(one.detectors)),
)


def figures(findings: list[Finding]) -> list[Figure]:
    """Return how many captures of each label reached what."""
    return [
        Figure(f"{label}: {name}", f"{sum(map(test, chosen))} of {len(chosen)}")
        for label in LABELS
        for chosen in [[one for one in findings if one.label == label]]
        for name, test in REACHED
    ]


def category_tables(findings: list[Finding]) -> list[Table]:
    """Return, for each category, how many captures reached what."""
    groups: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for one in findings:
        groups[one.label, one.category].append(one)
    rows: list[Sequence[Cell]] = [
        (*key, len(group), *(sum(map(test, group)) for _, test in REACHED))
        for key, group in sorted(groups.items(), key=lambda item: (LABELS.index(item[0][0]), item[0][1]))
    ]
    return [Table("By category", ("label", "category", "captures", *(name for name, _ in REACHED)), rows)]


def false_alarm_tables(findings: list[Finding]) -> list[Table]:
    """Return who raised incidents on benign captures, and each such incident of level low or above."""
    benign = [one for one in findings if one.label == "benign"]
    levels: dict[str, Counter[str]] = defaultdict(Counter)
    for one in benign:
        for level, _, detectors in one.raised:
            levels[detectors][level] += 1
    by_detector: list[Sequence[Cell]] = [
        (who, *(count[level] for level in SEVERITIES)) for who, count in sorted(levels.items())
    ]
    single = sorted(
        (-SEVERITIES.index(level), str(one.path.relative_to(captures.test_data())), title, who)
        for one in benign
        for level, title, who in one.raised
        if SEVERITIES.index(level) >= LOW
    )
    rows: list[Sequence[Cell]] = [(SEVERITIES[-level], *rest) for level, *rest in single[:FALSE_ALARMS_SHOWN]]
    return [
        Table("Incidents on benign captures, by detectors", ("detectors", *SEVERITIES), by_detector),
        Table(f"Incidents of level low or above on benign captures (first {FALSE_ALARMS_SHOWN})",
              ("level", "capture", "incident", "detectors"), rows),
    ]  # fmt: skip


def errors(findings: list[Finding]) -> Table:
    """Return the captures that could not be analyzed."""
    rows = [(str(one.path.relative_to(captures.test_data())), one.error) for one in findings if one.error]
    return Table("Captures that could not be analyzed", ("capture", "error"), rows)
