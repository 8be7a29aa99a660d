"""Own rules find flows, windows and sequences, say so in sound records, and stay within their memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from flow_rows import flow, frame
from infraspectre.own_rules import fields
from infraspectre.records import Detection, FlowBatch
from infraspectre.soma import Soma
from infraspectre.soma.rules import OwnRules, detector, load_rules
from own_rules import found_by

RULES = """
lists:
  shady: [evil.example, bad.example]
rules:
  - id: telnet
    title: Telnet is used
    severity: high
    confidence: 0.9
    techniques: [T1021, T1071.004]
    when: resp_port == 23
  - id: many-ports
    title: Many ports are tried
    severity: medium
    when: resp_ip in 10.0.0.0/8 and resp_port > 999
    window: {by: orig_ip, within: 1m, distinct: {resp_port: 20}}
  - id: upload
    title: Much is sent fast
    severity: low
    when: resp_port == 80
    window: {within: 10s, rate: 5/s, sum: {orig_payload_bytes: 20kB}}
  - id: pivot
    title: A visited host goes on
    severity: critical
    category: lateral movement
    sequence:
      within: 10m
      by: orig_ip
      steps:
        - {when: resp_port == 22, by: resp_ip}
        - resp_port == 445
        - dns_queries endswith shady
"""


def rows() -> list[dict[str, Any]]:
    told = [flow(0, resp_port=23), flow(1, resp_port=23, resp_ip="10.0.0.7"), flow(2, resp_port=23)]
    told += [flow(3 + n / 2, resp_port=1_000 + n) for n in range(30)]
    told += [flow(20 + n / 10, resp_port=80) for n in range(60)]
    told += [
        flow(50, resp_ip="10.1.1.1", resp_port=22),
        flow(60, orig_ip="10.1.1.1", resp_port=445),
        flow(70, orig_ip="10.1.1.1", resp_port=53, dns_queries=["www.evil.example"]),
        flow(80, orig_ip="10.2.2.2", resp_port=53, dns_queries=["www.evil.example"]),
    ]
    return sorted(told, key=lambda row: row["ended_at"])


@pytest.fixture
def found(tmp_path: Path) -> dict[str, list[Detection]]:
    by_rule: dict[str, list[Detection]] = {}
    for each in found_by(tmp_path, RULES, frame(rows())):
        by_rule.setdefault(each.detector, []).append(each)
    return by_rule


def test_a_condition_finds_the_flows_of_each_pair_of_hosts(found: dict[str, list[Detection]]) -> None:
    first, second = sorted(found["rule:telnet"], key=lambda each: str(each.resp))
    assert (first.orig, first.resp, second.resp) == ("10.0.0.5", "10.0.0.7", "10.0.0.9")
    assert len(second.flow_ids) == second.evidence.measures["flows"] == 2
    assert (second.severity, second.probability, second.category) == ("high", 0.9, "telnet")
    assert [each.id for each in second.techniques] == ["T1021", "T1071.004"]
    assert second.evidence.summary == "10.0.0.5 to 10.0.0.9: Telnet is used, 2 flows in 2.1 s"


def test_a_window_finds_many_values(found: dict[str, list[Detection]]) -> None:
    (one,) = found["rule:many-ports"]
    assert (one.orig, one.resp) == ("10.0.0.5", "10.0.0.9")
    assert one.evidence.measures == {"flows": 30, "flows_in_window": 30, "distinct_resp_port": 30}
    assert one.evidence.thresholds == {"flows_in_window": 1, "distinct_resp_port": 20}


def test_a_window_finds_a_rate_and_a_sum(found: dict[str, list[Detection]]) -> None:
    (one,) = found["rule:upload"]
    assert one.evidence.thresholds == {"flows_in_window": 50, "sum_orig_payload_bytes": 20_000}
    assert one.evidence.measures["sum_orig_payload_bytes"] == 24_000


def test_a_sequence_follows_a_host_from_one_role_to_the_other(found: dict[str, list[Detection]]) -> None:
    (one,) = found["rule:pivot"]
    assert (one.orig, one.resp, one.category) == ("10.1.1.1", "10.0.0.9", "lateral_movement")
    assert len(one.flow_ids) == 3
    assert "www.evil.example" in one.evidence.examples


@pytest.mark.parametrize("size", [1, 7])
def test_batch_boundaries_leave_no_trace(tmp_path: Path, size: int) -> None:
    assert found_by(tmp_path, RULES, frame(rows()), size) == found_by(tmp_path, RULES, frame(rows()))


def test_records_are_sound(found: dict[str, list[Detection]]) -> None:
    everything = [each for group in found.values() for each in group]
    assert len({each.detection_id for each in everything}) == len(everything) == 5
    for each in everything:
        assert each.first_seen <= each.at == each.last_seen
        assert each.evidence.packets
        assert msgspec.json.decode(msgspec.json.encode(each), type=Detection) == each


@pytest.mark.parametrize("severity", ["informational", "low", "medium", "high", "critical"])
@pytest.mark.parametrize("confidence", [0.01, 0.5, 1])
def test_a_detection_has_the_severity_of_its_rule(tmp_path: Path, severity: str, confidence: float) -> None:
    rule = f"{{id: a, title: t, severity: {severity}, confidence: {confidence}, when: resp_port == 1}}"
    (one,) = found_by(tmp_path, f"rules: [{rule}]", frame([flow(resp_port=1)]))
    assert one.severity == severity


def test_repetition_is_reported_in_decades(tmp_path: Path) -> None:
    rule = "rules: [{id: a, title: t, severity: low, when: resp_port == 1}]"
    flows = frame(flow(n * 700, resp_port=1) for n in range(1_300))
    assert [each.evidence.measures["flows"] for each in found_by(tmp_path, rule, flows, 1)] == [64, 640, 1_300]


def test_a_rule_without_its_columns_stays_silent_and_the_others_speak(tmp_path: Path) -> None:
    flows = frame(rows()).drop("dns_queries", "orig_payload_bytes")
    assert {each.detector for each in found_by(tmp_path, RULES, flows)} == {"rule:telnet", "rule:many-ports"}


def test_flows_without_a_value_to_group_by_belong_to_no_group(tmp_path: Path) -> None:
    rule = "{id: a, title: t, severity: low, when: resp_port == 1, window: {by: tls_server_name, within: 1m, count: 2}}"
    flows = [flow(n, resp_port=1, tls_server_name=name) for n, name in enumerate([None, None, "a", "b", "b"])]
    (one,) = found_by(tmp_path, f"rules: [{rule}]", frame(flows))
    assert (one.evidence.measures["flows"], one.evidence.examples) == (2, ["b"])


def test_what_all_rules_remember_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detector, "MOST_HELD", 100)
    rule = "{id: a, title: t, severity: low, when: resp_port == 1, window: {by: orig_ip, within: 1m, count: 3}}"
    rows = [flow(n / 100, resp_port=1, orig_ip=f"10.0.{n // 250}.{n % 250}") for n in range(1_000)]
    rows += [flow(11 + n, resp_port=1, orig_ip="10.9.9.9") for n in range(3)]
    (one,) = found_by(tmp_path, f"rules: [{rule}]", frame(rows))
    assert one.orig == "10.9.9.9"


def test_broad_rules_forget_what_they_have_not_seen_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detector, "MOST_HELD", 10 * detector.CASE_WEIGHT)
    path = tmp_path / "rules.yaml"
    path.write_text("rules: [{id: a, title: t, severity: low, when: known(resp_port)}]")
    rules = OwnRules(load_rules([path], fields()))
    rows = [flow(n, resp_ip=f"10.0.1.{n % 250}") for n in range(1_000)]
    found = [each for part in frame(rows).iter_slices(50) for each in rules.detect(part)]
    assert len(found) == 1_000  # and not 250: when a pair comes again, it is long forgotten


def test_no_rules_find_nothing() -> None:
    soma = Soma([OwnRules([])])
    assert soma.detect(FlowBatch(frame(rows()))) + soma.finish() == []
    assert soma.detect(FlowBatch(pl.DataFrame({"x": [1]}))) == []
