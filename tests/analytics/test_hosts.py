"""Hosts: what flows of some days tell of one, and what the directory counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from infraspectre.adapters.column_store import ParquetTables
from infraspectre.adapters.record_store import open_sqlite
from infraspectre.analytics import hosts
from infraspectre.analytics.hosts import DAY, HOUR, KnownAssets, Past, activity, directory, past
from infraspectre.intel.assets import Assets
from infraspectre.records.collections import INCIDENTS
from log_fakes import SetClock

BEGIN = 20_000 * DAY
ME, SERVER, OTHER = "10.0.0.1", "192.0.2.1", "10.0.0.2"


def flow(number: int, at: int, **other: Any) -> dict[str, Any]:
    return {
        "flow_id": number, "orig_ip": ME, "resp_ip": SERVER, "resp_port": 443, "protocol": "tcp", "app_protocol": "tls",
        "started_at": at, "orig_bytes": 10, "resp_bytes": 100, "tls_server_name": "site.example", "http_hosts": None,
    } | other  # fmt: skip


def frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    kinds = {"flow_id": pl.UInt64(), "resp_port": pl.UInt16(), "http_hosts": pl.List(pl.String())}
    return pl.DataFrame(rows, schema_overrides=kinds)


def days(count: int) -> list[dict[str, Any]]:
    """On the n-th day, n + 1 flows at nine."""
    return [flow(100 * day + n, BEGIN + day * DAY + 9 * HOUR + n) for day in range(count) for n in range(day + 1)]


def test_what_is_usual_comes_from_the_days_before() -> None:
    rows = [*days(5), flow(999, BEGIN + 4 * DAY + 20 * HOUR, resp_ip="198.51.100.9", orig_bytes=5_000)]
    told = activity(Past(BEGIN, BEGIN + 5 * DAY, frame(rows)), ME)
    assert [each.hour for each in told.baseline] == list(range(24))
    nine = told.baseline[9]
    assert (nine.days, nine.flows.median) == (4, 2.5)
    assert [nine.flows.low, nine.flows.high] == pytest.approx([1.15, 3.85])
    assert nine.bytes_in.median == 250
    assert told.baseline[20].flows.high == 0
    assert len(told.hours) == 120
    assert told.hours[4 * 24 + 9].flows == 5
    assert sum(each.bytes_out for each in told.hours) == 15 * 10 + 5_000
    assert [(each.address, each.is_new) for each in told.peers] == [("198.51.100.9", True), (SERVER, False)]
    assert told.peers[1].name == "site.example"


def test_without_a_day_before_nothing_is_usual_or_new() -> None:
    told = activity(Past(BEGIN, BEGIN + DAY, frame(days(1))), ME)
    assert told.baseline == []
    assert [each.is_new for each in told.peers] == [False]


def test_a_host_offers_and_uses() -> None:
    rows = [
        flow(1, BEGIN),
        flow(2, BEGIN, orig_ip=OTHER, resp_ip=ME, resp_port=80, app_protocol="http", tls_server_name="me.example"),
        flow(3, BEGIN, orig_ip=OTHER, resp_ip=ME, resp_port=None, protocol="icmp", app_protocol=None),
    ]
    told = activity(Past(BEGIN, BEGIN + HOUR, frame(rows)), ME)
    assert [(each.name, each.offered) for each in told.protocols] == [("http", True), ("tls", False)]
    assert {(each.name, each.offered) for each in told.ports} == {
        ("tcp/443", False), ("tcp/80", True), ("icmp/-", True),
    }  # fmt: skip
    assert {each.name for each in told.names} == {"me.example", "site.example"}
    assert [(each.flows, each.bytes_in, each.bytes_out) for each in told.hours] == [(3, 120, 210)]


def test_a_host_without_flows_is_told_as_such() -> None:
    told = activity(Past(BEGIN, BEGIN + HOUR, hosts.nothing()), ME)
    assert (told.flows, told.peers, told.protocols, told.names) == (0, [], [], [])


def test_a_busy_host_is_looked_at_for_fewer_days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ParquetTables(tmp_path, SetClock()) as tables:
        tables.append("a", "flows", frame(days(6)), "one")
        tables.compact("a", "flows")
        end = hosts.newest(tables, "a", 0)
        whole = past(tables, "a", ME, end)
        assert (whole.start, whole.flows.height) == (BEGIN + 9 * HOUR, 21)
        monkeypatch.setattr(hosts, "MOST_FLOWS", 7)
        some = past(tables, "a", ME, end)
        assert BEGIN + 3 * DAY < some.start < BEGIN + 5 * DAY
        expected = [row for row in days(6) if row["started_at"] >= some.start]
        assert sorted(some.flows["flow_id"]) == [row["flow_id"] for row in expected]
        assert past(tables, "b", ME, end).flows.height == 0


def test_the_directory_is_bounded_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = open_sqlite(tmp_path / "records.db", SetClock())
    told = {"assets": {ME: {"seen_name": "pc", "seen_roles": ["printer"]}}}
    for number in range(4):
        times = {"first_seen": BEGIN, "last_seen": BEGIN + number}
        status = ("new", "open", "new", "closed")[number]
        incident = {"entities": [ME, "evil.example"], "level": "high", "value": 90.0 - number, "incident": told}
        records.put("a", INCIDENTS, str(number), incident | times | {"status": status})
    with ParquetTables(tmp_path / "tables", SetClock()) as tables:
        tables.append("a", "flows", frame(days(3)), "one")

        def made(tenant: str = "a") -> hosts.Directory:
            return directory(records, tables, tenant, INCIDENTS, KnownAssets(Assets(), Assets()), BEGIN)

        known = made()
        me = next(each for each in known.hosts if each.address == ME)
        assert (me.incidents, me.value, me.name, me.roles) == (3, 90.0, "pc", ["printer"])
        assert (me.flows, me.bytes_in, me.bytes_out) == (3, 300, 30)
        assert {each.address for each in known.hosts} == {ME, SERVER}
        assert (known.incidents, known.is_whole) == (3, True)
        monkeypatch.setattr(hosts, "MOST_INCIDENTS", 2)
        assert (made().incidents, made().is_whole) == (2, False)
        monkeypatch.setattr(hosts, "MOST_HOSTS", 1)
        assert made("b").hosts == []
        assert len(made().hosts) <= 2
    records.close()
