"""Floods of each kind are found by their peak rate, and fast ordinary traffic is not."""

from __future__ import annotations

from typing import Any

import pytest

from flow_rows import flow, frame, unanswered
from infraspectre.soma.flood import Flood
from soma_runs import found_in


def spoofed(number: int) -> str:
    return f"198.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


FLOODS: dict[str, list[dict[str, Any]]] = {
    "syn_flood": [unanswered(n / 1_000, orig_ip=spoofed(n)) for n in range(3_000)],
    "udp_flood": [unanswered(n / 100, protocol="udp", orig_packets=1_000, duration_ms=5_000.0) for n in range(50)],
    "icmp_flood": [flow(protocol="icmp", orig_port=8, resp_port=0, orig_packets=5_000, duration_ms=9_000.0)],
    "http_flood": [flow(n / 100, http_request_count=100, resp_port=80) for n in range(200)],
    "amplification": [
        flow(
            n / 100,
            protocol="udp",
            resp_port=123,
            orig_payload_bytes=8,
            orig_packets=1,
            resp_payload_bytes=48_000,
            resp_packets=100,
        )
        for n in range(100)
    ],
}


def test_answers_never_asked_for_are_amplification() -> None:
    answers = [
        unanswered(
            n,
            orig_ip=f"198.51.100.{n}",
            protocol="udp",
            orig_port=123,
            resp_port=40_000,
            orig_packets=300,
            orig_payload_bytes=140_000,
        )
        for n in range(20)
    ]
    found = found_in(Flood, frame(answers))
    assert [(each.category, each.orig, each.resp) for each in found] == [("amplification", "198.51.100.0", "10.0.0.9")]
    assert "ntp" in found[0].evidence.summary


@pytest.mark.parametrize("category", FLOODS)
def test_a_flood_is_found_once_and_names_its_victim(category: str) -> None:
    found = found_in(Flood, frame(FLOODS[category]))
    assert [each.category for each in found] == [category]
    assert found[0].resp == ("10.0.0.5" if category == "amplification" else "10.0.0.9")


def test_a_flood_from_many_hosts_has_no_single_actor() -> None:
    found = found_in(Flood, frame(FLOODS["syn_flood"]))[0]
    assert found.orig is None
    assert found.evidence.measures["senders"] == pytest.approx(3_000, rel=0.1)


DRIPPING: dict[str, Any] = {"duration_ms": 240_000.0, "flow_gap_ms_max": 9_000.0}


@pytest.mark.parametrize("answer", [0, 2_000], ids=["slow headers", "slow reading or TLS"])
def test_connections_left_open_are_found(answer: int) -> None:
    rows = [
        flow(n / 10, resp_port=443, orig_payload_bytes=400, resp_payload_bytes=answer, **DRIPPING) for n in range(80)
    ]
    found = found_in(Flood, frame(rows))[0]
    assert (found.category, found.orig, found.resp) == ("slow_http_flood", "10.0.0.5", "10.0.0.9")
    assert [each.id for each in found.techniques] == ["T1499.002", "T1499.003"]


def test_slow_connections_of_many_outside_hosts_are_one_flood() -> None:
    rows = [flow(n, orig_ip=f"198.51.100.{n}", resp_port=80, resp_payload_bytes=0, **DRIPPING) for n in range(40)]
    assert [(each.category, each.resp) for each in found_in(Flood, frame(rows))] == [("slow_http_flood", "10.0.0.9")]


def test_a_browser_that_leaves_some_connections_open_is_quiet() -> None:
    idle = [
        flow(n * 5, resp_port=443, duration_ms=120_000.0, resp_payload_bytes=6_000, flow_gap_ms_max=110_000.0)
        for n in range(200)
    ]
    assert found_in(Flood, frame(idle)) == []


def test_requests_for_one_thing_from_outside_are_a_flood_and_readers_are_none() -> None:
    def asked(number: int, path: str) -> dict[str, Any]:
        return flow(number / 10, orig_ip="198.51.100.7", resp_port=80, http_request_count=1, http_uris=[path])

    flood = found_in(Flood, frame(asked(n, f"/?r={n}") for n in range(900)))
    assert [(each.category, each.orig) for each in flood] == [("http_flood", "198.51.100.7")]
    assert found_in(Flood, frame(asked(n, f"/image{n % 300}.png") for n in range(900))) == []


def test_a_second_flood_hours_later_is_another() -> None:
    floods = [
        unanswered(at + n / 100, protocol="icmp", orig_port=8, orig_ip=sender)
        for at, sender in ((0, "198.51.100.1"), (20_000, "198.51.100.2"))
        for n in range(900)
    ]
    assert [each.orig for each in found_in(Flood, frame(floods))] == ["198.51.100.1", "198.51.100.2"]


def test_a_burst_of_datagrams_is_a_flood_and_a_scan_by_datagrams_is_none() -> None:
    large = {"orig_bytes": 520, "orig_payload_bytes": 512, "orig_packets": 1}
    flood = [
        unanswered(n / 400, protocol="udp", orig_port=n + 1_024, resp_port=n % 9_000 + 1, **large) for n in range(8_000)
    ]
    assert {each.category for each in found_in(Flood, frame(flood))} == {"udp_flood"}
    scan = [unanswered(n / 400, protocol="udp", resp_port=n + 1, orig_packets=1, orig_bytes=8) for n in range(8_000)]
    assert found_in(Flood, frame(scan)) == []


def test_clients_that_call_a_failed_server_are_no_flood() -> None:
    calls = [unanswered(n / 50, orig_ip=f"10.0.1.{n % 200}", orig_packets=1) for n in range(2_000)]
    assert found_in(Flood, frame(calls)) == []


def test_the_same_traffic_over_an_hour_is_no_flood() -> None:
    slow = [row | {"ended_at": row["started_at"] + n * 2_000_000_000} for n, row in enumerate(FLOODS["syn_flood"])]
    assert found_in(Flood, frame(slow)) == []


def test_streams_and_page_loads_are_quiet() -> None:
    video = [unanswered(0, protocol="udp", orig_packets=360_000, duration_ms=3_600_000.0)]
    pages = [flow(n / 10, http_request_count=5) for n in range(100)]
    names = [
        flow(n / 10, protocol="udp", resp_port=53, orig_payload_bytes=40, resp_payload_bytes=160) for n in range(900)
    ]
    assert found_in(Flood, frame(video + pages + names)) == []


def test_who_sends_most_in_all_is_named() -> None:
    readers = [flow(n, orig_ip="203.0.113.7", http_request_count=40, resp_port=80) for n in range(1)]
    attack = [flow(n / 20, orig_ip="203.0.113.66", http_request_count=1, resp_port=80) for n in range(1_000)]
    found = found_in(Flood, frame(readers + attack))
    assert [(each.category, each.orig) for each in found] == [("http_flood", "203.0.113.66")]
