"""Escalation: whom to tell of an incident, by its level, the assets concerned and the hour."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.resources import as_file, files
from pathlib import Path
from typing import Literal

import msgspec

from infraspectre.documents import read_yaml
from infraspectre.records import Escalation, Incident, Level
from infraspectre.records.detection import SEVERITIES

FILE = "escalation.yaml"
WORKING_HOURS = range(8, 18)
WEEKEND = 5
"""Saturday, as `datetime` counts."""


class EscalationRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Says from which level, criticality of assets and at which hours somebody is told."""

    to: str
    within_minutes: int
    from_level: Level = "informational"
    from_criticality: Level | None = None
    """Least criticality of an asset concerned; without it, assets do not matter."""
    hours: Literal["any", "working", "off"] = "any"

    def __post_init__(self) -> None:
        """Refuse a time that is none; raises ValueError."""
        if self.within_minutes < 1:
            raise ValueError("within_minutes is less than 1")

    def reason(self, incident: Incident, level: Level) -> str | None:
        """Return why somebody is told of an incident, or None if nobody is."""
        rated = _criticality(incident)
        if _rank(level) < _rank(self.from_level):
            return None
        if self.from_criticality and _rank(rated) < _rank(self.from_criticality):
            return None
        if self.hours != "any" and self.hours != _hours(incident.raised_at):
            return None
        asset = f", {rated} asset" if self.from_criticality else ""
        return f"level {level}{asset}" + (f", {self.hours} hours" if self.hours != "any" else "")


def load_escalation(folder: Path | None) -> list[EscalationRule]:
    """Read the rules of a folder, or those of the package where it has none; raises InputError naming file and line."""
    if folder is not None and (folder / FILE).is_file():
        return read_yaml(folder / FILE, list[EscalationRule])
    with as_file(files("infraspectre.reflex") / FILE) as path:
        return read_yaml(path, list[EscalationRule])


def escalations(rules: Sequence[EscalationRule], incident: Incident, level: Level) -> list[Escalation]:
    """Return whom to tell, the most urgent first; each once."""
    soonest: dict[str, Escalation] = {}
    for each in _called(rules, incident, level):
        known = soonest.get(each.to)
        soonest[each.to] = each if known is None or each.within_minutes < known.within_minutes else known
    return sorted(soonest.values(), key=lambda each: (each.within_minutes, each.to))


def _called(rules: Sequence[EscalationRule], incident: Incident, level: Level) -> Iterator[Escalation]:
    for rule in rules:
        if (reason := rule.reason(incident, level)) is not None:
            yield Escalation(rule.to, rule.within_minutes, reason)


def _criticality(incident: Incident) -> Level | None:
    return max((each.criticality for each in incident.assets.values() if each.criticality), key=_rank, default=None)


def _rank(level: Level | None) -> int:
    return -1 if level is None else SEVERITIES.index(level)


def _hours(at: int) -> Literal["working", "off"]:
    moment = datetime.fromtimestamp(at // 1_000_000_000, UTC)
    return "working" if moment.weekday() < WEEKEND and moment.hour in WORKING_HOURS else "off"
