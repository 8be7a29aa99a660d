"""Graphs for people: the worst is kept, and what is left out is counted."""

from __future__ import annotations

from findings import correlated, finding
from infraspectre.intel.drawing import Drawing, Volume, draw_incident
from infraspectre.records import Decision, Detection
from infraspectre.records.graph import LeftOut
from infraspectre.reflex import Reflex


def decided(*found: Detection) -> Decision:
    (incident,) = correlated(found)
    return Reflex().decide(incident)


STORY = decided(
    finding(1, "192.0.2.9", "10.0.0.5"),
    finding(2, "192.0.2.9", "10.0.0.5", at=20, severity="high", category="ssh_brute_force", techniques=("T1110.001",)),
)


def test_nodes_and_edges_count_and_keep_the_worst() -> None:
    drawing = Drawing()
    for level in ("low", "high", "medium"):
        host = drawing.party("10.0.0.1", level)
    drawing.edge(host, drawing.party("evil.example", "low"), "named", size=5)
    drawing.edge(host, drawing.party("evil.example", "low"), "named", size=7)
    graph = drawing.graph(10)
    assert [(each.id, each.kind, each.level, each.count) for each in graph.nodes] == [
        ("host:10.0.0.1", "host", "high", 3), ("name:evil.example", "name", "low", 2),
    ]  # fmt: skip
    assert [(each.kind, each.count, each.bytes) for each in graph.edges] == [("named", 2, 12)]


def test_what_is_asked_for_stays_and_what_is_left_out_is_counted() -> None:
    drawing = Drawing()
    mild = drawing.party("10.0.0.9", "informational")
    for number in range(20):
        drawing.edge(drawing.party(f"192.0.2.{number}", "critical"), mild, "acted")
    graph = drawing.graph(5, [mild, "host:10.9.9.9"])
    assert (graph.nodes[0].id, len(graph.nodes), len(graph.edges)) == (mild, 5, 4)
    assert graph.left_out == LeftOut(16, 16)


def test_an_incident_is_drawn_by_who_did_what_to_whom() -> None:
    graph = draw_incident(STORY, {("192.0.2.9", "10.0.0.5"): Volume(3, 900)}, 100)
    edges = {(each.source, each.target, each.kind): (each.count, each.bytes) for each in graph.edges}
    assert edges["address:192.0.2.9", "detection:ssh_brute_force", "acted"] == (1, None)
    assert edges["detection:ssh_brute_force", "host:10.0.0.5", "upon"] == (1, None)
    assert edges["detection:ssh_brute_force", "technique:T1110.001", "shows"] == (1, None)
    assert edges["address:192.0.2.9", "host:10.0.0.5", "talked"] == (3, 900)
    assert {each.id: each.level for each in graph.nodes}["detection:ssh_brute_force"] == "high"


def test_a_finding_of_one_end_is_drawn_too() -> None:
    alone = decided(finding(1, "10.0.0.7", None, category="tls_beacon", techniques=("T1573",), severity="high"))
    graph = draw_incident(alone, {}, 100)
    assert ("host:10.0.0.7", "detection:tls_beacon", "acted") in {(e.source, e.target, e.kind) for e in graph.edges}
