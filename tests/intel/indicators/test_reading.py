"""Files of indicators are told by their content; what is broken never stops the rest, and is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infraspectre.intel.indicators import Collection, read_indicators
from infraspectre.intel.indicators.reading import read_json
from infraspectre.records.indicators import Indicator


def read(folder: Path, name: str, content: Any) -> Collection:
    """Write a file, read it and return what was found."""
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / name).write_text(text, encoding="utf-8")
    return read_indicators([folder / name])


def values(collection: Collection) -> list[tuple[str, str]]:
    """Return kinds and values."""
    return [(each.kind, each.value) for each in collection.index.indicators]


def bundle(*objects: Any) -> dict[str, Any]:
    """Return a bundle of STIX."""
    return {"type": "bundle", "id": "bundle--1", "objects": list(objects)}


def stix(number: int, pattern: str, **more: Any) -> dict[str, Any]:
    """Return an indicator of STIX."""
    told = {"type": "indicator", "id": f"indicator--{number}", "pattern": pattern, "pattern_type": "stix"}
    return told | {"valid_from": "2026-01-01T00:00:00Z"} | more


def only(collection: Collection) -> Indicator:
    """Return the one indicator."""
    [found] = collection.index.indicators
    return found


def test_an_indicator_of_stix_says_what_it_is_related_to(tmp_path: Path) -> None:
    control = {"kill_chain_name": "mitre-attack", "phase_name": "command-and-control"}
    indicator = stix(
        1,
        "[domain-name:value = 'evil.example']",
        confidence=80,
        created_by_ref="identity--1",
        kill_chain_phases=[control],
        object_marking_refs=["marking-definition--f88d31f6-486f-44da-b317-01333bde0b82"],
        valid_until="2026-03-01T00:00:00Z",
    )
    reference = {"source_name": "mitre-attack", "external_id": "T1071.001"}
    related = {"type": "relationship", "relationship_type": "indicates", "source_ref": "indicator--1"}
    found = read(
        tmp_path,
        "a.json",
        bundle(
            indicator,
            {"type": "identity", "id": "identity--1", "name": "Lab"},
            {"type": "malware", "id": "malware--1", "name": "FunRAT", "external_references": [reference]},
            related | {"id": "relationship--1", "target_ref": "malware--1"},
        ),
    )
    about = only(found).about
    assert (about.sources, about.threats, about.techniques) == (("Lab",), ("FunRAT",), ("T1071.001",))
    assert (about.confidence, about.tlp, about.labels) == (0.8, "amber", ("command-and-control",))
    assert about.valid_until == 1_772_323_200_000_000_000


def test_a_broken_object_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    broken = [{"type": "indicator", "id": "indicator--x", "valid_from": 5}, 7, stix(2, "[ipv4-addr:value = '1.2.3']")]
    found = read(tmp_path, "a.json", bundle(stix(1, "[ipv4-addr:value = '198.51.100.7']"), *broken))
    assert values(found) == [("ip", "198.51.100.7")]
    assert {each.field for each in found.findings.refused} == {"indicator--x", "entry 3", "indicator--2"}


def test_the_last_version_counts_and_a_revoked_one_is_gone(tmp_path: Path) -> None:
    first = stix(1, "[ipv4-addr:value = '198.51.100.7']", modified="2026-01-01T00:00:00Z")
    second = stix(1, "[ipv4-addr:value = '198.51.100.8']", modified="2026-01-02T00:00:00Z")
    revoked = stix(2, "[ipv4-addr:value = '198.51.100.9']", revoked=True)
    found = read(tmp_path, "a.json", bundle(second, first, revoked))
    assert values(found) == [("ip", "198.51.100.8")]
    assert found.findings.unusable == {"is revoked": 1}


def test_an_event_of_misp_is_read_with_its_objects_and_tags(tmp_path: Path) -> None:
    tags = [{"name": "tlp:green"}, {"name": 'misp-galaxy:mitre-attack-pattern="Web Protocols - T1071.001"'}]
    tags.append({"name": 'misp:confidence-level="usually-confident"'})
    attributes = [
        {"type": "ip-dst|port", "value": "198.51.100.7|443", "to_ids": True, "timestamp": "1767225600"},
        {"type": "domain|ip", "value": "evil.example|198.51.100.8", "to_ids": False},
        {"type": "filename", "value": "a.exe"},
        {"type": "sha1", "value": "short", "uuid": "broken", "to_ids": True},
    ]
    objects = [{"name": "url", "Attribute": [{"type": "url", "value": "http://a.example/b", "to_ids": True}]}]
    event = {"uuid": "1", "info": "x", "Orgc": {"name": "Lab"}, "Tag": tags, "Attribute": attributes, "Object": objects}
    found = read(tmp_path, "a.json", {"response": [{"Event": event}]})
    assert values(found) == [("endpoint", "198.51.100.7:443"), ("domain", "evil.example"), ("url", "a.example/b")]
    first, second = found.index.indicators[:2]
    assert (first.about.tlp, first.about.techniques, first.about.confidence) == ("green", ("T1071.001",), 0.75)
    assert first.about.last_seen == 1_767_225_600_000_000_000
    assert second.about.confidence == 0.3
    assert [each.field for each in found.findings.refused] == ["broken"]


def test_pulses_of_otx_are_read(tmp_path: Path) -> None:
    indicators = [{"indicator": "evil.example", "type": "hostname"}, {"indicator": "x", "type": "CVE"}]
    pulse = {"id": "p", "name": "n", "author_name": "Lab", "tags": ["c2"], "attack_ids": [{"id": "T1071"}]}
    found = read(tmp_path, "a.json", {"results": [pulse | {"malware_families": ["Fun"], "indicators": indicators}]})
    about = only(found).about
    assert (about.sources, about.threats, about.techniques, about.labels) == (("Lab",), ("Fun",), ("T1071",), ("c2",))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("value,type,confidence\n198.51.100.7,ip,90\nevil.example,domain,\n", 2),
        ("# first,second\n# id,dateadded,url,threat\n\"1\",\"2026-01-01\",\"http://evil.example/a\",\"x\"\n", 1),
        ("first_seen_utc,dst_ip,dst_port,malware\n2026-01-01 00:00:00,198.51.100.7,443,Fun\n", 1),
        ("0.0.0.0 evil.example\n# remark\n198.51.100.7 # seen\nhttp://a.example/b;x\n", 3),
        ("ja3_md5,Firstseen\nd41d8cd98f00b204e9800998ecf8427e,2026-01-01 00:00:00\n", 1),
    ],
)  # fmt: skip
def test_tables_and_lists_are_read(tmp_path: Path, text: str, expected: int) -> None:
    found = read(tmp_path, "a.csv", text)
    assert (len(found.index), found.findings.refused) == (expected, [])


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    found = read(tmp_path, "a.txt", "198.51.100.7\nnonsense!\nevil.example\n")
    assert [(each.line, each.path) for each in found.findings.refused] == [(2, str(tmp_path / "a.txt"))]
    assert len(found.index) == 2


@pytest.mark.parametrize(
    ("text", "line"), [('{"type": "bundle",\n "objects": [}', 2), ("[1, 2", None), ('{"a": 1}', None)]
)
def test_json_of_no_known_form_is_named(tmp_path: Path, text: str, line: int | None) -> None:
    [refused] = read(tmp_path, "a.json", text).findings.refused
    assert refused.line == line


MEMBERS = ["type", "objects", "Event", "Attribute", "Object", "response", "indicators", "results", "list"]
MEMBERS += ["pattern", "value", "Tag", "id"]
LEAVES = st.none() | st.integers() | st.text(max_size=8)


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return lists and objects, of which the known forms have some members."""
    return st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=5)


