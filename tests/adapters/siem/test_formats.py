from __future__ import annotations

import re
import uuid
from typing import Any

import msgspec
import pytest
from benches.strangers import read_shown
from hypothesis import given, settings
from hypothesis import strategies as st

from infraspectre.adapters.siem.facts import LARGE, Facts, facts_of, milliseconds
from infraspectre.adapters.siem.formats import as_line, line_of
from infraspectre.adapters.siem.lines import LINES, framed, shown, syslog
from infraspectre.records.delivery import Format, Outgoing, Told
from infraspectre.records.feed import FeedEvent

HOSTILE = st.text(
    st.one_of(st.sampled_from('|=\\\n\r\t\0"] [^\u202e\u2028\x85\x1b'), st.characters(exclude_categories=["Cs"])),
    min_size=1,
    max_size=60,
)
DETECTION = {
    "detection_id": "d1", "detector": "beacon", "category": "command-and-control", "orig": "10.0.0.5",
    "resp": "198.51.100.7", "score": 0.9, "probability": 0.8, "first_seen": "2026-01-01T00:00:00.123456789Z",
    "last_seen": "2026-01-01T01:00:00Z", "techniques": [{"id": "T1071.001", "name": "Web Protocols"}],
    "evidence": {"summary": "60 calls every 60 s"},
}  # fmt: skip


def outgoing(kind: str = "detection.found", channel: Any = "behaviour", subject: str = "d1", **data: Any) -> Outgoing:
    event = FeedEvent(
        "default", channel, kind, "2026-01-01T01:00:00.5Z", subject, "high", ["10.0.0.5", "example.org"],
        data=msgspec.Raw(msgspec.json.encode(DETECTION | data)),
    )  # fmt: skip
    return Outgoing("evt_a_1", event, msgspec.json.encode(event).decode())


def written(facts: Facts, chosen: Format) -> Any:
    """Return an event as readers of a format of JSON see it."""
    return msgspec.json.decode(as_line(facts, chosen))


def unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def read_cef(line: str) -> tuple[list[str], dict[str, str]]:
    """Read CEF strictly: seven fields of the header, then pairs; no escape but those of the format."""
    assert "\n" not in line
    assert "\r" not in line
    *head, rest = split_header(line)
    keys = list(re.finditer(r"(?:^| )([A-Za-z0-9]+)=", rest))
    ends = [each.start() for each in keys[1:]] + [len(rest)]
    pairs = {}
    for key, end in zip(keys, ends, strict=True):
        assert key[1] not in pairs
        pairs[key[1]] = unescaped(rest[key.end() : end])
    return head, pairs


def split_header(line: str) -> list[str]:
    parts, rest = [], line
    for _ in range(7):
        found = re.match(r"((?:[^\\|]|\\[\\|])*)\|", rest)
        assert found
        parts.append(unescaped(found[1]))
        rest = rest[found.end() :]
    return [*parts, rest]


def read_leef(line: str) -> tuple[list[str], dict[str, str]]:
    assert "\n" not in line
    *head, rest = line.split("|", 6)
    pairs = [each.split("=", 1) for each in rest.split("\t")]
    assert len({key for key, _ in pairs}) == len(pairs)
    return head, dict(pairs)


def test_cef_names_who_what_and_when() -> None:
    head, pairs = read_cef(line_of(outgoing(), "cef"))
    assert head[:3] == ["CEF:0", "InfraSpectre", "InfraSpectre"]
    assert head[4:] == ["command-and-control", "command-and-control (beacon)", "8"]
    assert (pairs["src"], pairs["dst"], pairs["msg"]) == ("10.0.0.5", "198.51.100.7", "60 calls every 60 s")
    assert (pairs["externalId"], pairs["rt"], pairs["cs3"]) == ("evt_a_1", "1767229200500", "T1071.001")


def test_what_is_too_long_is_cut() -> None:
    told = outgoing(evidence={"summary": "x" * 20_000})
    assert read_cef(line_of(told, "cef"))[1]["msg"] == read_leef(line_of(told, "leef"))[1]["msg"] == "x" * 8_192


