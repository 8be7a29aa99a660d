"""The composition root of the knowledge graph: ATT&CK and the folders of analyses in; answers to Cypher out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from infraspectre.errors import UsageError

if TYPE_CHECKING:
    from infraspectre.ports import KnowledgeGraph
    from infraspectre.records.knowledge import Knowledge
    from infraspectre.records.rules import Refusal

SERVERS = ("neo4j://", "neo4j+s://", "neo4j+ssc://", "bolt://", "bolt+s://", "bolt+ssc://")
"""How the addresses of Neo4j servers begin; anything else is a file."""
USER, PASSWORD = "INFRASPECTRE_NEO4J_USER", "INFRASPECTRE_NEO4J_PASSWORD"
"""Variables of the environment that hold how to log on to Neo4j."""


class Built(NamedTuple):
    """Says what was written into a graph, and which objects of ATT&CK could not be used."""

    nodes: int
    edges: int
    refused: list[Refusal]


def open_graph(place: str, *, is_new: bool = False) -> KnowledgeGraph:
    """Open a graph in a file, or on a Neo4j server; raises UsageError, InputError and OutputError."""
    if not place.startswith(SERVERS):
        from infraspectre.adapters.knowledge_graph import LadybugGraph

        return LadybugGraph(Path(place), is_new=is_new)
    from infraspectre.adapters.neo4j_graph import Neo4jGraph

    lacking = [name for name in (USER, PASSWORD) if not os.environ.get(name)]
    if lacking:
        raise UsageError(f"Neo4j needs {lacking[0]} in the environment")
    return Neo4jGraph(place, os.environ[USER], os.environ[PASSWORD])


def gather(attack: Path | None, incidents: Sequence[Path]) -> tuple[Knowledge, list[Refusal]]:
    """Return what a bundle of ATT&CK and the folders of analyses say; raises InputError."""
    from infraspectre.adapters.results import read_results
    from infraspectre.intel import knowledge

    graph = knowledge.empty()
    refused: list[Refusal] = []
    if attack is not None:
        from infraspectre.intel.attack_bundle import read_bundle

        bundle = read_bundle(attack)
        knowledge.add_attack(graph, bundle)
        refused = bundle.refused
    for folder in incidents:
        knowledge.add_incidents(graph, read_results(folder).decisions)
    return graph, refused


def build(place: str, attack: Path | None, incidents: Sequence[Path]) -> Built:
    """Write a new graph into a file, or into a Neo4j server; raises UsageError, InputError and OutputError."""
    known, refused = gather(attack, incidents)
    graph = open_graph(place, is_new=True)
    try:
        graph.write(known)
    finally:
        graph.close()
    return Built(len(known.nodes), len(known.edges), refused)
