"""Investigation: what stands behind an incident, read from its record and the tables within bounds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from infraspectre.intel.drawing import Volume, draw_incident
from infraspectre.ports import Stored
from infraspectre.records.collections import INCIDENTS
from infraspectre.records.graph import Graph
from infraspectre.records.queries import MOST_ALTERNATIVES, Filter, Order, Query
from infraspectre.records.tables import detection_object, detections_table, flows_table
from infraspectre.reflex.comparable import LEAST, likeness, shown
from infraspectre.serving.platform import Platform
from infraspectre.serving.reporting import decision_of_record

MOST_DRAWN = 500
"""Nodes of the graph of an incident."""
MOST_FLOWS = 1_000
"""Flows behind an incident that are looked up; an incident keeps its most telling detections, each with up to 64."""
MOST_CANDIDATES = 200
"""Latest incidents that share a technique, a category or a host, each, which are compared."""
MOST_SIMILAR = 10
SHARED = ("techniques", "categories", "entities")
"""The fields by which comparable incidents are found."""


class Behind(msgspec.Struct, frozen=True):
    """Is the part of the record of an incident that says what is behind it."""

    incident: dict[str, Any]
    detections: list[dict[str, Any]] = []


class Looks(msgspec.Struct, frozen=True):
    """Is the part of the record of an incident by which it is compared."""

    title: str
    level: str
    value: float
    verdict: str
    status: str
    last_seen: int
    entities: list[str]
    techniques: list[str]
    categories: list[str]


class Likeness(NamedTuple):
    """Says how like an incident is to another, and what both have in common."""

    incident_id: str
    looks: Looks
    similarity: float
    entities: list[str]
    techniques: list[str]
    categories: list[str]


BEHIND, LOOKS = msgspec.json.Decoder(Behind), msgspec.json.Decoder(Looks)


class Investigation:
    """Looks behind one incident of a tenant."""

    def __init__(self, platform: Platform, tenant: str, stored: Stored) -> None:
        """Take the record of the incident."""
        self._platform, self._tenant, self._stored = platform, tenant, stored
        self._behind = BEHIND.decode(stored.body)

    @property
    def joined(self) -> int:
        """Return how many detections were joined in all, also those that are no longer kept."""
        return max(int(self._behind.incident.get("detection_count") or 0), len(self._behind.incident["detections"]))

    def detections(self) -> list[dict[str, Any]]:
        """Return the detections that the incident keeps, as lines of `detections.jsonl`, in order of time."""
        known = {each["detection_id"]: each for each in self._behind.detections}
        wanted = [each["detection_id"] for each in self._behind.incident["detections"]]
        known |= {
            each["detection_id"]: each for each in self._looked_up([each for each in wanted if each not in known])
        }
        found = [known[each] for each in wanted if each in known]
        return sorted(found, key=lambda each: (str(each["at"]), each["detection_id"]))

    def flow_ids(self) -> list[int]:
        """Return the identities of the flows behind it, in the order of its detections, each once."""
        every = (flow for each in self._behind.incident["detections"] for flow in each["flow_ids"])
        return list(islice(dict.fromkeys(every), MOST_FLOWS))

    def flows(self, ids: Sequence[int], columns: Sequence[str]) -> list[dict[str, Any]]:
        """Return rows of flows, as far as the table still has them, in order of time."""
        table, found = flows_table(), list[dict[str, Any]]()
        for part in portions(ids):
            query = Query((Filter(table.key, "=", part),), limit=len(part))
            found += self._platform.tables.page(self._tenant, table.name, query, sorted({*columns, table.at}))[0]
        found.sort(key=lambda row: row[table.at])
        return [{name: row[name] for name in columns} for row in found]

    def graph(self) -> Graph:
        """Return who did what to whom; raises InputError for a record that is damaged."""
        return draw_incident(decision_of_record(self._stored.body), self._volumes(), MOST_DRAWN)

    def similar(self) -> tuple[list[Likeness], int]:
        """Return the incidents that are most like it, and how many were compared."""
        own = LOOKS.decode(self._stored.body)
        ours = shown(own.categories, own.techniques)
        compared = [compared_to(own, ours, *each) for each in self._candidates(own).items()]
        near = [each for each in compared if each.similarity >= LEAST]
        near.sort(key=lambda each: (-each.similarity, -len(each.entities), -each.looks.last_seen, each.incident_id))
        return near[:MOST_SIMILAR], len(compared)

    def _looked_up(self, wanted: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Yield rows of the table of detections, for records that were written before these were kept in them."""
        table = detections_table()
        for part in portions(wanted):
            query = Query((Filter(table.key, "=", part),), limit=len(part))
            rows, _ = self._platform.tables.page(self._tenant, table.name, query, list(table.columns))
            yield from map(detection_object, rows)

    def _volumes(self) -> dict[tuple[str, str], Volume]:
        sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
        for row in self.flows(self.flow_ids(), ("orig_ip", "resp_ip", "orig_bytes", "resp_bytes")):
            pair = sums[row["orig_ip"], row["resp_ip"]]
            pair[0] += 1
            pair[1] += (row["orig_bytes"] or 0) + (row["resp_bytes"] or 0)
        return {pair: Volume(*counted) for pair, counted in sums.items()}

    def _candidates(self, own: Looks) -> dict[str, Looks]:
        """Return the latest incidents that share something, found by indexes: their number is bounded."""
        found: dict[str, Looks] = {}
        for name in SHARED:
            if values := tuple(getattr(own, name)[:MOST_ALTERNATIVES]):
                query = Query((Filter(name, "=", values),), Order("last_seen", descending=True), MOST_CANDIDATES)
                page = self._platform.records.page(self._tenant, INCIDENTS, query)
                found |= {row.key: LOOKS.decode(row.body) for row in page.rows if row.key not in found}
        found.pop(self._stored.key, None)
        return found


def compared_to(own: Looks, ours: frozenset[str], incident_id: str, other: Looks) -> Likeness:
    """Return how like an incident is to one that shows `ours`."""
    both = (
        sorted({*getattr(own, name)} & {*getattr(other, name)}) for name in ("entities", "techniques", "categories")
    )
    return Likeness(incident_id, other, likeness(ours, shown(other.categories, other.techniques)), *both)


def portions(wanted: Iterable[Any]) -> Iterator[tuple[Any, ...]]:
    """Yield values in tuples that a filter takes."""
    rest = iter(wanted)
    while part := tuple(islice(rest, MOST_ALTERNATIVES)):
        yield part
