"""Beacons are found under jitter; people, shared services and periodic protocols are not beacons."""

from __future__ import annotations

import random
from typing import Any

import pytest

from flow_rows import flow, frame, unanswered
from infraspectre.soma.beacon import Beacon, BeaconSettings
from soma_runs import found_in


def calls(period_s: float, jitter: float, count: int = 60, **columns: Any) -> list[dict[str, Any]]:
    source, at = random.Random(11), 0.0
    rows = []
    for number in range(count):
        rows.append(flow(at, **({"resp_ip": "203.0.113.9", "orig_port": 50_000 + number} | columns)))
        at += period_s * (1 + source.uniform(-jitter, jitter))
    return rows


@pytest.mark.parametrize("jitter", [0.0, 0.1, 0.3, 0.5])
@pytest.mark.parametrize("period_s", [5.0, 60.0, 3_600.0])
def test_a_beacon_is_found_under_jitter(period_s: float, jitter: float) -> None:
    found = found_in(Beacon, frame(calls(period_s, jitter, app_protocol="tls")))[-1]
    assert (found.category, found.orig, found.resp) == ("beacon", "10.0.0.5", "203.0.113.9")
    assert found.evidence.measures["period_s"] == pytest.approx(period_s, rel=0.2)
    assert [each.id for each in found.techniques] == ["T1071.001", "T1573"]


def test_steadier_is_more_suspicious() -> None:
    scores = [found_in(Beacon, frame(calls(60.0, jitter)))[-1].score for jitter in (0.0, 0.2, 0.5)]
    assert scores == sorted(scores, reverse=True)


def test_people_are_not_periodic() -> None:
    source, at, rows = random.Random(5), 0.0, []
    for _ in range(300):
        rows.append(flow(at, resp_ip="203.0.113.9", orig_payload_bytes=round(400 * source.lognormvariate(0, 0.6))))
        at += source.lognormvariate(2.0, 1.5)
    assert found_in(Beacon, frame(rows)) == []


def test_shared_destinations_and_periodic_protocols_are_quiet() -> None:
    shared = [row for host in range(5) for row in calls(60.0, 0.0, orig_ip=f"10.0.0.{host}")]
    time = calls(64.0, 0.0, resp_ip="203.0.113.123", resp_port=123, protocol="udp")
    group = calls(30.0, 0.0, resp_ip="239.255.255.250", resp_port=4_000, protocol="udp")
    assert found_in(Beacon, frame(sorted(shared + time + group, key=lambda row: row["ended_at"]))) == []


def test_a_scan_does_not_flush_a_slow_beacon_from_memory() -> None:
    scan = [
        unanswered(600.0 * hour + step, resp_ip=f"198.18.{hour}.{step}") for hour in range(24) for step in range(200)
    ]
    rows = sorted(calls(600.0, 0.0, count=24) + scan, key=lambda row: row["ended_at"])
    found = found_in(lambda: Beacon(BeaconSettings(capacity=64)), frame(rows))
    assert {each.resp for each in found} == {"203.0.113.9"}


def test_a_lasting_association_kept_alive_is_less_suspicious_than_calls_anew() -> None:
    anew, kept = (found_in(Beacon, frame(calls(600.0, 0.0, **ports)))[-1] for ports in ({}, {"orig_port": 2_011}))
    assert kept.score < 0.8 * anew.score


def test_the_callers_that_are_told_were_counted() -> None:
    pair = [row for host in (1, 2) for row in calls(60.0, 0.1, orig_ip=f"10.0.0.{host}")]
    found = found_in(Beacon, frame(sorted(pair, key=lambda row: row["ended_at"])))[-1]
    assert found.evidence.measures["callers"] == 2
    assert "2 hosts called it more than once" in found.evidence.summary
