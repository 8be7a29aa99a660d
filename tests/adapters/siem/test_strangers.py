"""What we write is read back by readers that others wrote: all fields, and none that we did not write.

Readers that are not installed are skipped; benches/strangers.py tells which they are.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from benches import envelopes, strangers
from benches.formats import detections
from benches.hostile import Hostile
from benches.report import UnavailableError

from infraspectre.adapters.siem.facts import MOST_NAME, Facts, facts_of
from infraspectre.adapters.siem.formats import as_line
from infraspectre.adapters.siem.lines import MOST_MESSAGE, MOST_TITLE, MOST_VALUE, cef, framed, leef, syslog
from infraspectre.adapters.siem.objects import OCSF_VERSION
from infraspectre.api.routes.exports import line
from infraspectre.records.delivery import Format

COUNT = 2_000
SLOW_COUNT = 15
HOSTILE = list(Hostile(1, surrogates=True).events(COUNT))
PAIRED = list(Hostile(2).events(COUNT))
"""For formats of JSON, which is read before: there are no halves of pairs in it."""
PLAIN = [facts_of(each) for each in detections(20)]


@contextmanager
def installed() -> Iterator[None]:
    """Skip what needs a reader that is not installed."""
    try:
        yield
    except UnavailableError as reason:
        pytest.skip(str(reason))


def common(facts: Facts) -> dict[str, str]:
    return {
        "externalId": facts.key,
        "cat": facts.event.kind,
        "msg": facts.message,
        "head.kind": facts.category[:MOST_VALUE],
    }


def in_cef(facts: Facts) -> dict[str, str]:
    event = facts.event
    return common(facts) | {
        "cs1": event.tenant,
        "cs2": event.subject,
        "cs3": " ".join([each.id for each in facts.techniques]),
        "cs4": facts.rule,
        "cs5": " ".join(event.entities),
        "cfp1": f"{facts.risk:g}",
        "head.name": facts.title[:MOST_TITLE],
    }


def in_leef(facts: Facts) -> dict[str, str]:
    event = facts.event
    return common(facts) | {
        "title": facts.title,
        "tenant": event.tenant,
        "subject": event.subject,
        "rule": facts.rule,
        "techniques": " ".join([each.id for each in facts.techniques]),
        "src": facts.orig[0],
        "dst": facts.resp[0],
        "identSrc": event.entities[0],
        "risk": f"{facts.risk:g}",
    }


def check(facts: Facts, read: dict[str, str], wanted: dict[str, str]) -> None:
    for name, value in wanted.items():
        if name in read or not name.startswith("head."):
            assert strangers.read_shown(read[name]) == value[:MOST_MESSAGE], name


CEF_KEYS = {
    "externalId", "rt", "start", "end", "cat", "msg", "cs1", "cs2", "cs3", "cs4", "cs5", "cfp1", "src", "dst", "shost",
    "dhost", "c6a2", "c6a3",
}  # fmt: skip


@pytest.mark.parametrize("read", [strangers.cef_by_liblognorm, strangers.cef_by_pycef])
def test_cef(read: Callable[[list[str]], list[dict[str, str]]]) -> None:
    with installed():
        found = read([cef(each) for each in HOSTILE])
    for facts, fields in zip(HOSTILE, found, strict=True):
        check(facts, fields, in_cef(facts))
        extensions = {key.removesuffix("Label") for key in fields if key[0].islower() and not key.startswith("head.")}
        assert {key for key in extensions if " " not in key} <= CEF_KEYS


LEEF_KEYS = {
    "devTime", "cat", "sev", "src", "dst", "identSrc", "externalId", "title", "msg", "tenant", "subject", "techniques",
    "rule", "risk", "startTime", "endTime", "head.kind",
}  # fmt: skip


@pytest.mark.parametrize("read", [strangers.leef_by_liblognorm, strangers.leef_by_syslog_ng])
def test_leef(read: Callable[[list[str]], list[dict[str, str]]]) -> None:
    with installed():
        found = read([leef(each) for each in HOSTILE])
    for facts, fields in zip(HOSTILE, found, strict=True):
        check(facts, fields, in_leef(facts))
        assert fields.keys() == LEEF_KEYS


def check_entry(facts: Facts, read: dict[str, str]) -> None:
    assert read["message"] == leef(facts)
    assert read["kind"] == facts.event.kind
    for name, value in (("id", facts.key), ("tenant", facts.event.tenant)):
        assert strangers.read_shown(read[name]) == value[:MOST_VALUE]


@pytest.mark.parametrize("read", [strangers.syslog_by_python, strangers.syslog_by_syslog_ng])
def test_syslog(read: Callable[[list[bytes]], list[dict[str, str]]]) -> None:
    some = HOSTILE[: COUNT // 2]
    with installed():
        found = read([syslog(each, leef(each), "a host") for each in some])
    for facts, fields in zip(some, found, strict=True):
        check_entry(facts, fields)


def test_a_daemon_of_syslog_takes_all_entries_over_one_connection() -> None:
    entries = [framed(syslog(each, leef(each), "a host")) for each in HOSTILE]
    with installed(), strangers.rsyslogd() as (port, told):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"".join(entries))
        found = told(len(entries))
    for facts, fields in zip(HOSTILE, found, strict=True):
        check_entry(facts, fields)


def texts_of(facts: Facts, chosen: Format) -> set[str]:
    """Return what has to be found among the texts of an object."""
    event, ids = facts.event, [each.id for each in facts.techniques]
    names = [each[:MOST_NAME] for each in (facts.orig[0], facts.resp[0])]
    match chosen:
        case "json":
            return {facts.key, event.tenant, event.kind, event.subject, *event.entities}
        case "ecs":
            return {facts.key, event.tenant, facts.message, facts.title, facts.rule, facts.category, *names, *ids}
        case "ocsf":
            return {facts.key, event.tenant, facts.message, facts.title, facts.rule, facts.category, *names, *ids}
        case "eve":
            return {facts.key, event.subject, facts.message, facts.title, facts.category, *names, *ids}
        case _:
            return {facts.message, facts.title, *names, *event.entities, *ids}


@pytest.mark.parametrize("chosen", ["json", "ecs", "ocsf", "eve", "stix"])
@pytest.mark.parametrize("reader", ["jq", "node"])
def test_objects(chosen: Format, reader: str) -> None:
    some = PAIRED if reader == "node" else PAIRED[: COUNT // 4]
    lines = [as_line(each, chosen).encode() for each in some]
    with installed():
        read_all = strangers.texts_by_node if reader == "node" else strangers.texts_by_jq
        for facts, read in zip(some, read_all(lines), strict=True):
            assert texts_of(facts, chosen) <= set(read)


def test_keys_of_objects_do_not_depend_on_values() -> None:
    for chosen in ("json", "eve", "ocsf"):
        shapes = {frozenset(names(json.loads(as_line(each, chosen)))) - SIDES for each in PAIRED}
        assert len(shapes) == 1, chosen


SIDES = {"ip", "hostname", "name", "domain"}


def names(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from names(each)


def test_ecs_has_no_field_that_elastic_does_not_know() -> None:
    with installed():
        assert strangers.ecs_flaws([as_line(each, "ecs").encode() for each in [*PLAIN, *PAIRED]]) == []


def test_ocsf_holds_to_its_schema_and_to_the_models_of_others() -> None:
    some = [json.loads(as_line(each, "ocsf")) for each in [*PLAIN, *PAIRED[:SLOW_COUNT]]]
    with installed():
        assert strangers.ocsf_flaws(some, OCSF_VERSION) == []
    with installed():
        for told, read in zip(some, strangers.ocsf_by_pydantic(some), strict=True):
            assert read["finding_info"]["title"] == told["finding_info"]["title"]
            assert read["message"] == told["message"]


def test_stix_is_read_and_found_valid() -> None:
    some = [*PLAIN, *PAIRED[:SLOW_COUNT]]
    lines = [as_line(each, "stix") for each in some]
    with installed():
        for facts, read in zip(some, strangers.stix_by_stix2(lines), strict=True):
            assert texts_of(facts, "stix") <= set(strangers.texts(read))
    with installed():
        assert strangers.stix_flaws(lines) == []


def test_eve_has_the_fields_and_types_that_suricata_writes() -> None:
    alerts = [json.loads(as_line(each, "eve")) for each in [*PLAIN, *PAIRED]]
    assert strangers.eve_flaws(alerts) == []
    assert strangers.eve_flaws([alerts[0] | {"timestamp": "2026-01-01T00:00:00Z", "src_ip": 5}]) == [
        "src_ip",
        "timestamp",
    ]


ENVELOPED = list(Hostile(3).outgoing(400))


@pytest.mark.parametrize("read", [strangers.objects_by_jq, strangers.objects_by_node])
@pytest.mark.parametrize("chosen", ["cef", "json", "ecs"])
@pytest.mark.parametrize("platform", ["splunk", "elastic"])
def test_envelopes(platform: str, chosen: Format, read: Callable[[bytes], list[Any]]) -> None:
    bodies, wanted = {
        "splunk": (envelopes.splunk_bodies, envelopes.splunk_wanted),
        "elastic": (envelopes.elastic_bodies, envelopes.elastic_wanted),
    }[platform]
    with installed():
        found = read(b"\n".join(bodies(ENVELOPED, chosen)))
    assert found == [each for outgoing in ENVELOPED for each in wanted(outgoing, chosen)]


@pytest.mark.parametrize("read", [strangers.rows_by_csv, strangers.rows_by_duckdb])
def test_csv(read: Callable[[bytes], list[list[str]]]) -> None:
    hostile = Hostile(4)
    rows = [[hostile.text() for _ in range(strangers.CSV_COLUMNS)] for _ in range(COUNT)]
    with installed():
        assert read(b"".join(map(line, rows))) == rows
