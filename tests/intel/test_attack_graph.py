"""The attack graph: hosts and what they did, in forms that other tools read."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from shutil import which
from subprocess import run

import pytest

from findings import finding
from infraspectre.cortex import Cortex
from infraspectre.intel.attack_graph import as_dot, as_graphml, as_json, attack_graph
from infraspectre.records import Decision
from infraspectre.reflex import Reflex

HOSTILE = 'x"]; <&> \\N'


def decisions(name: str = "192.0.2.1") -> list[Decision]:
    cortex, reflex = Cortex(), Reflex()
    found = [
        finding(1, "192.0.2.9", "10.0.0.5"),
        finding(2, "192.0.2.9", "10.0.0.5", at=20, severity="high", detector="another"),
        finding(3, "10.0.0.5", name, category="tls_beacon", techniques=("T1573",), at=30),
    ]
    return [reflex.decide(each) for each in cortex.correlate(found) + cortex.finish()]


def test_findings_of_a_kind_between_two_hosts_are_one_edge() -> None:
    graph = attack_graph(decisions())
    assert [node.id for node in graph.nodes] == ["10.0.0.5", "192.0.2.1", "192.0.2.9"]
    assert [node.is_inside for node in graph.nodes] == [True, False, False]
    scan, beacon = graph.edges
    assert (scan.source, scan.target, scan.severity, len(scan.detections)) == ("192.0.2.9", "10.0.0.5", "high", 2)
    assert (beacon.techniques, beacon.first_seen) == (["T1573"], beacon.last_seen)


@pytest.mark.parametrize("name", ["192.0.2.1", HOSTILE])
def test_graphml_and_json_can_be_read_back(name: str) -> None:
    graph = attack_graph(decisions(name))
    space = {"g": "http://graphml.graphdrawing.org/xmlns"}
    root = ET.fromstring(as_graphml(graph))
    assert [node.get("id") for node in root.iterfind(".//g:node", space)] == [node.id for node in graph.nodes]
    ends = [(edge.get("source"), edge.get("target")) for edge in root.iterfind(".//g:edge", space)]
    assert ends == [(edge.source, edge.target) for edge in graph.edges]
    assert [node["id"] for node in json.loads(as_json(graph))["nodes"]] == [node.id for node in graph.nodes]


def test_graphviz_reads_the_graph() -> None:
    if which("dot") is None:
        pytest.skip("Graphviz is not installed")
    drawn = run(["dot", "-Tplain"], input=as_dot(attack_graph(decisions(HOSTILE))), capture_output=True, check=False)
    assert drawn.returncode == 0, drawn.stderr
    assert drawn.stdout.count(b"\nnode ") == 3


def test_quotes_of_names_are_escaped_for_graphviz() -> None:
    assert b'"x\\"]; <&> ' in as_dot(attack_graph(decisions(HOSTILE)))


def test_a_backslash_at_the_end_ends_no_name() -> None:
    assert b'"x\\\\" [' in as_dot(attack_graph(decisions("x\\")))
