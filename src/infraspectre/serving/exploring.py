"""Exploring: the graph of hosts, incidents, campaigns, techniques and indicators, from the latest incidents."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from infraspectre.errors import InputError
from infraspectre.intel.attack import attack_table
from infraspectre.intel.drawing import Drawing
from infraspectre.intel.indicators import IndicatorIndex
from infraspectre.intel.indicators.values import typed
from infraspectre.ports import Stored
from infraspectre.records.collections import INCIDENTS
from infraspectre.records.detection import Severity
from infraspectre.records.graph import Graph
from infraspectre.records.queries import Filter, Order, Query
from infraspectre.serving.intelligence import intelligence_of
from infraspectre.serving.investigation import portions
from infraspectre.serving.platform import Platform

FIELDS = {
    "host": "entities", "address": "entities", "name": "entities", "indicator": "entities", "technique": "techniques",
    "campaign": "campaign_id",
}  # fmt: skip
"""The field of incidents by which those around a node of each kind are found."""
MOST_INCIDENTS = 3_000
"""Incidents of one picture, the latest first."""
MOST_ASKED = 300
"""Nodes around which further incidents are looked for at once."""
ROWS_AT_ONCE = 250
LONGEST_S = 2.0
"""After which no more incidents are looked for: the picture is drawn of what was found, and says so."""


class Drawn(msgspec.Struct, frozen=True):
    """Is the part of the record of an incident that the graph shows."""

    title: str
    level: Severity
    last_seen: int
    entities: list[str]
    techniques: list[str]
    campaign_id: str | None


class Place(NamedTuple):
    """Is a node by its kind and value."""

    kind: str
    value: str

    @classmethod
    def of(cls, text: str) -> Place:
        """Read KIND:VALUE; raises InputError for what is none."""
        kind, colon, value = text.partition(":")
        if kind not in (*FIELDS, "incident") or not colon or not value:
            remedy = f"write KIND:VALUE, such as host:10.0.0.5; there are {', '.join((*FIELDS, 'incident'))}"
            raise InputError("is no node", field="node", remedy=remedy)
        return cls(kind, value)


class Picture(NamedTuple):
    """Is a graph, and from how many incidents it was drawn."""

    graph: Graph
    incidents: int
    is_whole: bool
    """Whether all incidents of the span that it should show were looked at."""


DRAWN = msgspec.json.Decoder(Drawn)


class Explorer:
    """Draws what the latest incidents of a tenant show."""

    def __init__(self, platform: Platform, tenant: str, start: int) -> None:
        """Look at incidents that were seen since a time."""
        self._platform, self._tenant = platform, tenant
        self._since = Filter("last_seen", ">=", (start,))
        self._found: dict[str, Drawn] = {}
        self._shown: dict[str, frozenset[str]] = {}
        """Of what incidents name, that which is shown, where it is not all."""
        self._is_whole = True
        self._deadline = time.monotonic() + LONGEST_S

    def everything(self, most: int) -> Picture:
        """Return the whole recent picture: so many nodes, the worst first."""
        self._find(())
        return self._drawn(most, None)

    def around(self, place: Place, depth: int, most: int) -> Picture:
        """Return what lies so many steps around a node; raises InputError for one that no incident names."""
        frontier, reached = {place}, 0
        if place.kind == "incident":
            self._named(place)
            frontier, reached = self._around(self._found), 1
        while frontier and reached < depth:
            known = set(self._found)
            self._search(frontier)
            fresh, reached = self._found.keys() - known, reached + 1
            if reached == depth:  # the last step leads to incidents alone, not to what these name besides
                self._shown |= dict.fromkeys(fresh, frozenset(each.value for each in frontier))
            frontier, reached = self._around(fresh), reached + 1
        if not self._found:
            raise InputError("is named by no incident of this span", field="node")
        return self._drawn(most, place)

    def _around(self, incidents: Iterable[str]) -> set[Place]:
        """Return the nodes that incidents name."""
        return {place for key in incidents for place in places_of(self._found[key])}

    def _named(self, place: Place) -> None:
        """Add the incident that a node is."""
        if place.kind == "incident":
            stored = self._platform.records.get(self._tenant, INCIDENTS, place.value)
            if stored is not None:
                self._add([stored])

    def _search(self, places: Iterable[Place]) -> None:
        """Add the incidents that name any of some nodes."""
        ordered = sorted(each for each in places if each.kind in FIELDS)
        self._is_whole &= len(ordered) <= MOST_ASKED
        for field in dict.fromkeys(FIELDS.values()):
            values = dict.fromkeys(each.value for each in ordered[:MOST_ASKED] if FIELDS[each.kind] == field)
            for part in portions(values):
                self._find((Filter(field, "=", part),))

    def _find(self, filters: tuple[Filter, ...]) -> None:
        """Add incidents page by page, as far as there is room."""
        after: str | None = None
        while len(self._found) < MOST_INCIDENTS and time.monotonic() < self._deadline:
            query = Query((*filters, self._since), Order("last_seen", descending=True), ROWS_AT_ONCE, after)
            page = self._platform.records.page(self._tenant, INCIDENTS, query)
            self._add(page.rows)
            if (after := page.next) is None:
                return
        self._is_whole = False

    def _add(self, rows: Iterable[Stored]) -> None:
        fresh = [row for row in rows if row.key not in self._found]
        room = MOST_INCIDENTS - len(self._found)
        self._is_whole &= len(fresh) <= room
        self._found |= {row.key: DRAWN.decode(row.body) for row in fresh[:room]}

    def _drawn(self, most: int, place: Place | None) -> Picture:
        index, drawing = intelligence_of(self._platform, self._tenant).index, Drawing()
        for key, incident in self._found.items():
            draw(drawing, key, incident, index, self._shown.get(key))
        kinds = () if place is None else (place.kind, "host", "address", "name")
        first = [f"{kind}:{place.value}" for kind in kinds if place is not None]
        return Picture(drawing.graph(most, first), len(self._found), self._is_whole)


def places_of(incident: Drawn) -> Iterator[Place]:
    """Yield the nodes that an incident names."""
    yield from (Place("host", each) for each in incident.entities)
    yield from (Place("technique", each) for each in incident.techniques)
    if incident.campaign_id:
        yield Place("campaign", incident.campaign_id)


def draw(drawing: Drawing, key: str, incident: Drawn, index: IndicatorIndex, only: frozenset[str] | None) -> None:
    """Add an incident with what it names, or with some of that."""
    level = incident.level
    own = drawing.node("incident", key, level, 1, incident.title)
    for entity in incident.entities:
        if only is None or entity in only:
            party = drawing.party(entity, level)
            drawing.edge(own, party, "named")
            if is_known(index, entity):
                drawing.edge(party, drawing.node("indicator", entity, level), "matches")
    for technique in incident.techniques:
        if only is None or technique in only:
            name = attack_table().techniques.get(technique)
            drawing.edge(own, drawing.node("technique", technique, level, 1, name[0] if name else technique), "shows")
    if incident.campaign_id and (only is None or incident.campaign_id in only):
        drawing.edge(own, drawing.node("campaign", incident.campaign_id, level), "part of")


def is_known(index: IndicatorIndex, entity: str) -> bool:
    """Tell whether an indicator names a host or name itself."""
    if not len(index):
        return False
    try:
        return index.row(*typed(entity)) is not None
    except ValueError:
        return False
