from __future__ import annotations

import polars as pl
import pytest

from findings import SECOND, START
from infraspectre.report import FlowStatistics, statistics


def flows(*rows: tuple[str, str, str, str | None, float, int, int]) -> pl.DataFrame:
    names = ["orig_ip", "resp_ip", "protocol", "app_protocol", "at", "orig_bytes", "resp_bytes"]
    begun = (START + pl.col("at") * SECOND).cast(pl.Int64)
    return pl.DataFrame(rows, schema=names, orient="row").with_columns(
        started_at=begun, ended_at=begun + SECOND, orig_packets=pl.lit(1), resp_packets=pl.lit(2)
    )


WEB = ("10.0.0.1", "192.0.2.1", "tcp", "tls", 0.0, 100, 900)
DNS = ("10.0.0.1", "10.0.0.53", "udp", "dns", 5.0, 40, 80)
DEAD = ("192.0.2.9", "10.0.0.1", "tcp", None, 9.0, 20, 0)


def test_everything_is_summed() -> None:
    stats = FlowStatistics()
    stats.add(flows(WEB, DNS, DEAD))
    assert (stats.total.flows, stats.total.packets, stats.total.bytes) == (3, 9, 1140)
    assert (stats.first_ns, stats.last_ns) == (START, START + 10 * SECOND)
    host = stats.hosts["10.0.0.1"]
    assert (host.flows_begun, host.flows_answered, host.bytes_sent, host.bytes_received) == (2, 0, 140, 1000)
    assert stats.hosts["10.0.0.53"].services == ["dns"]
    assert stats.pairs["10.0.0.1", "192.0.2.1"].bytes == 1000
    assert stats.protocols["tcp", "tls"].flows == stats.protocols["tcp", ""].flows == 1
    assert sum(stats.bins.values()) == 1140


def test_batches_add_up() -> None:
    together, apart = FlowStatistics(), FlowStatistics()
    together.add(flows(WEB, DNS, DEAD, WEB))
    for row in (WEB, DNS, DEAD, WEB):
        apart.add(flows(row))
    assert apart == together


def test_missing_and_null_columns_count_as_nothing() -> None:
    stats = FlowStatistics()
    stats.add(pl.DataFrame())
    stats.add(pl.DataFrame({"orig_ip": ["10.0.0.1"], "resp_ip": [None], "orig_bytes": [None]}))
    assert (stats.total.flows, stats.total.bytes, stats.first_ns, stats.bins) == (1, 0, None, {})


def test_time_bins_stay_few_however_long_it_takes() -> None:
    stats = FlowStatistics()
    for hour in range(0, 5000, 50):
        stats.add(flows(*[(*WEB[:4], (hour + step) * 3600.0, 1, 1) for step in range(50)]))
    assert len(stats.bins) <= statistics.MOST_BINS
    assert sum(stats.bins.values()) == 10_000


def test_tables_are_bounded_and_the_largest_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "MOST_HOSTS", 10)
    monkeypatch.setattr(statistics, "MOST_PAIRS", 10)
    stats = FlowStatistics()
    for number in range(100):
        stats.add(flows((*WEB[:4], 0.0, 10_000, 10_000), (f"10.1.0.{number}", "10.0.0.7", "tcp", None, 0.0, number, 0)))
    assert len(stats.hosts) <= 10
    assert len(stats.pairs) <= 10
    assert stats.forgotten_hosts > 80
    assert stats.hosts["10.0.0.1"].bytes_sent == 1_000_000


def test_hosts_that_come_all_at_once_cost_no_more_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "MOST_HOSTS", 100)
    monkeypatch.setattr(statistics, "MOST_PAIRS", 100)
    stats = FlowStatistics()
    for batch in range(4):
        scan = [(f"10.{batch + 1}.0.{number}", "10.0.0.7", "tcp", None, 0.0, number, 0) for number in range(200)]
        stats.add(flows((*WEB[:4], 0.0, 10_000, 10_000), *scan))
    assert len(stats.hosts) <= 100
    assert len(stats.pairs) <= 100
    assert stats.hosts["10.0.0.7"].bytes_received == 4 * sum(range(200))
    assert stats.hosts["10.0.0.1"].flows_begun == 4
    assert len(stats.hosts) + stats.forgotten_hosts == 3 + 4 * 200
