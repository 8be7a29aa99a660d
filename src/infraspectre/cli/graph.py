"""`infraspectre graph`: the knowledge graph, built and asked."""

from __future__ import annotations

from pathlib import Path

from infraspectre.cli.grammar import Function, Group
from infraspectre.cli.options import DEFAULT, Common
from infraspectre.cli.output import note, print_json, print_table, warn_refused
from infraspectre.errors import UsageError


def build(
    *,
    out: str,
    attack: Path | None = None,
    incidents: list[Path] | None = None,
    common: Common = DEFAULT,
) -> int:
    """Build the knowledge graph of ATT&CK and of what analyses found.

    Parameters
    ----------
    out
        Write the graph into this file (needs the extra 'graph'), or to a Neo4j server such as neo4j+s://graph.example
        (needs the extra 'neo4j'; INFRASPECTRE_NEO4J_USER and INFRASPECTRE_NEO4J_PASSWORD say how to log on).
    attack
        Add the techniques, groups, campaigns and software of this STIX bundle of ATT&CK (also .gz and .zst).
    incidents
        Add the incidents in this folder, which 'analyze' has written; may be repeated.
    """
    from infraspectre import graphbook

    if not attack and not incidents:
        raise UsageError("nothing to put into the graph", remedy="name --attack or --incidents")
    built = graphbook.build(out, attack, incidents or [])
    status = warn_refused(built.refused, "--json names all")
    if common.json:
        print_json({"nodes": built.nodes, "edges": built.edges, "refused": built.refused})
    elif not common.quiet:
        note(f"{built.nodes:,} nodes and {built.edges:,} edges written to {out}")
    return status


def query(graph: str, text: str, /, *, common: Common = DEFAULT) -> None:
    """Ask the knowledge graph a question in Cypher.

    Parameters
    ----------
    graph
        File of a graph, or address of a Neo4j server.
    text
        The question; it can read and nothing else.
    """
    from infraspectre import graphbook
    from infraspectre.security import printable

    opened = graphbook.open_graph(graph)
    try:
        answer = opened.query(text)
    finally:
        opened.close()
    if common.json:
        print_json([dict(zip(answer.columns, row, strict=True)) for row in answer.rows])
    elif not common.quiet:
        print_table(answer.columns, [[printable(str(value)) for value in row] for row in answer.rows])


COMMANDS: dict[str, Function] = {"build": build, "query": query}
graph = Group("Build the knowledge graph of techniques, actors and incidents, and ask it in Cypher.", COMMANDS)
