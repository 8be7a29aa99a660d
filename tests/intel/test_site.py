"""One file says what the owner of a site knows and allows; all that is wrong in it is named at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from findings import finding
from infraspectre.errors import InputError
from infraspectre.intel.site import Site, load_site

SITE = """
time_zone: UTC
assets:
  - {network: 10.0.0.9, name: vault, roles: [backup]}
  - {network: 10.0.0.40, name: nessus, roles: [scanner]}
scanners:
  - {name: audit, hosts: [10.0.0.41], targets: [10.0.1.0/24]}
maintenance:
  - {name: patches, hosts: [10.0.2.0/24], when: Thu 12:00-13:00}
rules:
  - {name: nightly copy, who: ["role:backup"], whom: [198.51.100.7], what: [exfiltration, T1048], reason: contract 12}
"""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site with rules of all kinds."""
    path = tmp_path / "site.yaml"
    path.write_text(SITE, encoding="utf-8")
    return load_site(path)


@pytest.mark.parametrize(
    ("orig", "resp", "category", "at"),
    [
        ("10.0.0.9", "198.51.100.7", "slow_transfer", 0),
        ("10.0.0.40", "10.0.5.5", "port_scan", 0),
        ("10.0.0.40", None, "network_sweep", 0),
        ("10.0.0.41", "10.0.1.5", "ssh_brute_force", 0),
        ("10.0.2.5", "10.0.7.7", "remote_execution", 0),
        ("10.0.7.7", "10.0.2.5", "remote_execution", 0),
    ],
)
def test_what_is_allowed_is_lowered_and_says_why(site: Site, orig: str, resp: str, category: str, at: float) -> None:
    [judged] = site.rules.apply([finding(1, orig, resp, category=category, severity="high", score=0.8, at=at)])
    assert (judged.severity, judged.score, judged.detection_id) == ("informational", 0.2, f"{1:020}")
    assert "allowed by" in judged.evidence.summary
    assert judged.evidence.measures["score_unless_allowed"] == 0.8


@pytest.mark.parametrize(
    ("orig", "resp", "category", "at"),
    [
        ("10.0.0.9", "203.0.113.1", "slow_transfer", 0),
        ("10.0.0.9", "198.51.100.7", "beacon", 0),
        ("10.0.0.40", "198.51.100.7", "port_scan", 0),
        ("10.0.0.40", "10.0.5.5", "beacon", 0),
        ("10.0.0.41", "10.0.5.5", "port_scan", 0),
        ("10.0.2.5", "10.0.7.7", "remote_execution", 3_600),
        ("10.0.2.5", "10.0.7.7", "beacon", 0),
    ],
)
def test_what_no_rule_names_stays(site: Site, orig: str, resp: str, category: str, at: float) -> None:
    found = [finding(1, orig, resp, category=category, at=at)]
    assert site.rules.apply(found) == found


def test_what_began_before_its_window_stays(site: Site) -> None:
    found = [finding(1, "10.0.2.5", "10.0.7.7", category="remote_execution", lasting=7_200)]
    assert site.rules.apply(found) == found


def test_all_errors_are_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(
        "time_zone: Nowhere\nassets:\n- network: 10.0.0.999\n- nework: 1\nscanners:\n- {name: x, hosts: [nobody]}\n"
        "rules:\n- {name: y, what: [scann], when: 'Fri 25:00'}\nfoo: 1\n",
        encoding="utf-8",
    )
    with pytest.raises(InputError) as caught:
        load_site(path)
    told = str(caught.value)
    assert [f"site.yaml:{line}" in told for line in (1, 3, 4, 6, 8, 9)] == [True] * 6


def test_all_rows_of_a_table_are_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "site.csv"
    path.write_text("network,roles\n10.0.0.5,printer;scanner\nx\ny\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_site(path)
    assert ["site.csv:3" in str(caught.value), "site.csv:4" in str(caught.value)] == [True, True]


def test_a_table_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("network,name\n10.0.0.1," + "a" * 200_000)
    with pytest.raises(InputError, match="cannot be read as a table"):
        load_site(tmp_path / "a.csv")
