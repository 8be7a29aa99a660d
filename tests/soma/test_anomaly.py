"""The far tail is reported, few times and at low severity; the usual never is."""

from __future__ import annotations

import random
from typing import Any

import pytest

from flow_rows import flow, frame
from infraspectre.soma.anomaly import Anomaly
from soma_runs import found_in


def usual(count: int, seed: int = 3) -> list[dict[str, Any]]:
    source = random.Random(seed)
    return [
        flow(
            n,
            resp_ip=f"192.0.2.{n % 40}",
            orig_payload_bytes=round(source.lognormvariate(6, 0.5)),
            resp_payload_bytes=round(source.lognormvariate(8, 1)),
        )
        for n in range(count)
    ]


ODD = flow(
    500.5, orig_ip="10.0.0.66", orig_payload_bytes=10**9, orig_packets=10**6, resp_packets=10**5, duration_ms=9e6
)


@pytest.mark.parametrize("count", [600, 6_000])
def test_a_flow_unlike_the_rest_is_reported_at_low_severity(count: int) -> None:
    rows = usual(count)
    found = found_in(Anomaly, frame([*rows[:501], ODD, *rows[501:]]))
    assert [(each.category, each.orig) for each in found] == [("anomaly", "10.0.0.66")]
    assert found[0].severity == "low"
    assert found[0].evidence.measures["p_value"] < 0.01


def test_usual_flows_and_short_captures_are_quiet() -> None:
    assert found_in(Anomaly, frame(usual(5_000))) == []
    assert found_in(Anomaly, frame([*usual(100), ODD])) == []


def test_a_baseline_speaks_from_the_first_flow_on() -> None:
    assert len(found_in(lambda: Anomaly(baseline=frame(usual(500))), frame([ODD]))) == 1


def test_reports_are_bounded() -> None:
    odd = [ODD | {"orig_ip": f"10.0.1.{n}", "orig_payload_bytes": 10 ** (7 + n % 3)} for n in range(50)]
    assert 0 < len(found_in(Anomaly, frame([*usual(3_000), *odd]))) <= 8
