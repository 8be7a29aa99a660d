from __future__ import annotations

import pytest

from findings import finding
from infraspectre.cortex.graph import Graph, indicators, node, registered, shared
from infraspectre.cortex.links import Fans
from infraspectre.records import Evidence, Severity

HOUR = 3_600.0


def graph(most_nodes: int = 100, most_mentions: int = 3, memory_ns: int = 10**15) -> Graph:
    return Graph(Fans(widest=4, most=100, memory_ns=10**15), most_nodes, most_mentions, memory_ns)


def told(found: Graph, number: int, severity: Severity = "medium", at: float = 0.0, orig: str = "a") -> None:
    detection = finding(number, orig, "b", severity=severity, at=at)
    found.add(detection, number, list(found.nodes_of(detection)))


def stories(found: Graph, at: str) -> list[int]:
    return [each.story for each in found.mentions(at)]


def test_nodes_are_told_apart_whatever_they_are_called() -> None:
    assert node("actor", "a", "b") != node("actor", 'a","b')
    assert shared(node("actor", 'a"b')) == 'a"b'


def test_the_most_telling_mentions_stay_and_fade() -> None:
    found = graph()
    told(found, 1, "critical")
    for number in (2, 3, 4):
        told(found, number, "medium", at=number)
    assert stories(found, node("actor", "a")) == [1, 3, 4]
    for number in (5, 6, 7):
        told(found, number, "medium", at=20 * HOUR + number)
    assert stories(found, node("actor", "a")) == [5, 6, 7]


def test_the_node_unused_for_longest_is_forgotten() -> None:
    found = graph(most_nodes=5)
    told(found, 1, orig="a")
    told(found, 2, orig="z")
    assert stories(found, node("actor", "a")) == []
    assert stories(found, node("actor", "z")) == [2]


def test_what_is_older_than_the_memory_is_gone() -> None:
    found = graph(memory_ns=10**9)
    told(found, 1)
    told(found, 2, at=5.0)
    assert stories(found, node("actor", "a")) == [2]


def test_the_target_of_a_sweep_is_not_mentioned() -> None:
    found = graph(most_mentions=50)
    for number in range(10):
        detection = finding(number, "a", f"r{number}")
        found.add(detection, number, list(found.nodes_of(detection)))
    assert [stories(found, node("target", f"r{number}")) for number in (4, 5)] == [[4], []]


@pytest.mark.parametrize(
    ("category", "example", "expected"),
    [
        ("beacon", "Update.Evil.example.", ["update.evil.example"]),
        ("dns_tunnel", "abcdef.t.evil.co.uk", ["evil.co.uk"]),
        ("file_download", "setup.exe", []),
        ("file_download", "d41d8cd98f00b204e9800998ecf8427e", ["d41d8cd98f00b204e9800998ecf8427e"]),
        ("beacon", "t13d1516h2_8daaf6152771_02713d6af862", ["t13d1516h2_8daaf6152771_02713d6af862"]),
        ("beacon", "10.0.0.1", []),
        ("beacon", "a" * 5000, []),
    ],
)
def test_domains_and_fingerprints_are_indicators(category: str, example: str, expected: list[str]) -> None:
    detection = finding(1, category=category, evidence=Evidence("", examples=[example]))
    assert [shared(each) for each in indicators(detection)] == expected


@pytest.mark.parametrize(
    ("name", "base"), [("a.b.example.com", "example.com"), ("a.shop.co.uk", "shop.co.uk"), ("x.de", "x.de")]
)
def test_what_was_registered_is_guessed_from_its_labels(name: str, base: str) -> None:
    assert registered(name) == base
