"""Indicators are merged, aged, weighed by warninglists, and found in whole columns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infraspectre.intel.indicators import IndicatorIndex
from infraspectre.intel.indicators.findings import Findings
from infraspectre.intel.indicators.index import DAY, HALF_LIFE_DAYS, Space
from infraspectre.intel.indicators.ranges import NOWHERE, Ranges
from infraspectre.intel.indicators.values import typed
from infraspectre.intel.indicators.warninglists import Warninglists
from infraspectre.records.indicators import About, Indicator

NOW = 1_767_225_600_000_000_000


def indicator(text: str, source: str = "a", confidence: float | None = 0.8, **about: Any) -> Indicator:
    """Return an indicator."""
    return Indicator(*typed(text), About((source,), confidence, **about))


def matched(index: IndicatorIndex, space: Space, *values: str) -> dict[str, str]:
    """Return which value was found by which indicator."""
    found = index.match(space, pl.Series(values))
    return {value: index.indicators[row].value for value, row, _ in found.iter_rows()}


def test_an_address_is_found_itself_before_its_network() -> None:
    index = IndicatorIndex(map(indicator, ["198.51.100.0/24", "198.51.100.7", "2001:db8::/32"]))
    assert matched(index, "address", "198.51.100.7", "198.51.100.8", "2001:db8::9", "192.0.2.1", "nobody") == {
        "198.51.100.7": "198.51.100.7",
        "198.51.100.8": "198.51.100.0/24",
        "2001:db8::9": "2001:db8::/32",
    }


def test_a_name_is_found_by_the_longest_domain_above_it() -> None:
    index = IndicatorIndex(map(indicator, ["evil.example", "a.evil.example"]))
    asked = ("evil.example", "x.a.evil.example", "b.evil.example", "notevil.example", "example")
    assert matched(index, "domain", *asked) == {
        "evil.example": "evil.example",
        "x.a.evil.example": "a.evil.example",
        "b.evil.example": "evil.example",
    }


def test_sources_support_each_other_and_one_counts_once() -> None:
    [both] = IndicatorIndex([indicator("evil.example", "a", 0.5), indicator("evil.example", "b", 0.5)]).indicators
    [same] = IndicatorIndex([indicator("evil.example", "a", 0.5), indicator("evil.example", "a", 0.6)]).indicators
    assert (both.about.confidence, both.about.sources, same.about.confidence) == (0.75, ("a", "b"), 0.6)


def test_confidence_halves_with_each_half_life() -> None:
    index = IndicatorIndex([indicator("198.51.100.7", last_seen=NOW)])
    half_life = int(HALF_LIFE_DAYS["ip"] * DAY)
    worth = [round(index.confidence(0, NOW + years), 3) for years in (-half_life, 0, half_life, 2 * half_life)]
    assert worth == [0.8, 0.8, 0.4, 0.2]


def test_warninglists_veto_what_they_list_and_weaken_what_lies_within() -> None:
    lists = Warninglists()
    for content in (
        {"name": "public resolvers", "type": "cidr", "list": ["192.0.2.1", "198.51.100.0/24"]},
        {"name": "top sites", "type": "hostname", "list": ["big.example"], "matching_attributes": ["domain"]},
        {"name": "dynamic DNS", "type": "hostname", "list": ["dyn.example"], "matching_attributes": ["domain"]},
        {"name": "telephones", "type": "regex", "list": [".*"], "matching_attributes": ["phone-number"]},
    ):
        lists.read(json.dumps(content).encode(), Findings())
    names = ["192.0.2.1", "198.51.100.7", "203.0.113.1", "big.example", "a.big.example", "dyn.example", "a.dyn.example"]
    index = IndicatorIndex(map(indicator, [*names, "http://big.example/bad"]), lists)
    assert [warning.factor for warning in index.warnings] == [0.0, 0.5, 1.0, 0.0, 0.5, 0.5, 1.0, 1.0]
    assert matched(index, "address", "192.0.2.1") == {}
    assert index.find("192.0.2.1")[0].confidence == 0.0


def test_a_value_is_looked_up_with_what_is_around_it() -> None:
    index = IndicatorIndex(
        map(indicator, ["198.51.100.0/24", "198.51.100.7:443", "evil.example", "http://evil.example/a"])
    )

    def found(text: str) -> list[str]:
        return [each.indicator.value for each in index.find(text)]

    assert found("198.51.100.7") == ["198.51.100.0/24", "198.51.100.7:443"]
    assert found("x.evil.example") == ["evil.example"]
    assert found("http://evil.example/a") == ["evil.example/a", "evil.example"]
    assert found("other.example") == []


NETWORKS = st.lists(st.tuples(st.integers(0, 255), st.integers(24, 32)), max_size=12)


@given(NETWORKS, st.integers(0, 255))
def test_ranges_find_the_smallest_network(networks: list[tuple[int, int]], last: int) -> None:
    texts = {f"10.0.0.{start >> (32 - size) << (32 - size)}/{size}": size for start, size in networks}
    ranges = Ranges((text, size) for text, size in texts.items())

    def lies_in(text: str, size: int) -> bool:
        return int(text.split("/")[0].rpartition(".")[2]) == last >> (32 - size) << (32 - size)

    expected = max((size for text, size in texts.items() if lies_in(text, size)), default=NOWHERE)
    assert ranges.find([f"10.0.0.{last}", "10.0.1.0", "9.255.255.255"]).tolist() == [expected, NOWHERE, NOWHERE]


def test_real_warninglists_veto_public_resolvers(data: Path, tmp_path: Path) -> None:
    import subprocess

    from infraspectre.intel.indicators import read_indicators

    archive = data / "intel" / "misp" / "warninglists.tar.zst"
    if subprocess.run(["tar", "--zstd", "-xf", archive, "-C", tmp_path], check=False, capture_output=True).returncode:
        pytest.skip("tar cannot read zstd")
    (tmp_path / "mine.txt").write_text("8.8.8.8\n104.16.1.1\n203.0.113.9\ngoogle.com\n", encoding="utf-8")
    collection = read_indicators([tmp_path])
    factors = {
        each.value: warning.factor
        for each, warning in zip(collection.index.indicators, collection.index.warnings, strict=True)
    }
    assert len(collection.warninglists) > 120
    assert factors == {"8.8.8.8": 0.0, "104.16.1.1": 0.5, "203.0.113.9": 0.5, "google.com": 0.0}
