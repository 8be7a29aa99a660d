"""The knowledge graph as plain data: nodes and edges of the founding schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

Kind = Literal["Threat", "Actor", "Technique", "Indicator", "Target", "Campaign", "Vulnerability"]
Relation = Literal[
    "USES",
    "CONDUCTS",
    "TARGETS",
    "CONTAINS",
    "EXPLOITS",
    "ASSOCIATED_WITH",
    "RELATED_TO",
    "PRECEDED_BY",
    "EVOLVED_FROM",
]

PROPERTIES: Mapping[Kind, Mapping[str, str]] = {
    "Threat": dict.fromkeys(("name", "type", "severity", "first_seen", "last_seen"), "text"),
    "Actor": {"name": "text", "aliases": "texts", "origin": "text", "motivation": "text"},
    "Technique": dict.fromkeys(("mitre_id", "name", "tactic", "description"), "text"),
    "Indicator": {"type": "text", "value": "text", "confidence": "number", "source": "text"},
    "Target": dict.fromkeys(("name", "sector", "region"), "text"),
    "Campaign": dict.fromkeys(("name", "start_date", "end_date"), "text"),
    "Vulnerability": {"cve_id": "text", "cvss_score": "number", "published_date": "text"},
}
"""What each kind of node says besides its `id`; times are RFC 3339, what is not known is null."""
RELATIONS: Mapping[Relation, tuple[tuple[Kind, Kind], ...]] = {
    "USES": (("Threat", "Technique"), ("Campaign", "Technique")),
    "CONDUCTS": (("Actor", "Campaign"),),
    "TARGETS": (("Campaign", "Target"),),
    "CONTAINS": (("Threat", "Indicator"),),
    "EXPLOITS": (("Technique", "Vulnerability"),),
    "ASSOCIATED_WITH": (("Actor", "Threat"),),
    "RELATED_TO": (("Indicator", "Indicator"),),
    "PRECEDED_BY": (("Threat", "Threat"), ("Technique", "Technique")),
    "EVOLVED_FROM": (("Campaign", "Campaign"),),
}
"""Which kinds of nodes each relation joins."""


class Node(NamedTuple):
    """Is one thing that is known."""

    kind: Kind
    id: str
    properties: Mapping[str, Any]


class Edge(NamedTuple):
    """Says how one thing relates to another; PRECEDED_BY leads from the earlier to the later."""

    relation: Relation
    start: tuple[Kind, str]
    end: tuple[Kind, str]
    days: int | None = None
    """For PRECEDED_BY, how many days lie between the two."""


class Answer(NamedTuple):
    """Holds the answer to a question: the names of its columns, and its rows."""

    columns: list[str]
    rows: list[list[Any]]


class Knowledge(NamedTuple):
    """Holds nodes by kind and identity, and edges; each once."""

    nodes: dict[tuple[Kind, str], Node]
    edges: dict[Edge, None]

    def add(self, node: Node) -> tuple[Kind, str]:
        """Add a node, or what is newly known about one, and return what edges call it."""
        key = node.kind, node.id
        known = self.nodes.get(key)
        told = {name: value for name, value in node.properties.items() if value is not None}
        self.nodes[key] = Node(*key, {**known.properties, **told} if known else node.properties)
        return key

    def join(self, relation: Relation, start: tuple[Kind, str], end: tuple[Kind, str], days: int | None = None) -> None:
        """Add an edge between two nodes."""
        self.edges[Edge(relation, start, end, days)] = None
