"""Draws graphs for people: collects who and what takes part, and keeps the worst of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from infraspectre.intel.attack_graph import attack_graph
from infraspectre.intel.knowledge import domains_of
from infraspectre.records import Decision, Detection
from infraspectre.records.address import is_inside, parse_address
from infraspectre.records.detection import SEVERITIES, Severity
from infraspectre.records.graph import Graph, GraphEdge, GraphNode, LeftOut, NodeKind

MOST_EDGES_A_NODE = 8
"""Edges that are kept for each node that may be kept: more are no picture but a ball."""


class Volume(NamedTuple):
    """Says how much went between two hosts."""

    flows: int
    bytes: int


class Drawing:
    """Collects nodes and edges, each once with its worst level and its count."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._nodes: dict[str, tuple[NodeKind, str, Severity, int]] = {}
        self._edges: dict[tuple[str, str, str], tuple[int, int | None]] = {}

    def node(self, kind: NodeKind, value: str, level: Severity, count: int = 1, label: str = "") -> str:
        """Add a node, or to its count, and return its identity."""
        identity = f"{kind}:{value}"
        _, known, before, counted = self._nodes.get(identity, (kind, "", level, 0))
        worst = max(before, level, key=SEVERITIES.index)
        self._nodes[identity] = (kind, known or label or value, worst, counted + count)
        return identity

    def party(self, value: str, level: Severity, count: int = 1) -> str:
        """Add who takes part as what it is: a host of the own network, another address, or a name."""
        kind: NodeKind = "name" if parse_address(value) is None else "host" if is_inside(value) else "address"
        return self.node(kind, value, level, count)

    def edge(self, source: str, target: str, kind: str, count: int = 1, size: int | None = None) -> None:
        """Add an edge, or to its count."""
        counted, known = self._edges.get((source, target, kind), (0, None))
        both = None if size is None and known is None else (size or 0) + (known or 0)
        self._edges[source, target, kind] = (counted + count, both)

    def graph(self, most: int, first: Iterable[str] = ()) -> Graph:
        """Return so many nodes, those named first and then the worst, with the edges between them."""
        ranked = sorted(self._nodes, key=self._rank)
        kept = dict.fromkeys([*(each for each in first if each in self._nodes), *ranked])
        shown = dict.fromkeys(list(kept)[:most])
        within = [key for key in self._edges if key[0] in shown and key[1] in shown]
        drawn = sorted(within, key=lambda key: -self._edges[key][0])[: most * MOST_EDGES_A_NODE]
        left_out = LeftOut(len(self._nodes) - len(shown), len(self._edges) - len(drawn))
        nodes = [GraphNode(each, *self._nodes[each]) for each in shown]
        return Graph(nodes, [GraphEdge(*key, *self._edges[key]) for key in drawn], left_out)

    def _rank(self, node: str) -> tuple[int, int, str]:
        _, _, level, count = self._nodes[node]
        return -SEVERITIES.index(level), -count, node


def draw_incident(decision: Decision, volumes: Mapping[tuple[str, str], Volume], most: int) -> Graph:
    """Return who did what to whom in an incident, by its attack graph, with what flowed between them."""
    drawing, level = Drawing(), decision.threat_score.level
    told = attack_graph([decision])
    chief = [drawing.party(each, level, 0) for each in decision.incident.entities]
    for host in told.nodes:
        drawing.party(host.id, level, 0)
    for shown in decision.incident.techniques:
        drawing.node("technique", shown.id, level, 0, shown.name)
    for action in told.edges:
        ends = [drawing.party(name, action.severity, len(action.detections)) for name in (action.source, action.target)]
        did = drawing.node("detection", action.category, action.severity, len(action.detections))
        drawing.edge(ends[0], did, "acted", len(action.detections))
        drawing.edge(did, ends[1], "upon", len(action.detections))
    acted = {name for action in told.edges for name in action.detections}
    for each in decision.incident.detections:
        _draw_detection(drawing, each, is_drawn=each.detection_id in acted)
    for (source, target), volume in volumes.items():
        start, end = (drawing.party(name, "informational", 0) for name in (source, target))
        drawing.edge(start, end, "talked", volume.flows, volume.bytes)
    return drawing.graph(most, chief)


def _draw_detection(drawing: Drawing, found: Detection, *, is_drawn: bool) -> None:
    """Add what a detection shows, and the detection itself where it names only one end."""
    counted = 0 if is_drawn else 1
    did = drawing.node("detection", found.category, found.severity, counted)
    if not is_drawn:
        for name, kind in ((found.orig, "acted"), (found.resp, "upon")):
            if name:
                end = drawing.party(name, found.severity)
                drawing.edge(*((end, did) if kind == "acted" else (did, end)), kind)
    for each in found.techniques:
        drawing.edge(did, drawing.node("technique", each.id, found.severity, 1, each.name), "shows")
    for name in domains_of(found):
        drawing.edge(did, drawing.node("name", name, found.severity), "upon")