@given(HOSTILE, HOSTILE)
@settings(max_examples=150, deadline=None)
def test_no_value_injects_a_field_into_a_line(first: str, second: str) -> None:
    plain_cef, plain_leef = read_cef(line_of(outgoing(), "cef")), read_leef(line_of(outgoing(), "leef"))
    told = outgoing(evidence={"summary": first}, category=second, subject=first)
    head, pairs = read_cef(line_of(told, "cef"))
    assert (len(head), set(pairs)) == (7, set(plain_cef[1]))
    assert [*map(read_shown, (pairs["msg"], pairs["cs2"], head[4]))] == [first, first, second]
    head, pairs = read_leef(line_of(told, "leef"))
    assert (len(head), set(pairs)) == (6, set(plain_leef[1]))
    assert [*map(read_shown, (pairs["msg"], pairs["subject"], head[4]))] == [first, first, second]


SYSLOG = re.compile(
    r"<(\d{1,3})>1 (\S+) ([!-~]+) ([!-~]+) ([!-~]+) ([!-~]{1,32}) "
    r'\[([!-~]+) id="((?:[^"\\\]]|\\["\\\]])*)" tenant="((?:[^"\\\]]|\\["\\\]])*)"\] \ufeff(.*)',
    re.DOTALL,
)


@given(HOSTILE, HOSTILE)
@settings(max_examples=100, deadline=None)
def test_an_entry_of_syslog_reads_back(kind: str, text: str) -> None:
    facts = facts_of(outgoing(kind, evidence={"summary": text})._replace(key=text))
    entry = syslog(facts, LINES["cef"](facts), "a host")
    found = SYSLOG.fullmatch(entry.decode())
    assert found
    assert (found[1], found[2], found[3]) == ("107", "2026-01-01T01:00:00.5Z", "a_host")
    assert read_shown(unescaped(found[8])) == text
    size, _, rest = framed(entry).partition(b" ")
    assert int(size) == len(rest)
    assert read_shown(read_cef(found[10])[1]["externalId"]) == text


@given(st.sampled_from(["json", "ecs", "ocsf", "eve", "stix"]), HOSTILE)
@settings(max_examples=150, deadline=None)
def test_objects_are_one_line_and_keep_hostile_text_as_it_was(chosen: Format, text: str) -> None:
    line = line_of(outgoing(evidence={"summary": text}), chosen)
    assert "\n" not in line
    assert "\0" not in line
    assert text in [*texts(msgspec.json.decode(line))]


