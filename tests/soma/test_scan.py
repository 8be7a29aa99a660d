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


def test_whoever_scans_again_the_next_day_is_told_of_again() -> None:
    def probes(hour: float) -> list[dict[str, Any]]:
        return [unanswered(hour * 3_600 + port / 10, resp_port=port, orig_ip="10.0.0.66") for port in range(1, 401)]

    first, *again = found_in(Scan, frame(probes(0) + probes(24)), 400)
    assert [each.evidence.measures for each in again] == [first.evidence.measures]
    assert again[0].detection_id != first.detection_id
    assert again[0].first_seen - first.first_seen == 24 * 3_600 * 10**9
    assert len(found_in(Scan, frame(probes(0) + probes(6)), 400)) == 1, "what goes on is told once"


def test_a_sweep_has_no_single_target() -> None:
    probes = [unanswered(n, resp_ip=f"10.0.1.{n}", resp_port=445, orig_ip="10.0.0.66") for n in range(1, 201)]
    found = found_in(Scan, frame(probes))
    assert [(each.category, each.resp) for each in found] == [("host_sweep", None)]
    assert found[0].techniques[0].id == "T1018"


def pings(rounds: int) -> list[dict[str, Any]]:
    return [
        flow(each * 300 + n, protocol="icmp", orig_port=8, resp_port=0, resp_ip=f"10.0.1.{n}", orig_packets=1)
        for each in range(rounds)
        for n in range(1, 100)
    ]


def test_a_ping_sweep_counts_even_when_answered() -> None:
    assert [each.category for each in found_in(Scan, frame(pings(1)))] == ["ping_sweep"]


def test_a_monitor_that_comes_again_is_quiet() -> None:
    checks = [
        flow(each * 60 + n, resp_ip=f"10.0.1.{n}", resp_port=22, orig_payload_bytes=0, resp_payload_bytes=0)
        for each in range(100)
        for n in range(1, 41)
    ]
    assert found_in(Scan, frame([*pings(20), *checks]), size=512) == []


def test_one_round_over_hosts_that_all_answer_is_found_after_a_while() -> None:
    knocks = [
        flow(n, resp_ip=f"10.0.1.{n}", resp_port=445, orig_payload_bytes=0, resp_payload_bytes=0) for n in range(40)
    ]
    later = [flow(n * 60, orig_ip="10.0.0.7") for n in range(100)]
    found = found_in(Scan, frame([*knocks, *later]), size=64)
    assert [(each.category, each.severity) for each in found] == [("host_sweep", "medium")]


def test_many_ports_of_many_hosts_are_one_scan_of_the_network() -> None:
    probes = [
        unanswered(n * 16 + port, resp_ip=f"10.0.1.{n}", resp_port=port) for n in range(40) for port in range(20, 36)
    ]
    found = found_in(Scan, frame(probes), size=64)
    (whole,) = [each for each in found if each.category == "network_scan"][-1:]
    assert whole.resp is None
    assert 500 <= whole.evidence.measures["distinct_doors"] <= 640
    assert sum(each.category == "port_scan" for each in found) <= 9


def test_random_doors_hours_apart_are_found() -> None:
    probes = [unanswered(n * 200, resp_ip=f"10.0.1.{n * 7 % 61}", resp_port=20 + n * 5 % 23) for n in range(60)]
    assert [each.category for each in found_in(Scan, frame(probes))] == ["network_scan"]


def test_updates_from_peers_that_are_switched_off_are_of_low_severity() -> None:
    calls = [unanswered(n, resp_ip=f"10.0.1.{n}", resp_port=7_680) for n in range(60)]
    assert {each.severity for each in found_in(Scan, frame(calls))} == {"low"}


def test_peers_of_long_ago_are_of_low_severity() -> None:
    calls = [unanswered(n, protocol="udp", resp_ip=f"192.0.2.{n}", resp_port=6_881) for n in range(250)]
    assert {each.severity for each in found_in(Scan, frame(calls))} == {"low"}


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


def servers() -> list[dict[str, Any]]:
    """Give a network of servers with their clients."""
    return [
        flow(n, orig_ip=f"10.0.9.{n % 8}", resp_ip=f"10.0.1.{n // 8}", resp_port=443, resp_payload_bytes=900)
        for n in range(40)
    ]


def knocks(orig: str, ports: int) -> list[dict[str, Any]]:
    ends = [(host, port) for host in range(1, 20) for port in range(20, 20 + ports)]
    return [
        unanswered(1_000 + n, orig_ip=orig, resp_ip=f"10.0.1.{host}", resp_port=port)
        for n, (host, port) in enumerate(ends)
    ]


def severities(rows: list[dict[str, Any]]) -> set[str]:
    return {each.severity for each in found_in(Scan, frame(rows), size=64)}


def test_a_machine_among_servers_that_only_scans_seems_to_be_there_for_it() -> None:
    assert severities(servers() + knocks("10.0.1.99", 20)) == {"low"}
    assert "medium" in severities(servers() + knocks("10.0.1.99", 3))
    assert "low" not in severities(servers() + knocks("10.0.9.1", 20))
    assert "low" not in severities(servers() + knocks("10.0.1.1", 20))


def test_a_scan_begins_with_what_belongs_to_it() -> None:
    stale = [unanswered(600 * n, orig_ip="10.0.0.66", resp_ip="10.0.1.200", resp_port=445) for n in range(60)]
    sweep = [unanswered(20_000 + n, orig_ip="10.0.0.66", resp_ip=f"10.0.1.{n}", resp_port=445) for n in range(1, 120)]
    others = [flow(10 * n, orig_ip="10.0.0.7") for n in range(3_600)]
    rows = sorted(stale + sweep + others, key=lambda row: row["started_at"])
    found = found_in(Scan, frame(rows), size=64)[-1]
    assert found.category == "host_sweep"
    assert found.evidence.measures["duration_s"] < 1_200


def test_answers_to_questions_for_a_group_are_no_scan() -> None:
    answers = [unanswered(n, protocol="udp", orig_port=5_355, resp_port=50_000 + n) for n in range(60)]
    assert found_in(Scan, frame(answers)) == []


def test_asking_services_what_they_are_is_a_scan_of_ports() -> None:
    ports = (21, 22, 23, 25, 53, 80, 110, 111, 135, 139, 143, 443, 445, 3_306, 3_389, 5_432, 5_900, 8_080)
    asked = [
        flow(n, resp_port=port, orig_payload_bytes=18, resp_payload_bytes=80, duration_ms=250.0)
        if n % 3
        else unanswered(n, resp_port=port)
        for n, port in enumerate(ports)
    ]
    assert [each.category for each in found_in(Scan, frame(asked))] == ["port_scan"]
    used = [row | {"orig_payload_bytes": 900} for row in asked if row["resp_payload_bytes"]]
    assert found_in(Scan, frame(used)) == []
