"""What every knowledge graph keeps and answers: the founding schema, and the founding questions unchanged."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from findings import finding
from infraspectre.cortex import Cortex
from infraspectre.errors import InputError
from infraspectre.graphbook import PASSWORD, USER, open_graph
from infraspectre.intel import knowledge
from infraspectre.ports import KnowledgeGraph
from infraspectre.records import Decision, Detection, Evidence
from infraspectre.records.knowledge import Edge, Knowledge, Node
from infraspectre.reflex import Reflex

SERVER = os.environ.get("INFRASPECTRE_TEST_NEO4J", "")
TECHNIQUES_OF_AN_ACTOR = """
MATCH (a:Actor {name: 'APT28'})-[:CONDUCTS]->(c:Campaign)
      -[:USES]->(t:Technique)
RETURN DISTINCT t.name, t.mitre_id
"""
THREAT_PATTERNS = """
MATCH (t:Threat)-[:CONTAINS]->(i1:Indicator),
      (t)-[:CONTAINS]->(i2:Indicator)
WHERE i1.type = 'ip' AND i2.type = 'domain'
RETURN i1.value, i2.value, COUNT(*) as frequency
ORDER BY frequency DESC
"""
NEXT_STEP = """
MATCH path = (t1:Technique)-[:PRECEDED_BY*1..3]->(t2:Technique)
WHERE t1.mitre_id IN ['T1566', 'T1059']
RETURN t2.name, LENGTH(path) as steps, COUNT(*) as frequency
ORDER BY frequency DESC
"""
ENRICHMENT = """
MATCH (i:Indicator {value: '192.168.1.1'})
      -[:RELATED_TO*1..2]-(related)
RETURN DISTINCT related.type, related.value, related.confidence
"""


@pytest.fixture(params=["file", "server"])
def graph(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KnowledgeGraph]:
    if request.param == "file":
        pytest.importorskip("ladybug", reason="the extra graph is not installed")
        opened = open_graph(str(tmp_path / "graph"), is_new=True)
    else:
        pytest.importorskip("neo4j", reason="the extra neo4j is not installed")
        if not SERVER or USER not in os.environ or PASSWORD not in os.environ:
            pytest.skip("INFRASPECTRE_TEST_NEO4J names no server to test with")
        opened = open_graph(SERVER, is_new=True)
    yield opened
    opened.close()


def told() -> Knowledge:
    """Return a small graph: an actor with a campaign, and an incident whose host called a name."""
    found = [
        finding(1, "192.0.2.9", "192.168.1.1", techniques=("T1566",)),
        finding(2, "192.168.1.1", "192.0.2.1", category="remote_execution", techniques=("T1059",), at=20),
        finding(
            3, "192.168.1.1", "192.0.2.1", category="malware_download", techniques=("T1071.004",), at=40,
            evidence=Evidence("called", examples=["cdn.evil.example", "not a name"]),
        ),
    ]  # fmt: skip
    cortex, reflex = Cortex(), Reflex()
    made = knowledge.empty()
    knowledge.add_incidents(made, decided(cortex, reflex, found))
    actor = made.add(Node("Actor", "G0007", {"name": "APT28", "aliases": ["Fancy Bear"]}))
    campaign = made.add(Node("Campaign", "C1", {"name": "one"}))
    technique = made.add(Node("Technique", "T1566", {"mitre_id": "T1566", "name": "Phishing"}))
    made.join("CONDUCTS", actor, campaign)
    made.join("USES", campaign, technique)
    return made


def decided(cortex: Cortex, reflex: Reflex, found: list[Detection]) -> list[Decision]:
    told = {each.incident_id: each for each in cortex.correlate(found) + cortex.finish()}
    return [reflex.decide(each) for each in told.values()]


def test_the_founding_questions_are_answered_as_they_were_written(graph: KnowledgeGraph) -> None:
    graph.write(told())
    assert graph.query(TECHNIQUES_OF_AN_ACTOR).rows == [["Phishing", "T1566"]]
    pairs = graph.query(THREAT_PATTERNS)
    assert pairs.columns == ["i1.value", "i2.value", "frequency"]
    assert ["192.168.1.1", "cdn.evil.example", 1] in pairs.rows
    steps = {(row[0], row[1]) for row in graph.query(NEXT_STEP).rows}
    assert ("Command and Scripting Interpreter", 1) in steps
    assert ("Application Layer Protocol: DNS", 2) in steps
    related = {(row[0], row[1]) for row in graph.query(ENRICHMENT).rows}
    assert {("ip", "192.0.2.9"), ("ip", "192.0.2.1"), ("domain", "cdn.evil.example")} <= related


def test_what_is_written_twice_is_there_once(graph: KnowledgeGraph) -> None:
    graph.write(told())
    graph.write(told())
    assert graph.query("MATCH (n:Actor) RETURN COUNT(*) AS n").rows == [[1]]
    assert graph.query("MATCH (:Campaign {id: 'C1'})-[e:USES]->(:Technique) RETURN COUNT(*) AS n").rows == [[1]]


def test_questions_have_parameters_and_bad_ones_say_why(graph: KnowledgeGraph) -> None:
    graph.write(told())
    answer = graph.query("MATCH (a:Actor) WHERE a.name = $name RETURN a.id", {"name": "APT28' OR 1=1"})
    assert answer.rows == []
    assert graph.query("MATCH (a:Actor) WHERE a.name = $name RETURN a.id", {"name": "APT28"}).rows == [["G0007"]]
    with pytest.raises(InputError):
        graph.query("MATCH (a:Actor RETURN a")


def test_every_node_has_an_edge_that_the_schema_knows() -> None:
    made = told()
    assert all(isinstance(each, Edge) and {each.start, each.end} <= made.nodes.keys() for each in made.edges)


def test_a_graph_is_asked_and_not_changed(tmp_path: Path) -> None:
    pytest.importorskip("ladybug", reason="the extra graph is not installed")
    opened = open_graph(str(tmp_path / "graph"), is_new=True)
    opened.write(told())
    opened.close()
    again = open_graph(str(tmp_path / "graph"))
    with pytest.raises(InputError):
        again.query("MATCH (a:Actor) DETACH DELETE a")
    assert again.query("MATCH (a:Actor) RETURN COUNT(*) AS n").rows == [[1]]
    again.close()
