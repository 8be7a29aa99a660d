"""ATT&CK as its matrix shows it: what detectors can name, what is proven, and what was seen of late."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import msgspec
import polars as pl

from infraspectre.intel.attack import attack_table
from infraspectre.ports import RecordStore
from infraspectre.records import Technique
from infraspectre.records.detection import SEVERITIES, Severity
from infraspectre.records.queries import Collection, Filter, Order, Query
from infraspectre.soma import CATALOGUE, ArpPoisoning, Dga

PROOFS = "attack-coverage.json"
"""A layer for the ATT&CK Navigator, which `python tools/coverage.py` writes."""
COLUMNS = ("techniques", "severity")
"""Columns of detections that are looked at."""
MOST_COUNTED = 10_000
"""Incidents of a technique are counted up to this number."""


class Levelled(msgspec.Struct, frozen=True):
    """Is the part of an incident's record that says how bad it is."""

    level: Severity


class MatrixTactic(msgspec.Struct, frozen=True):
    """Is a column of the matrix."""

    tactic: str
    """Its short name, such as lateral-movement."""
    name: str


class MatrixTechnique(msgspec.Struct, frozen=True, kw_only=True):
    """Is a technique, what covers it, and how often it was seen."""

    id: str
    name: str
    tactics: list[str]
    """In the order of the matrix."""
    parent: str | None
    """The technique of which it is a part."""
    detectors: list[str]
    """Detectors that can name it."""
    proofs: list[str]
    """Simulated attacks, of which a capture each proves that an incident names it."""
    incidents: int
    """Counted up to 10,000."""
    detections: int
    worst: Severity | None
    """The highest level of the incidents, and severity of the detections."""


class Matrix(msgspec.Struct, frozen=True):
    """Is the ATT&CK matrix of one version."""

    version: str
    tactics: list[MatrixTactic]
    techniques: list[MatrixTechnique]


class Seen(NamedTuple):
    """Counts how often a technique was seen, and says how bad that was."""

    incidents: int = 0
    detections: int = 0
    worst: Severity | None = None


def worse(*severities: Severity | None) -> Severity | None:
    """Return the worst of some severities, None where there is none."""
    return max((each for each in severities if each), key=SEVERITIES.index, default=None)


def named_in(frames: Iterable[pl.DataFrame]) -> dict[str, Seen]:
    """Count the detections that name each technique; frames have the columns of `COLUMNS`."""
    counts = [frame.select(COLUMNS).explode("techniques").group_by(COLUMNS).len() for frame in frames]
    found: dict[str, Seen] = {}
    for identity, severity, count in pl.concat(counts).iter_rows() if counts else ():
        if identity is not None:
            before = found.get(identity, Seen())
            found[identity] = Seen(0, before.detections + count, worse(before.worst, severity))
    return found


def in_incidents(
    records: RecordStore, tenant: str, incidents: Collection, start: int, found: Mapping[str, Seen]
) -> dict[str, Seen]:
    """Add the incidents since a time that name each technique: those that were found, and those that can be."""
    return {
        identity: with_incidents(records, tenant, incidents, start, identity, found.get(identity, Seen()))
        for identity in found.keys() | covered().keys()
    }


def with_incidents(
    records: RecordStore, tenant: str, incidents: Collection, start: int, identity: str, seen: Seen
) -> Seen:
    """Add the incidents since a time that name a technique, up to a number."""
    asked = (Filter("techniques", "=", (identity,)), Filter("last_seen", ">=", (start,)))
    count = records.count(tenant, incidents, Query(asked), MOST_COUNTED)
    if not count:
        return seen
    rows = records.page(tenant, incidents, Query(asked, Order("value", descending=True), 1)).rows
    levels = [msgspec.json.decode(row.body, type=Levelled).level for row in rows]
    return Seen(count, seen.detections, worse(seen.worst, *levels))


@cache
def covered() -> Mapping[str, list[str]]:
    """Return which detectors can name each technique: those whose modules do."""
    found: dict[str, list[str]] = {}
    for detector in (*CATALOGUE, ArpPoisoning, Dga):
        names = vars(sys.modules[detector.__module__]).values()
        for identity in {each.id for each in names if isinstance(each, Technique)}:
            found.setdefault(identity, []).append(name_of(detector))
    return {identity: sorted(detectors) for identity, detectors in found.items()}


def name_of(detector: object) -> str:
    """Return the name by which detections call a detector."""
    return str(getattr(detector, "name"))  # noqa: B009 - the catalogue holds makers, all of them classes


@cache
def proven() -> Mapping[str, list[str]]:
    """Return the simulated attacks that prove each technique."""
    layer = msgspec.json.decode((files("infraspectre.intel") / "data" / PROOFS).read_bytes())
    return {each["techniqueID"]: each["comment"].split(", ") for each in layer["techniques"]}


def matrix(seen: Mapping[str, Seen]) -> Matrix:
    """Return the matrix with what was seen of each technique; what the version does not know comes behind."""
    table = attack_table()
    known = {identity: (name, tactics) for identity, (name, tactics) in table.techniques.items()}
    known |= {identity: (identity, []) for identity in seen if identity not in known}
    tactics = [MatrixTactic(tactic, name) for tactic, name in table.tactics.items()]
    return Matrix(table.version, tactics, list(techniques_of(known, seen)))


def techniques_of(known: Mapping[str, tuple[str, list[str]]], seen: Mapping[str, Seen]) -> Iterable[MatrixTechnique]:
    """Yield the techniques, in the order of their identities."""
    for identity, (name, tactics) in sorted(known.items()):
        its = seen.get(identity, Seen())
        yield MatrixTechnique(
            id=identity,
            name=name,
            tactics=tactics,
            parent=identity.partition(".")[0] if "." in identity else None,
            detectors=covered().get(identity, []),
            proofs=proven().get(identity, []),
            incidents=its.incidents,
            detections=its.detections,
            worst=its.worst,
        )
