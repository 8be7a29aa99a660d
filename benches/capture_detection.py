"""Labelled captures that `analyze` finds, alone and with a model of flows that learnt nothing from their source."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import infraspectre
from benches import captures
from benches.report import Cell, Figure, Report, Table
from infraspectre.errors import InfraSpectreError
from infraspectre.learning.builtin_flow import SOURCES
from infraspectre.modelbook.building import build_flow
from infraspectre.records.detection import SEVERITIES

MEDIUM = SEVERITIES.index("medium")
MODEL = "builtin:flow"


class Found(NamedTuple):
    """Says of a capture whether an incident of level medium or above was raised, without and with a model."""

    source: str
    category: str
    is_hostile: bool
    alone: bool
    with_model: bool


def measure() -> Report:
    """Analyze every capture labelled benign or malicious twice."""
    rows = [row for row in captures.labelled() if row["label"] in ("benign", "malicious")]
    with TemporaryDirectory() as folder:
        models = left_out_models(Path(folder))
        found = [examined(row, models.get(row["source"], MODEL)) for row in rows]
    return Report(figures(found), [by(found, "source"), by(found, "category")], [METHOD])


METHOD = (
    "A capture is flagged when `analyze` raises an incident of level medium or above. A source of which builtin:flow "
    f"has learnt benign captures ({', '.join(SOURCES)}) is judged by a model trained without it; all hostile flows "
    "that it learns from are simulated. Thresholds are fixed while training."
)


def left_out_models(folder: Path) -> dict[str, str]:
    """Train, for each source that the built-in model learns from, one that leaves it out."""
    data = captures.test_data().parent
    for source in SOURCES:
        build_flow(data, folder / source, "1970-01-01T00:00:00Z", without={source})
    return {source: str(folder / source) for source in SOURCES}


def examined(row: dict[str, Any], model: str) -> Found:
    """Analyze a capture without and with a model."""
    path = row["path"]
    return Found(
        row["source"], row["category"], row["label"] == "malicious", flagged(path), flagged(path, models=[model])
    )


def flagged(path: Path, models: Sequence[str] = ()) -> bool:
    """Tell whether an incident of level medium or above is raised; a capture that cannot be read raises none."""
    try:
        incidents = infraspectre.analyze(path, models=models).incidents
    except InfraSpectreError:
        return False
    return any(SEVERITIES.index(each.threat_score.level) >= MEDIUM for each in incidents)


WANTED = {True: ("malicious", "90% (aim 97%)"), False: ("benign", "3% (aim 1%)")}


def figures(found: list[Found]) -> list[Figure]:
    """Return the share of malicious captures that are found, and that of benign ones that are flagged too."""
    told = []
    for is_hostile, (label, wanted) in WANTED.items():
        chosen = [one for one in found if one.is_hostile == is_hostile]
        for how in ("alone", "with_model"):
            count = sum(getattr(one, how) for one in chosen)
            value = f"{count} of {len(chosen)} ({count / max(1, len(chosen)):.1%})"
            told.append(Figure(f"{label} captures flagged, {how.replace('_', ' ')}", value, "", wanted))
    return told


def by(found: list[Found], what: str) -> Table:
    """Return how many captures of each source or category are flagged."""
    groups: dict[tuple[str, str], list[Found]] = defaultdict(list)
    for one in found:
        groups["malicious" if one.is_hostile else "benign", getattr(one, what)].append(one)
    rows: list[Sequence[Cell]] = [
        (*key, len(group), sum(one.alone for one in group), sum(one.with_model for one in group))
        for key, group in sorted(groups.items(), reverse=True)
    ]
    return Table(f"By {what}", ("label", what, "captures", "alone", "with model"), rows)
