"""The knowledge graph in a folder of its own: Cypher without a server, by ladybug."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infraspectre.errors import InputError, OutputError, UsageError
from infraspectre.records.knowledge import PROPERTIES, RELATIONS, Answer, Edge, Kind, Knowledge

if TYPE_CHECKING:
    from types import ModuleType

Row = dict[str, Any]
BATCH = 4096
"""Nodes or edges that are written by one statement."""
TYPES = {"text": "STRING", "texts": "STRING[]", "number": "DOUBLE"}
MEMORY_BYTES = 256 << 20
"""Memory that the database may use for its pages."""
QUESTION = re.compile(r"\s*(?:MATCH|OPTIONAL|UNWIND|WITH|RETURN|CALL)\b", re.IGNORECASE)
"""How questions begin; a database that is opened for reading still writes files (COPY TO) and loads extensions."""
QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`[^`]*`|//[^\n]*|/\*.*?\*/""", re.DOTALL)
"""Texts, names and remarks."""


class LadybugGraph:
    """Keeps a knowledge graph in one file."""

    def __init__(self, path: Path, *, is_new: bool) -> None:
        """Open a graph, or begin a new one.

        Raises UsageError where ladybug is not installed, InputError for a file that is none, and OutputError.
        """
        ladybug = _ladybug()
        if path.exists() == is_new:
            kind, problem = (OutputError, "is there already") if is_new else (InputError, "is not there")
            raise kind(problem, path=path, remedy="'infraspectre graph build' makes one")
        try:
            self._database = ladybug.Database(str(path), read_only=not is_new, buffer_pool_size=MEMORY_BYTES)
            self._connection = ladybug.Connection(self._database)
        except RuntimeError as error:
            raise InputError(f"is no knowledge graph: {error}", path=path) from error
        self._path = path
        if is_new:
            for statement in schema():
                self._connection.execute(statement)

    def write(self, knowledge: Knowledge) -> None:
        """Add nodes and edges, each once."""
        for statement, rows in statements(knowledge):
            self._connection.execute(statement, {"rows": rows})

    def query(self, text: str, parameters: Mapping[str, Any] | None = None) -> Answer:
        """Answer a question that changes nothing; raises InputError for one that cannot be answered."""
        statements = [each for each in QUOTED.sub(" ", text).split(";") if each.strip()]
        if not all(map(QUESTION.match, statements)):
            raise InputError("is no question", path="query", remedy="begin it with MATCH, UNWIND, WITH, CALL or RETURN")
        try:
            result = self._connection.execute(text, dict(parameters or {}))
        except RuntimeError as error:
            raise InputError(str(error), path="query", remedy="docs/guides/graph.md shows some") from error
        result = result[-1] if isinstance(result, list) else result
        return Answer(result.get_column_names(), [list(each) for each in result.get_all()])

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
        self._database.close()


def _ladybug() -> ModuleType:
    try:
        import ladybug
    except ImportError as error:
        remedy = "install it with: pip install 'infraspectre[graph]'"
        raise UsageError("the knowledge graph needs the package ladybug", remedy=remedy) from error
    return ladybug


def schema() -> Iterator[str]:
    """Yield the statements that make the tables of the founding schema."""
    for kind, properties in PROPERTIES.items():
        columns = ", ".join(f"{name} {TYPES[form]}" for name, form in properties.items())
        yield f"CREATE NODE TABLE {kind}(id STRING PRIMARY KEY, {columns})"
    for relation, ends in RELATIONS.items():
        joined = ", ".join(f"FROM {start} TO {end}" for start, end in ends)
        yield f"CREATE REL TABLE {relation}({joined}{', days INT64' if relation == 'PRECEDED_BY' else ''})"


def statements(knowledge: Knowledge) -> Iterator[tuple[str, list[Row]]]:
    """Yield the statements that write a graph, each with its rows, in Cypher as ladybug and Neo4j read it.

    Rows of a statement know the same things, since the type of what no row knows could not be told.
    """
    groups: dict[str, list[Row]] = {}
    for node in knowledge.nodes.values():
        told = {name: node.properties[name] for name in PROPERTIES[node.kind] if known(node.properties.get(name))}
        groups.setdefault(node_statement(node.kind, told), []).append({"id": node.id} | told)
    for edge in knowledge.edges:
        days = {} if edge.days is None else {"days": edge.days}
        row = {"source": edge.start[1], "target": edge.end[1]} | days
        groups.setdefault(edge_statement(edge), []).append(row)
    for statement, rows in groups.items():
        for start in range(0, len(rows), BATCH):
            yield statement, rows[start : start + BATCH]


def known(value: Any) -> bool:
    """Tell whether something is said; an empty list says nothing."""
    return value is not None and value != []


def node_statement(kind: Kind, names: Iterable[str]) -> str:
    """Return the statement that adds nodes of a kind, of which these properties are known."""
    told = ", ".join(f"n.{name} = r.{name}" for name in names)
    return f"UNWIND $rows AS r MERGE (n:{kind} {{id: r.id}})" + (f" SET {told}" if told else "")


def edge_statement(edge: Edge) -> str:
    """Return the statement that adds edges of this kind."""
    ends = f"(a:{edge.start[0]} {{id: r.source}}), (b:{edge.end[0]} {{id: r.target}})"
    told = "" if edge.days is None else " SET e.days = r.days"
    return f"UNWIND $rows AS r MATCH {ends} MERGE (a)-[e:{edge.relation}]->(b){told}"
