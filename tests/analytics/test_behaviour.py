from __future__ import annotations

from typing import Any

import polars as pl

from infraspectre.analytics.behaviour import COLUMNS, HOUR, behaviour

START, END = 1_000 * HOUR, 1_002 * HOUR
HOST = "10.0.0.9"


def flow(number: int, at: int, **more: Any) -> dict[str, Any]:
    usual = {"orig_ip": HOST, "resp_ip": "10.0.0.1", "resp_port": 443, "protocol": "tcp", "app_protocol": "tls"}
    return {"flow_id": number, "started_at": at, "orig_bytes": 100, "resp_bytes": 1_000} | usual | more


def table(*flows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(flows).select(COLUMNS)


def test_a_span_is_summed_up_beside_the_one_before() -> None:
    before = [flow(number, START - HOUR + number) for number in range(20)]
    now = [flow(100 + number, START + number, resp_ip=f"10.0.1.{number}", orig_bytes=5_000) for number in range(20)]
    found = behaviour(HOST, [table(*before), table(*now)], START, END)
    assert (found.now.flows, found.now.peers, found.now.sent_bytes) == (20, 20, 100_000)
    assert found.before.peers == 1
    assert {each.measure for each in found.changes} == {"peers", "sent_bytes"}
    assert all(each.is_new for each in found.peers)


def test_a_flow_is_seen_from_the_host() -> None:
    served = flow(1, START, orig_ip="10.0.0.5", resp_ip=HOST, resp_port=8080, app_protocol=None)
    found = behaviour(HOST, [table(served)], START, END)
    assert (found.now.sent_bytes, found.now.received_bytes) == (1_000, 100)
    assert [each.name for each in found.offered] == ["tcp/8080"]
    assert found.used == []
    assert found.peers[0].address == "10.0.0.5"


def test_a_flow_given_twice_counts_once() -> None:
    found = behaviour(HOST, [table(flow(1, START)), table(flow(1, START))], START, END)
    assert found.now.flows == 1


def test_with_little_before_nothing_is_called_a_change() -> None:
    now = [flow(number, START, resp_ip=f"10.0.1.{number}") for number in range(50)]
    assert behaviour(HOST, [table(*now)], START, END).changes == []


def test_no_flows_are_no_behaviour() -> None:
    found = behaviour(HOST, [], START, END)
    assert (found.now.flows, found.peers, found.hours) == (0, [], {})


def test_hours_are_those_in_which_flows_began() -> None:
    found = behaviour(HOST, [table(flow(1, START), flow(2, START + HOUR + 1), flow(3, END))], START, END)
    assert list(found.hours.values()) == [1, 1]
