"""The knowledge graph on a Neo4j server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infraspectre.adapters.knowledge_graph import statements
from infraspectre.errors import InputError, OutputError, UsageError
from infraspectre.records.knowledge import PROPERTIES, Answer, Knowledge


class Neo4jGraph:
    """Keeps a knowledge graph on a server, with the same nodes, edges and questions as the one in a file."""

    def __init__(self, address: str, user: str, password: str, database: str | None = None) -> None:
        """Connect to a server such as neo4j+s://graph.example; raises UsageError without the driver, and InputError."""
        try:
            from neo4j import GraphDatabase
            from neo4j.exceptions import DriverError, Neo4jError
        except ImportError as error:
            remedy = "install it with: pip install 'infraspectre[neo4j]'"
            raise UsageError("a graph on Neo4j needs the package neo4j", remedy=remedy) from error
        self._failures = (DriverError, Neo4jError)
        self._database = database
        try:
            self._driver = GraphDatabase.driver(address, auth=(user, password))
            self._driver.verify_connectivity()
        except (*self._failures, ValueError) as error:
            raise InputError(f"cannot be reached: {error}", path=address) from error
        for kind in PROPERTIES:
            self._change(f"CREATE CONSTRAINT IF NOT EXISTS FOR (n:{kind}) REQUIRE n.id IS UNIQUE")

    def write(self, knowledge: Knowledge) -> None:
        """Add nodes and edges, each once; raises OutputError."""
        for statement, rows in statements(knowledge):
            self._change(statement, rows=rows)

    def query(self, text: str, parameters: Mapping[str, Any] | None = None) -> Answer:
        """Answer a question that changes nothing; raises InputError for one that cannot be answered."""
        try:
            with self._driver.session(database=self._database, default_access_mode="READ") as session:
                result = session.run(text, dict(parameters or {}))
                return Answer(list(result.keys()), [list(each.values()) for each in result])
        except self._failures as error:
            raise InputError(str(error), path="query", remedy="docs/guides/graph.md shows some") from error

    def close(self) -> None:
        """Close the connections."""
        self._driver.close()

    def _change(self, text: str, **parameters: Any) -> None:
        try:
            self._driver.execute_query(text, parameters, database_=self._database)
        except self._failures as error:
            raise OutputError(f"cannot be written: {error}") from error