@given(st.recursive(LEAVES, nested, max_leaves=20))
def test_any_json_is_read_or_named(content: Any) -> None:
    collection = Collection()
    read_json(json.dumps(content).encode(), collection, "x")
    collection.check()


def test_real_feeds_are_read(data: Path) -> None:
    found = read_indicators([data / "intel" / "tls_fingerprints", data / "intel" / "otx"])
    assert found.counts["ja3"] > 70
    assert found.counts["ja4"] > 30
    assert found.counts["domain"] == 3


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "ip,port\n192.0.2.1,\u00b2\n"),
        ("a.csv", f"ip,port\n192.0.2.1,{'9' * 5000}\n"),
        ("a.txt", '"' + "a" * 200_000),
        ("a.json", {"Event": {"Attribute": [{"type": "ip-dst|port", "value": "192.0.2.1|\u00b2"}]}}),
        ("a.json", {"Event": {"Attribute": [{"type": "ip-dst|port", "value": f"192.0.2.1|{'9' * 5000}"}]}}),
        ("a.json", {"list": ["192.0.2.1/\u00b2"], "type": "cidr", "matching_attributes": ["ip-src"]}),
        ("a.json", {"list": [f"192.0.2.1/{'9' * 5000}"], "type": "cidr", "matching_attributes": ["ip-src"]}),
    ],
)
def test_numbers_that_are_none_are_refused(tmp_path: Path, name: str, content: Any) -> None:
    assert len(read(tmp_path, name, content).check().refused) == 1


def test_times_that_no_clock_reaches_are_unknown_or_never(tmp_path: Path) -> None:
    rows = "192.0.2.1,0001-01-01,9999-12-31\n192.0.2.2,9999999999999999,0001-01-01\n"
    found = read(tmp_path, "a.csv", "ip,first_seen,valid_until\n" + rows).index.indicators
    assert [(each.about.first_seen, each.about.valid_until) for each in found] == [(None, None)] * 2