def texts(value: Any) -> Any:
    """Yield all texts within a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from texts(each)


def test_ecs_and_ocsf_have_their_required_fields() -> None:
    facts = facts_of(outgoing())
    ecs, ocsf = written(facts, "ecs"), written(facts, "ocsf")
    assert (ecs["@timestamp"], ecs["event"]["kind"], ecs["threat"]["technique"]["id"]) == (
        "2026-01-01T01:00:00.5Z", "alert", ["T1071.001"],
    )  # fmt: skip
    assert (ocsf["class_uid"], ocsf["type_uid"], ocsf["severity_id"], ocsf["time"]) == (2004, 200401, 4, 1767229200500)
    assert ocsf["evidences"] == [{"src_endpoint": {"ip": "10.0.0.5"}, "dst_endpoint": {"ip": "198.51.100.7"}}]
    other = written(facts_of(outgoing("sensor.connected", "system")), "ocsf")
    assert (other["class_uid"], other["type_uid"]) == (0, 99)


def test_eve_that_others_posted_passes_as_it_came() -> None:
    posted = {"timestamp": "2026-01-01T00:00:00.000000+0000", "event_type": "alert", "flow_id": 1}
    event = FeedEvent(
        "default", "custom", "custom", "2026-01-01T00:00:00Z", data=msgspec.Raw(msgspec.json.encode(posted))
    )
    assert msgspec.json.decode(line_of(Outgoing("evt_a_1", event, ""), "eve")) == posted


def test_a_bundle_refers_only_to_what_it_holds_and_is_the_same_each_time() -> None:
    told = outgoing("incident.raised", "threat", orig=["10.0.0.5"], resp=["evil.example", "fe80::1%a b"])
    made = written(facts_of(told), "stix")
    assert made == written(facts_of(told), "stix")
    known = {each["id"] for each in made["objects"]}
    assert len(known) == len(made["objects"])
    for each in made["objects"]:
        kind, _, name = each["id"].partition("--")
        assert (kind, str(uuid.UUID(name))) == (each["type"], name)
        named = [value for key, value in each.items() if key.endswith("_ref")] + each.get("object_refs", [])
        assert set(named) <= known
        assert each.get("created", "") <= each.get("modified", "z")
    kinds = {each["type"] for each in made["objects"]}
    assert {"incident", "attack-pattern", "ipv4-addr", "domain-name", "observed-data", "relationship"} <= kinds
    assert [each["name"] for each in made["objects"] if each["type"] == "identity"] == ["InfraSpectre", "fe80::1%a b"]


@pytest.mark.parametrize("chosen", ["cef", "leef", "json", "ecs", "ocsf", "eve", "stix"])
@pytest.mark.parametrize("data", [b"{}", b"[]", b'"x"', b'{"orig": 7}', b'{"techniques": "T1"}', b"null"])
def test_any_record_makes_a_line(chosen: Format, data: bytes) -> None:
    for channel in ("custom", "system"):
        event = FeedEvent("default", channel, "custom", "2026-01-01T00:00:00Z", data=msgspec.Raw(data))
        assert "custom" in line_of(Outgoing("evt_a_1", event, ""), chosen)


@pytest.mark.parametrize(
    "text",
    [
        "a\nb",
        "a\\nb",
        "\\x41",
        "\\\\x41",
        "\\\\server\\share",
        "C:\\temp",
        " a ",
        "\u202ea",
        "\ud800",
        "\\u0041\n",
        " ",
        "\\",
    ],
)
@pytest.mark.parametrize("also", ["", "|="])
def test_what_stands_in_a_line_has_one_reading(text: str, also: str) -> None:
    made = shown(text, also=also)
    assert made.isprintable()
    assert made == made.strip(" ")
    assert read_shown(made) == text


def test_plain_texts_stand_as_they_are() -> None:
    for text in ("C:\\temp", "\\\\server\\share", "na\u00efve \u65e5\u672c", "100% of 5"):
        assert shown(text) == text


@pytest.mark.parametrize(
    ("at", "told"),
    [
        ("2026-01-01T00:00:00Z", 1_767_225_600_000),
        ("2026-01-01T00:00:01.5Z", 1_767_225_601_500),
        ("2026-01-01T00:00:01.123456789Z", 1_767_225_601_123),
        ("2026-01-01T00:00:01.12Z", 1_767_225_601_120),
        ("2026-13-01T00:00:00Z", 0),
        ("2026-01-01T00:00:00+123Z", 0),
        ("", 0),
        ("x" * 100, 0),
    ],
)
def test_times_are_told_in_milliseconds(at: str, told: int) -> None:
    assert milliseconds(at) == told


@pytest.mark.parametrize("chosen", ["cef", "leef", "json", "ecs", "ocsf", "eve", "stix"])
@pytest.mark.parametrize("data", [b"[" * 100_000, b'{"title":"\\ud800"}'])
def test_what_nobody_can_read_makes_a_line_too(chosen: Format, data: bytes) -> None:
    for channel in ("custom", "system"):
        event = FeedEvent("default", channel, "custom", "2026-01-01T00:00:00Z", data=msgspec.Raw(data))
        assert "custom" in line_of(Outgoing("evt_a_1", event, ""), chosen)


def test_numbers_of_flows_are_not_read_and_all_else_is() -> None:
    title = 'a text with "flow_ids":[1,2] in it'
    kept = {"detector": "beacon", "flow_ids": list(range(500)), "score": 0.5}
    told = outgoing("incident.raised", title=title, detections=[kept, kept], flow_ids=[], campaign_id="c-1")
    bare = outgoing("incident.raised", title=title, campaign_id="c-1")
    assert len(told.event.data) > LARGE > len(bare.event.data)
    for chosen in ("cef", "leef", "ecs", "ocsf", "eve", "stix"):
        assert line_of(told, chosen) == line_of(bare, chosen)
    assert facts_of(told).title == title
    assert facts_of(told).campaign == "c-1"


def test_an_event_of_the_feed_keeps_its_place() -> None:
    event = msgspec.json.decode(msgspec.json.encode(outgoing().event), type=Told)
    placed = msgspec.structs.replace(event, position="a.7")
    assert msgspec.json.decode(line_of(Outgoing("evt_a_6", placed, ""), "json"))["position"] == "a.7"
