"""Comparable incidents: what showed the same before, the most like first."""

from __future__ import annotations

from findings import correlated, finding
from infraspectre.records import Detection, Incident
from infraspectre.reflex.comparable import comparable


def incident(*found: Detection) -> Incident:
    (made,) = correlated(found)
    return made


NOW = incident(
    finding(1, "192.0.2.9", "10.0.0.5", at=90_000),
    finding(2, "192.0.2.9", "10.0.0.5", category="ssh_brute_force", techniques=("T1110.001",), at=90_100),
)
SCAN = incident(finding(3, "192.0.2.7", "10.0.0.8"))
SAME = incident(
    finding(4, "192.0.2.7", "10.0.0.5", at=9_000),
    finding(5, "192.0.2.7", "10.0.0.5", category="ssh_brute_force", techniques=("T1110.001",), at=9_100),
)
OTHER = incident(finding(6, "10.0.0.5", "192.0.2.1", category="tls_beacon", techniques=("T1573",)))


def test_what_shows_the_same_comes_first_and_what_shows_something_else_not_at_all() -> None:
    first, second = comparable(NOW, [OTHER, SCAN, SAME])
    assert (first.incident, second.incident) == (SAME, SCAN)
    assert (first.likeness, second.likeness) == (1.0, 0.5)
    assert set(first.techniques) == {"T1046", "T1110.001"}
    assert first.entities == ["10.0.0.5"]


def test_an_incident_is_not_comparable_to_itself_and_few_are_named() -> None:
    assert comparable(NOW, [NOW]) == []
    assert len(comparable(NOW, [SAME, SCAN, SCAN, SCAN], most=2)) == 2


def test_among_equals_common_hosts_and_the_later_count() -> None:
    late = incident(finding(7, "192.0.2.3", "10.0.9.9", at=500))
    near = incident(finding(8, "192.0.2.9", "10.0.0.5", at=100))
    assert [each.incident for each in comparable(NOW, [SCAN, late, near])] == [near, late, SCAN]
