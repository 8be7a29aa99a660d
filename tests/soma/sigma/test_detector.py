"""Sigma rules find what they describe in flows, whatever the size of the batches."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from flow_rows import flow, frame
from infraspectre.records import Detection
from infraspectre.soma import Soma
from infraspectre.soma.sigma import SigmaDetector, load_sigma
from soma_runs import found_in

QUERY = """\
title: Odd name
id: one
name: odd_name
tags: [attack.t1071.004]
logsource:
    category: dns
detection:
    selection:
        query|endswith: .odd.example
    filter:
        query|startswith: www.
    condition: selection and not filter
falsepositives:
    - Unknown
    - Tests of the owner.
level: critical
"""
PORT = """\
title: Door
name: door
logsource: {category: firewall}
detection:
    selection: {dst_port: [22, 23]}
    condition: selection
level: low
"""
MANY = """\
title: Many doors
id: many
correlation:
    type: value_count
    rules: [door]
    group-by: [src_ip]
    timespan: 10m
    condition: {field: dst_ip, gte: 5}
level: high
"""


def detector(tmp_path: Path, *texts: str) -> SigmaDetector:
    path = tmp_path / "rules.yml"
    path.write_text("\n---\n".join(texts))
    return SigmaDetector(load_sigma([path]))


def flows() -> pl.DataFrame:
    asked = [flow(n, dns_queries=[f"{name}.odd.example"], resp_port=53) for n, name in enumerate(["www", "a", "b"])]
    knocked = [flow(20 + n, resp_ip=f"10.0.1.{n % 7}", resp_port=22) for n in range(7)]
    return frame([*asked, *knocked])


def test_a_rule_becomes_a_detection_with_all_that_it_says(tmp_path: Path) -> None:
    (found,) = found_in(lambda: detector(tmp_path, QUERY), flows())
    assert (found.detector, found.category, found.severity) == ("sigma", "odd_name", "critical")
    assert [technique.id for technique in found.techniques] == ["T1071.004"]
    assert (found.orig, found.resp, found.flow_ids) == ("10.0.0.5", "10.0.0.9", [2, 3])
    assert found.evidence.summary == (
        "Sigma rule 'Odd name' (one) matched 2 flows of 10.0.0.5 with 10.0.0.9; harmless if: Tests of the owner"
    )
    assert found.evidence.examples == ["query=a.odd.example", "query=b.odd.example"]


def test_rules_that_serve_a_correlation_are_silent_unless_it_says_otherwise(tmp_path: Path) -> None:
    found = found_in(lambda: detector(tmp_path, MANY, PORT), flows())
    assert [(each.category, each.severity, each.orig) for each in found] == [("many_doors", "high", "10.0.0.5")]
    assert found[0].evidence.measures["flows"] == 5
    assert found[0].evidence.examples == ["src_ip=10.0.0.5"]
    loud = found_in(
        lambda: detector(tmp_path, MANY.replace("    type:", "    generate: true\n    type:"), PORT), flows()
    )
    assert {each.category for each in loud} == {"many_doors", "door"}


@pytest.mark.parametrize("size", [1, 4, 100])
def test_the_size_of_batches_leaves_no_trace(size: int, tmp_path: Path) -> None:
    def seen(batch: int) -> list[Detection]:
        return found_in(lambda: detector(tmp_path, MANY, PORT, QUERY), flows(), batch)

    assert seen(size) == seen(10)


def test_a_window_still_open_at_the_end_is_judged_then(tmp_path: Path) -> None:
    few = MANY.replace("value_count", "event_count").replace("{field: dst_ip, gte: 5}", "{lte: 7}")
    (found,) = found_in(lambda: detector(tmp_path, few, PORT), flows())
    assert found.evidence.measures["flows"] == 7


def test_flows_without_application_columns_are_looked_at_as_far_as_they_go(tmp_path: Path) -> None:
    bare = flows().drop(name for name in flows().columns if name.startswith("dns_"))
    assert [each.category for each in found_in(lambda: detector(tmp_path, QUERY, MANY, PORT), bare)] == ["many_doors"]


def test_it_stands_beside_the_other_detectors(tmp_path: Path) -> None:
    assert Soma([detector(tmp_path, QUERY)]).finish() == []
