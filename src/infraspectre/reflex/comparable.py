"""Comparable incidents: what happened before that is most like what happened now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from infraspectre.intel.families import family
from infraspectre.records import Incident

MOST = 3
"""Comparable incidents that are named."""
LEAST = 0.34
"""A third of all that either shows must be common to both: less is chance, as most attacks scan or call home."""


class Comparable(msgspec.Struct, frozen=True):
    """Names an earlier incident, how like it is, and what both have in common."""

    incident: Incident
    likeness: float
    """Jaccard index of what the two show, 0 to 1."""
    techniques: list[str]
    entities: list[str]


def comparable(incident: Incident, earlier: Iterable[Incident], most: int = MOST) -> list[Comparable]:
    """Return the earlier incidents most like one: those that show the same families of findings and techniques.

    The likeness is the index of Jaccard (1912) of the two sets; among equals, more common hosts and the later count.
    """
    ours = traits(incident)
    found = [_compared(incident, ours, each) for each in earlier if each.incident_id != incident.incident_id]
    near = sorted((each for each in found if each.likeness >= LEAST), key=_order)
    return near[:most]


def traits(incident: Incident) -> frozenset[str]:
    """Return what an incident shows: the families of its findings, and its techniques."""
    return shown((each.category for each in incident.detections), (each.id for each in incident.techniques))


def shown(categories: Iterable[str], techniques: Iterable[str]) -> frozenset[str]:
    """Return what findings of some categories show: their families, and techniques."""
    return frozenset({family(each).name for each in categories} | {*techniques})


def likeness(ours: frozenset[str], theirs: frozenset[str]) -> float:
    """Return the index of Jaccard (1912) of what two incidents show, 0 to 1."""
    return round(len(ours & theirs) / max(1, len(ours | theirs)), 3)


def _compared(incident: Incident, ours: frozenset[str], other: Incident) -> Comparable:
    theirs = traits(other)
    techniques = [each.id for each in incident.techniques if each.id in theirs]
    return Comparable(other, likeness(ours, theirs), techniques, _common(incident.entities, other.entities))


def _common(ours: Sequence[str], theirs: Sequence[str]) -> list[str]:
    known = set(theirs)
    return [each for each in ours if each in known]


def _order(each: Comparable) -> tuple[float, int, int, str]:
    return -each.likeness, -len(each.entities), -each.incident.first_seen, each.incident.incident_id
