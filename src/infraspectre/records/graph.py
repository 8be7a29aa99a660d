"""Graphs as people look at them: who and what takes part, how bad and how often, and what joins them."""

from __future__ import annotations

from typing import Literal

import msgspec

from infraspectre.records.detection import Severity

NodeKind = Literal["host", "address", "name", "technique", "detection", "incident", "campaign", "indicator"]
"""A host is inside the own network, an address outside; a detection stands for all of one category."""


class GraphNode(msgspec.Struct, frozen=True):
    """Is somebody or something that takes part."""

    id: str
    """Its kind and value, such as host:10.0.0.1."""
    kind: NodeKind
    label: str
    level: Severity
    """The worst that it has to do with."""
    count: int
    """How many detections or incidents name it."""


class GraphEdge(msgspec.Struct, frozen=True):
    """Says how two nodes relate."""

    source: str
    target: str
    kind: str
    """acted: somebody did what was detected, upon: to whom, shows: a technique, talked: flows between both,
    named: by an incident, part of: a campaign, matches: an indicator."""
    count: int
    bytes: int | None = None
    """Bytes of the flows between both, where they are known."""


class LeftOut(msgspec.Struct, frozen=True):
    """Counts what a graph does not show because there is more than was asked for."""

    nodes: int = 0
    edges: int = 0


class Graph(msgspec.Struct, frozen=True):
    """Holds nodes, the worst first, and the edges between them."""

    nodes: list[GraphNode]
    edges: list[GraphEdge]
    left_out: LeftOut
