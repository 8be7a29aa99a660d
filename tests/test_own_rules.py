"""The tests beside own rules: what passes, what fails, and what is wrong is told apart."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from infraspectre import app
from infraspectre.own_rules import Report, fields

ROOT = Path(__file__).resolve().parent.parent
RULES = """
rules:
  - {id: telnet, title: Telnet is used, severity: high, when: resp_port == 23}
  - id: many-ports
    title: Many ports are tried
    severity: medium
    when: known(resp_port)
    window: {by: orig_ip, within: 1m, distinct: {resp_port: 5}}
  - {id: night, title: Sent at night, severity: low, when: hour(started_at) < 6 and orig_payload_bytes > 10MB}
  - {id: chatty, title: A host of many peers, severity: low, when: orig_host_peers_60s > 10}
tests:
"""


def report(folder: Path, tests: str) -> Report:
    path = folder / "rules.yaml"
    path.write_text(RULES + tests, encoding="utf-8")
    return app.test_own_rules([path])


@pytest.mark.parametrize(
    "test",
    [
        "flows: [{resp_port: 23}], found: [telnet], not_found: [many-ports]",
        "flows: [{resp_port: 22}], not_found: [telnet]",
        "flows: [{resp_port: [1, 2, 3, 4, 5], repeat: 5, every: 10s}], found: [many-ports]",
        "flows: [{resp_port: [1, 2, 3, 4, 5], repeat: 5, every: 20}], not_found: [many-ports]",
        "flows: [{resp_port: [1, 2, 3, 4], repeat: 40, every: 1s}, {resp_port: 5, at: 30s}], found: [many-ports]",
        "flows: [{orig_payload_bytes: 20MB, at: 2026-03-01 03:00:00}], found: [night]",
        "flows: [{orig_payload_bytes: 20MB, at: 2026-03-01 13:00:00}], not_found: [night]",
        "flows: [{orig_payload_bytes: 20MB, at: 13h}], not_found: [night]",
        "flows: [{resp_ip: [a, b, c, d, e, f, g, h, i, j, k], repeat: 11}], found: [chatty]",
        "flows: [{dns_queries: a.example, dns_ttls: [1, 2], tls_version: null}], not_found: [telnet]",
        "capture: sample.pcap.gz, found: [many-ports], not_found: [night]",
        "capture: conn.log, not_found: [chatty]",
    ],
)
def test_a_test_passes(tmp_path: Path, test: str) -> None:
    shutil.copy(ROOT / "examples" / "sample.pcap.gz", tmp_path)
    shutil.copy(ROOT / "tests" / "journey" / "cases" / "zeek-tsv" / "input" / "conn.log", tmp_path)
    done = report(tmp_path, f"  - {{name: one, {test}}}\n")
    assert (done.tests, done.failed, done.refused) == (1, [], [])


def test_a_test_fails(tmp_path: Path) -> None:
    done = report(tmp_path, "  - {name: one, flows: [{resp_port: 23}], found: [night], not_found: [telnet]}\n")
    (failed,) = done.failed
    assert (failed.name, failed.line, failed.missing, failed.unexpected) == ("one", 12, ["night"], ["telnet"])
    assert (done.rules, done.untested) == (4, ["chatty", "many-ports", "telnet"])


@pytest.mark.parametrize(
    ("test", "field", "reason"),
    [
        ("found: [telnet]", "name", "needs one of flows, capture and file"),
        ("flows: [{resp_port: 1}], capture: x.pcap, found: [telnet]", "name", "needs one of flows, capture and file"),
        ("flows: [{resp_port: 1}]", "name", "expects nothing"),
        ("flows: [{resp_port: 1}], found: [tellnet]", "found[0]", "there is no rule 'tellnet' in this file"),
        ("file: x, found: [telnet]", "found[0]", "there is no YARA rule 'telnet' in this file"),
        ("flows: [3], found: [telnet]", "flows[0]", "Expected `object`"),
        ("flows: [{resp_prt: 1}], found: [telnet]", "flows[0].resp_prt", "there is no field 'resp_prt'"),
        ("flows: [{orig_host_peers_60s: 1}], found: [telnet]", "flows[0].orig_host_peers_60s", "there is no field"),
        ("flows: [{resp_port: x}], found: [telnet]", "flows[0].resp_port", "'x' is no number"),
        ("flows: [{resp_port: 70000}], found: [telnet]", "flows[0].resp_port", "70000 does not fit"),
        ("flows: [{resp_port: -1}], found: [telnet]", "flows[0].resp_port", "-1 is below 0"),
        ("flows: [{resp_port: 1.5}], found: [telnet]", "flows[0].resp_port", "1.5 does not fit"),
        ("flows: [{tls_version: 3}], found: [telnet]", "flows[0].tls_version", "3 is no text"),
        ("flows: [{resp_port: 5m}], found: [telnet]", "flows[0].resp_port", "a unit of time stands beside"),
        ("flows: [{resp_port: 1, at: [1]}], found: [telnet]", "flows[0].at", "[1] is no time"),
        ("flows: [{resp_port: 1, at: 10000000000}], found: [telnet]", "flows[0].at", "leads to a time out of range"),
        ("flows: [{resp_port: 1, duration_ms: -1}], found: [telnet]", "flows[0].duration_ms", "-1 is below 0"),
        ("flows: [{resp_port: 1, ended_at: 1}], found: [telnet]", "flows[0].ended_at", "is set by the test itself"),
        ("flows: [{duration_ms: null}], found: [telnet]", "flows[0].duration_ms", "is set by the test itself"),
        ("flows: [{duration_ms: [1, null]}], found: [telnet]", "flows[0].duration_ms", "is set by the test itself"),
        ("flows: [{resp_port: 1, repeat: 0}], found: [telnet]", "flows[0].repeat", "0 is no number from 1 to"),
        ("flows: [{resp_port: 1, repeat: 100000}, {resp_port: 1}], found: [telnet]", "flows", "more than 100,000"),
        ("capture: absent.pcap, found: [telnet]", None, "cannot be opened"),
    ],
)
def test_what_is_wrong_with_a_test_is_named(tmp_path: Path, test: str, field: str | None, reason: str) -> None:
    done = report(tmp_path, f"  - {{name: one, {test}}}\n")
    (refused,) = done.refused
    assert reason in refused.reason
    assert refused.field == (field and f"$.tests[0].{field}")
    assert (done.tests, done.failed) == (0, [])


def test_files_are_scanned_with_yara_rules(tmp_path: Path) -> None:
    (tmp_path / "greeting.yar").write_text('rule Greeting { strings: $a = "hello" condition: $a }\nrule Bad { x }\n')
    (tmp_path / "sample.bin").write_bytes(b"well, hello")
    tests = "yara: [greeting.yar]\ntests: [{name: one, file: sample.bin, found: [Greeting]}]\n"
    (tmp_path / "tests.yaml").write_text(tests)
    done = app.test_own_rules([tmp_path / "tests.yaml"])
    assert (done.tests, done.failed, done.untested) == (1, [], [])
    (refused,) = done.refused
    assert (refused.path, refused.line, refused.field) == (str(tmp_path / "greeting.yar"), 2, "Bad")


def test_rules_know_the_fields_of_flows_and_their_context() -> None:
    assert {"resp_port", "http_uris", "orig_host_peers_60s", "tls_ja4"} <= fields().keys()
    assert not any(" " in name for name in fields())
