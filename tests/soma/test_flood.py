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
    "udp_flood": [unanswered(n / 100, protocol="udp", orig_packets=1_000) for n in range(50)],
    "icmp_flood": [flow(protocol="icmp", orig_port=8, resp_port=0, orig_packets=5_000, duration_ms=9_000.0)],
    "http_flood": [flow(n / 100, http_request_count=30, resp_port=80) for n in range(200)],
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
    assert [(each.category, each.orig, each.resp) for each in found] == [("amplification", None, "10.0.0.9")]
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
