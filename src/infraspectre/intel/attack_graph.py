"""The attack graph of incidents: who did what to whom and when, as data for other tools."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import msgspec

from infraspectre.records import Decision
from infraspectre.records.address import is_inside
from infraspectre.records.detection import SEVERITIES, Severity
from infraspectre.records.times import rfc3339


class HostNode(msgspec.Struct, frozen=True):
    """Is a host that takes part."""

    id: str
    is_inside: bool
    incidents: list[str]


class ActionEdge(msgspec.Struct, frozen=True):
    """Says what one host did to another, once for each category of findings."""

    source: str
    target: str
    category: str
    severity: Severity
    first_seen: str
    last_seen: str
    techniques: list[str]
    detections: list[str]


class AttackGraph(msgspec.Struct, frozen=True):
    """Holds hosts and what they did, in order of time."""

    nodes: list[HostNode]
    edges: list[ActionEdge]


def attack_graph(decisions: Iterable[Decision]) -> AttackGraph:
    """Return the graph of incidents; findings without actor or target are no edges."""
    members: dict[str, dict[str, None]] = {}
    found: dict[str, tuple[str, str]] = {}
    edges: dict[tuple[str, str, str], list[Any]] = {}
    for decision in decisions:
        incident = decision.incident
        for name in incident.entities:
            members.setdefault(name, {})[incident.incident_id] = None
        for each in incident.detections:
            if not each.orig or not each.resp or each.detection_id in found:
                continue
            found[each.detection_id] = each.orig, each.resp
            for name in found[each.detection_id]:
                members.setdefault(name, {})[incident.incident_id] = None
            edges.setdefault((each.orig, each.resp, each.category), []).append(each)
    made = [_edge(*key, its) for key, its in edges.items()]
    nodes = [HostNode(name, is_inside(name), list(its)) for name, its in sorted(members.items())]
    return AttackGraph(nodes, sorted(made, key=lambda edge: (edge.first_seen, edge.source, edge.target, edge.category)))


def _edge(source: str, target: str, category: str, findings: list[Any]) -> ActionEdge:
    return ActionEdge(
        source,
        target,
        category,
        max((each.severity for each in findings), key=SEVERITIES.index),
        rfc3339(min(each.begin for each in findings)),
        rfc3339(max(each.end for each in findings)),
        sorted({technique.id for each in findings for technique in each.techniques}),
        [each.detection_id for each in findings],
    )


def as_json(graph: AttackGraph) -> bytes:
    """Return a graph as JSON."""
    return msgspec.json.format(msgspec.json.encode(graph), indent=2) + b"\n"


def as_dot(graph: AttackGraph) -> bytes:
    """Return a graph in the language of Graphviz."""
    lines = ["digraph attack {", "  rankdir=LR;"]
    shapes = {True: "box, style=rounded", False: "box"}
    lines += [f"  {_quoted(node.id)} [shape={shapes[node.is_inside]}];" for node in graph.nodes]
    for edge in graph.edges:
        label = filter(None, (edge.category, ", ".join(edge.techniques), edge.first_seen[:19]))
        lines.append(f"  {_quoted(edge.source)} -> {_quoted(edge.target)} [label={_quoted(*label)}];")
    return ("\n".join([*lines, "}"]) + "\n").encode()


def _quoted(*lines: str) -> str:
    """Return lines as Graphviz reads them back, whatever signs are in them."""
    return '"' + "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in lines) + '"'


NODE_FIELDS = {"is_inside": "boolean", "incidents": "string"}
EDGE_FIELDS = dict.fromkeys(("category", "severity", "first_seen", "last_seen", "techniques", "detections"), "string")


def as_graphml(graph: AttackGraph) -> bytes:
    """Return a graph as GraphML 1.0, which Gephi, yEd and NetworkX read."""
    keys = [
        f'<key id="{name}" for="{kind}" attr.name="{name}" attr.type="{form}"/>'
        for kind, fields in (("node", NODE_FIELDS), ("edge", EDGE_FIELDS))
        for name, form in fields.items()
    ]
    nodes = [f"<node id={quoteattr(node.id)}>{_data(node, NODE_FIELDS)}</node>" for node in graph.nodes]
    edges = [
        f'<edge id="e{number}" source={quoteattr(edge.source)} target={quoteattr(edge.target)}>'
        f"{_data(edge, EDGE_FIELDS)}</edge>"
        for number, edge in enumerate(graph.edges)
    ]
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<graphml xmlns="http://graphml.graphdrawing.org/xmlns">'
    body = "\n".join([head, *keys, '<graph edgedefault="directed">', *nodes, *edges, "</graph>", "</graphml>"])
    return (body + "\n").encode()


def _data(record: HostNode | ActionEdge, fields: Mapping[str, str]) -> str:
    return "".join(f'<data key="{name}">{escape(_text(getattr(record, name)))}</data>' for name in fields)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(value) if isinstance(value, list) else str(value)


FORMS: Mapping[str, Callable[[AttackGraph], bytes]] = {".json": as_json, ".dot": as_dot, ".graphml": as_graphml}
"""How a graph is written, by the end of the file's name."""
