from __future__ import annotations

from typing import Any

import msgspec
import pytest

from infraspectre.errors import InputError
from infraspectre.feed.batches import Happening
from infraspectre.feed.relevance import Relevance
from infraspectre.feed.selection import MOST_FILTERS, Selection
from infraspectre.records.feed import FeedEvent


def happening(**fields: Any) -> Happening:
    data = msgspec.Raw(msgspec.json.encode(fields.pop("data", {})))
    base: dict[str, Any] = {"channel": "threat", "kind": "incident.raised", "at": "2026-01-01T00:00:00Z"}
    return Happening(0, FeedEvent("default", **{**base, **fields}, data=data), b"", Relevance())


@pytest.mark.parametrize(
    ("text", "fields", "taken"),
    [
        ("severity>=high", {"severity": "high"}, True),
        ("severity>=high", {"severity": "medium"}, False),
        ("severity<low", {"severity": "informational"}, True),
        ("severity=low|critical", {"severity": "critical"}, True),
        ("severity!=low|critical", {"severity": "low"}, False),
        ("kind=incident.raised", {}, True),
        ("kind^incident.", {"kind": "detection.found"}, False),
        ("entities=10.0.0.1|10.0.0.2", {"entities": ["10.0.0.9", "10.0.0.2"]}, True),
        ("entities!=10.0.0.1", {"entities": ["10.0.0.1", "10.0.0.2"]}, False),
        ("entities!=10.0.0.1", {"entities": []}, True),
        ("entities^10.0.", {"entities": ["10.0.7.7"]}, True),
        ("entities~.7.", {"entities": ["10.0.8.8"]}, False),
        ("countries=DE", {"countries": ["FR", "DE"]}, True),
        ("relevance>=0.5", {"relevance": 0.5}, True),
        ("relevance>=0.5", {"relevance": 0.4}, False),
        ("relevance>=0.5", {"severity": "critical"}, True),
        ("subject=a|b", {"subject": "b"}, True),
        ("at>=2026-01-01", {}, True),
        ("data.score.value>=60", {"data": {"score": {"value": 60.5}}}, True),
        ("data.score.value>=60", {"data": {"score": {"value": "high"}}}, False),
        ("data.score.value>=60", {"data": {"score": 70}}, False),
        ("data.score>0", {"data": {"score": True}}, False),
        ("data.category=scan", {"data": {"category": "scan"}}, True),
        ("data.category!=scan", {"data": {}}, True),
        ("data.category=scan", {"data": {}}, False),
        ("data.is_open=true", {"data": {"is_open": True}}, True),
        ("data.port=443", {"data": {"port": 443}}, True),
    ],
)
def test_a_filter_takes_what_it_says(text: str, fields: dict[str, Any], taken: bool) -> None:
    assert Selection.of("default", (), [text]).takes(happening(**fields)) is taken


def test_channels_and_all_filters_have_to_fit() -> None:
    selection = Selection.of("default", ["threat"], ["severity>=low", "kind=a"])
    assert selection.takes(happening(severity="low", kind="a"))
    assert not selection.takes(happening(severity="low", kind="b"))
    assert not selection.takes(happening(severity="low", kind="a", channel="network"))


def test_the_same_written_otherwise_is_one_selection() -> None:
    one = Selection.of("default", ["threat", "network"], ["kind=a", "severity>=low"])
    other = Selection.of("default", ["network", "threat"], ["severity >= low", "kind=a", "kind=a"])
    assert one == other
    assert hash(one) == hash(other)
    assert one != Selection.of("other", ["threat", "network"], ["kind=a", "severity>=low"])


@pytest.mark.parametrize(
    "text",
    [
        "nothing=1",
        "severity>=bad",
        "severity~hi",
        "relevance>=much",
        "relevance~1",
        "entities>=a",
        "data=1",
        "data.a.b.c.d.e=1",
    ],
)
def test_what_cannot_be_asked_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        Selection.of("default", (), [text])


def test_channels_and_counts_are_checked() -> None:
    with pytest.raises(InputError, match="is no channel: weather"):
        Selection.of("default", ["weather"])
    with pytest.raises(InputError, match="more than 16 filters"):
        Selection.of("default", (), [f"subject={number}" for number in range(MOST_FILTERS + 1)])
