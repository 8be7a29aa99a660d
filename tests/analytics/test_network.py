from __future__ import annotations

from typing import Any

import polars as pl

from infraspectre.analytics.network import COLUMNS, network
from infraspectre.records.times import NANOSECONDS

START, END = 0, 480 * NANOSECONDS


def table(*flows: dict[str, Any]) -> pl.DataFrame:
    usual = {
        "orig_ip": "10.0.0.1", "resp_ip": "10.0.0.2", "resp_port": 443, "protocol": "tcp", "app_protocol": "tls",
        "started_at": 0, "orig_bytes": 10, "resp_bytes": 90, "orig_packets": 1, "resp_packets": 2,
    }  # fmt: skip
    return pl.DataFrame([usual | flow for flow in flows]).select(COLUMNS)


def test_sums_do_not_depend_on_how_flows_are_cut() -> None:
    flows = [{"orig_ip": f"10.0.0.{number % 7}", "started_at": number * NANOSECONDS} for number in range(400)]
    whole = network([table(*flows)], START, END)
    cut = network([table(*flows[:3]), table(*flows[3:250]), table(*flows[250:])], START, END)
    assert whole == cut
    assert (whole.flows, whole.bytes, whole.packets, whole.hosts) == (400, 40_000, 1_200, 7)


def test_the_largest_come_first() -> None:
    found = network([table({}, {"orig_ip": "10.0.0.9", "orig_bytes": 5_000})], START, END)
    assert [each.name for each in found.senders] == ["10.0.0.9", "10.0.0.1"]


def test_rates_cover_the_whole_span() -> None:
    found = network([table({}, {"started_at": 475 * NANOSECONDS})], START, END)
    assert len(found.rates) == 48
    assert [each.flows_per_s for each in found.rates if each.flows_per_s] == [0.1, 0.1]
    assert found.rates[-1].start.endswith("00:07:50.000000Z")


def test_what_is_not_known_is_said_to_be_so() -> None:
    found = network([table({"app_protocol": None, "orig_bytes": None})], START, END)
    assert found.services[0].name == "tcp/443"
    assert found.bytes == 90


def test_nothing_is_nothing() -> None:
    found = network([], START, END)
    assert (found.flows, found.hosts, found.senders) == (0, 0, [])
