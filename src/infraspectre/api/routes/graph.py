"""The graph: how hosts, incidents, campaigns, techniques and indicators of the latest days hang together."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import get
from litestar.params import QueryParameter

from infraspectre.api.given import GivenPlatform, GivenPrincipal
from infraspectre.api.problems import RefusedError, about_content
from infraspectre.errors import InputError
from infraspectre.records.graph import GraphEdge, GraphNode, LeftOut
from infraspectre.records.times import UNITS, rfc3339
from infraspectre.serving.exploring import Explorer, Place

MOST_NODES = 10_000
Node = Annotated[
    str | None,
    QueryParameter(
        pattern=r"^(host|address|name|technique|incident|campaign|indicator):[\s\S]{1,255}$",
        description="KIND:VALUE, such as host:10.0.0.5, technique:T1071 or incident:ID; the whole picture by default.",
    ),
]
Depth = Annotated[int, QueryParameter(ge=1, le=3, description="Steps around the node.")]
Limit = Annotated[int, QueryParameter(ge=1, le=MOST_NODES, description="Nodes at the most.")]
Days = Annotated[int, QueryParameter(ge=1, le=365, description="Days of incidents that are looked at.")]


class GraphView(msgspec.Struct, frozen=True):
    """Is a part of the graph."""

    nodes: list[GraphNode]
    """The node that was asked for first, then the worst."""
    edges: list[GraphEdge]
    left_out: LeftOut
    start: str
    incidents: int
    """From how many it was drawn."""
    is_whole: bool
    """Whether these were all: at most 3,000 are looked at, and for two seconds."""


@get("/api/v1/graph", opt={"permission": "read", "statuses": (404,)}, sync_to_thread=True)
def show_graph(
    platform: GivenPlatform,
    principal: GivenPrincipal,
    node: Node = None,
    depth: Depth = 2,
    limit: Limit = 500,
    days: Days = 30,
) -> GraphView:
    """Show what lies around a node, or the whole recent picture."""
    start = platform.clock.now() - days * UNITS["d"]
    explorer = Explorer(platform, principal.tenant, start)
    with about_content():
        place = None if node is None else Place.of(node)
    try:
        picture = explorer.everything(limit) if place is None else explorer.around(place, depth, limit)
    except InputError as error:
        raise RefusedError("not-found", error.detail) from error
    graph = picture.graph
    return GraphView(graph.nodes, graph.edges, graph.left_out, rfc3339(start), picture.incidents, picture.is_whole)


HANDLERS = [show_graph]
