"""Scans of every kind are found once per decade, and ordinary failures are not."""

from __future__ import annotations

from typing import Any

import pytest

from flow_rows import flow, frame, unanswered
from infraspectre.soma.scan import Scan
from soma_runs import found_in


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_vertical_scan_names_ports_and_target(protocol: str) -> None:
    probes = [
        unanswered(port / 100, protocol=protocol, resp_port=port, orig_ip="10.0.0.66") for port in range(1, 1_001)
    ]
    found = found_in(Scan, frame(probes))[-1]
    assert (found.category, found.orig, found.resp) == ("port_scan", "10.0.0.66", "10.0.0.9")
    assert found.evidence.measures["distinct_ports"] == 1_000
    assert "1,000" in found.evidence.summary
    assert found.techniques[0].id == "T1046"
    assert found.severity == "high"
    assert len(found.flow_ids) == 64


def test_a_sweep_has_no_single_target() -> None:
    probes = [unanswered(n, resp_ip=f"10.0.1.{n}", resp_port=445, orig_ip="10.0.0.66") for n in range(1, 201)]
    found = found_in(Scan, frame(probes))
    assert [(each.category, each.resp) for each in found] == [("host_sweep", None)]
    assert found[0].techniques[0].id == "T1018"


def test_a_ping_sweep_counts_even_when_answered() -> None:
    pings = [
        flow(n, protocol="icmp", orig_port=8, resp_port=0, resp_ip=f"10.0.1.{n}", orig_ip="10.0.0.66")
        for n in range(1, 100)
    ]
    assert [each.category for each in found_in(Scan, frame(pings))] == ["ping_sweep"]


def test_a_slow_scan_is_found_over_hours() -> None:
    probes = [unanswered(port * 300, resp_port=port, tcp_state="REJ") for port in range(1, 61)]
    assert found_in(Scan, frame(probes))[-1].evidence.measures["distinct_ports"] == 60


def test_scans_from_outside_weigh_less_and_have_their_own_technique() -> None:
    probes = [unanswered(port / 100, orig_ip="198.51.100.7", resp_port=port) for port in range(1, 101)]
    found = found_in(Scan, frame(probes))[0]
    assert found.techniques[0].id == "T1595.001"
    assert found.severity == "medium"


def test_a_browser_with_dead_links_is_quiet() -> None:
    pages = [flow(n, resp_ip=f"192.0.2.{n % 200}") for n in range(400)]
    dead = [unanswered(n * 10, resp_ip=f"198.51.100.{n}") for n in range(30)]
    assert found_in(Scan, frame(pages + dead)) == []


def test_traceroute_and_answers_to_unseen_requests_are_quiet() -> None:
    trace = [unanswered(n, protocol="udp", resp_port=33_434 + n) for n in range(90)]
    answers = [unanswered(n, protocol="udp", orig_port=53, resp_port=40_000 + n) for n in range(90)]
    keepalives = [unanswered(n, tcp_state="OTH", orig_port=443, resp_port=40_000 + n) for n in range(90)]
    assert found_in(Scan, frame(trace + answers + keepalives)) == []


def test_growth_is_reported_in_decades() -> None:
    probes = [unanswered(port / 100, resp_port=port) for port in range(1, 60_001)]
    sizes = [each.evidence.measures["distinct_ports"] for each in found_in(Scan, frame(probes))]
    assert sizes == [6_000, 60_000]


@pytest.mark.parametrize("said", [{"tcp_state": "S0"}, {"tcp_state": None, "resp_packets": 0}], ids=["Zeek", "EVE"])
def test_logs_that_are_silent_about_payload_show_scans(said: dict[str, Any]) -> None:
    rows = [
        flow(n, resp_port=n) | {"orig_payload_bytes": None, "resp_payload_bytes": None} | said for n in range(1, 60)
    ]
    assert [each.category for each in found_in(Scan, frame(rows))] == ["port_scan"]


def test_logs_that_are_silent_about_payload_do_not_make_answered_calls_probes() -> None:
    said = {"orig_payload_bytes": None, "resp_payload_bytes": None, "tcp_state": None}
    assert found_in(Scan, frame([flow(n, resp_port=n) | said for n in range(1, 60)])) == []


def test_a_host_that_is_reached_again_and_again_does_not_hide_a_sweep() -> None:
    work = [flow(n * 60, resp_ip="10.0.1.250", resp_port=445, orig_ip="10.0.0.66") for n in range(600)]
    probes = [unanswered(n, resp_ip=f"10.0.1.{n}", resp_port=445, orig_ip="10.0.0.66") for n in range(1, 61)]
    (*_, found) = found_in(Scan, frame([*probes, *work]), size=64)
    assert found.category == "host_sweep"
    assert found.evidence.measures["reached_hosts"] <= 1
    assert "of 60 hosts" in found.evidence.summary
