"""Miners are found by what they say, by a pool's name and by their shape; chat, browsing and services are not."""

from __future__ import annotations

from typing import Any

import pytest

from flow_rows import flow, frame
from infraspectre.axon import Axon
from infraspectre.records import FlowBatch
from infraspectre.soma import Soma
from infraspectre.soma.mining import Mining
from soma_runs import found_in

POOL = "203.0.113.9"


def work(at_s: float = 0.0, **columns: Any) -> dict[str, Any]:
    """Describe half an hour of a miner's connection: a share or a job every 15 s."""
    shape: dict[str, Any] = {
        "resp_ip": POOL,
        "resp_port": 3_333,
        "duration_ms": 1_800_000.0,
        "orig_packets": 130,
        "resp_packets": 170,
        "orig_data_packets": 120,
        "resp_data_packets": 160,
        "orig_payload_bytes": 120 * 220,
        "resp_payload_bytes": 160 * 300,
        "orig_segment_bytes_mean": 220.0,
        "orig_segment_bytes_std": 30.0,
    }
    return flow(at_s, **(shape | columns))


def test_the_protocol_of_miners_is_found_at_once() -> None:
    said: dict[str, Any] = {
        "app_protocol": "stratum",
        "stratum_methods": ["login", "job"],
        "stratum_worker": "48abc",
        "resp_port": 443,
    }
    found = found_in(Mining, frame([work(duration_ms=2_000.0, **said)]))
    assert [(each.category, each.severity, each.orig, each.resp) for each in found] == [
        ("crypto_mining", "high", "10.0.0.5", POOL)
    ]
    assert {each.id for each in found[0].techniques} == {"T1496", "T1496.001"}
    assert "48abc" in found[0].evidence.summary


def test_a_connection_cut_in_its_middle_still_names_the_miner() -> None:
    turned = flow(
        orig_ip=POOL, orig_port=3_333, resp_ip="10.0.0.5", resp_port=50_000, tcp_state="OTH",
        app_protocol="stratum", stratum_methods=["mining.notify"],
    )  # fmt: skip
    found = found_in(Mining, frame([turned]))
    assert [(each.orig, each.resp) for each in found] == [("10.0.0.5", POOL)]


def test_the_shape_counts_with_a_port_or_a_name_of_pools() -> None:
    assert [each.severity for each in found_in(Mining, frame([work()]))] == ["medium"]
    named = work(resp_port=443, app_protocol="tls", tls_server_name="eu.xmrpool.example")
    assert [each.severity for each in found_in(Mining, frame([named]))] == ["medium"]


@pytest.mark.parametrize(
    ("other", "severity"),
    [({}, "medium"), ({"orig_segment_bytes_std": 80.0}, "low"), ({"resp_data_packets": 110}, "low")],
)
def test_on_any_port_messages_must_be_alike_and_answers_more(other: dict[str, Any], severity: str) -> None:
    columns: dict[str, Any] = {"resp_port": 443, "app_protocol": "tls"} | other
    found = found_in(Mining, frame([work(**columns)]))
    assert [each.severity for each in found] == [severity]


def test_other_talk_is_quiet() -> None:
    keepalives = work(orig_payload_bytes=120 * 6)
    large = work(resp_payload_bytes=160 * 60_000)
    short = work(duration_ms=90_000.0)
    browsing = flow(resp_ip=POOL, resp_port=443, app_protocol="tls", tls_server_name="www.ethermine.example")
    for other in (keepalives, large, short, browsing):
        assert found_in(Mining, frame([other])) == []
    service = [work(orig_ip=f"10.0.0.{n}") for n in range(9)]
    assert found_in(Mining, frame(service)) == []


def test_a_name_that_many_hosts_call_is_no_pool_at_any_of_its_addresses() -> None:
    pushed: dict[str, Any] = {"resp_port": 443, "app_protocol": "tls", "tls_server_name": "push.known.example"}
    others = [flow(n, orig_ip=f"10.0.1.{n}", resp_ip=f"192.0.2.{n}", **pushed) for n in range(1, 9)]
    for rows, is_found in (([work(9.0, **pushed)], True), ([*others, work(9.0, **pushed)], False)):
        flows, soma = FlowBatch(frame(rows)), Soma([Mining()])
        assert bool(soma.detect(flows, Axon().extract(flows)) + soma.finish()) == is_found
