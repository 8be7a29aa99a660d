from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from infraspectre.adapters.column_store import ParquetTables
from infraspectre.records.queries import Filter, Order, Query

DAY = 86_400 * 10**9


class SetClock:
    def __init__(self, at: int = 0) -> None:
        self.at = at

    def now(self) -> int:
        return self.at


def flows(count: int, start: int = 0, step: int = 10**9) -> pl.DataFrame:
    ids = range(start, start + count)
    return pl.DataFrame(
        {
            "flow_id": pl.Series(ids, dtype=pl.UInt64),
            "started_at": pl.Series([20_000 * DAY + i * step for i in ids], dtype=pl.Int64),
            "orig_ip": [f"10.0.0.{i % 7}" for i in ids],
            "resp_ip": [f"192.0.2.{i % 11}" for i in ids],
            "resp_port": pl.Series([(443, 53, 80)[i % 3] for i in ids], dtype=pl.UInt16),
            "orig_bytes": pl.Series([(i * 7919) % 1000 for i in ids], dtype=pl.UInt64),
            "resp_bytes": pl.Series([1 for _ in ids], dtype=pl.UInt64),
            "http_hosts": [[f"host{i % 5}.example"] for i in ids],
            "syn_rtt_ms": [None if i % 2 else float(i) for i in ids],
        }
    )


@pytest.fixture
def store(tmp_path: Path):
    with ParquetTables(tmp_path / "tables", SetClock()) as store:
        yield store


def all_ids(store, query, tenant="default", columns=("flow_id",)):
    ids, after = [], None
    while True:
        rows, after = store.page(tenant, "flows", Query(query.filters, query.order, query.limit, after), columns)
        ids += [row["flow_id"] for row in rows]
        if after is None:
            return ids


@pytest.mark.parametrize("compacted", [False, True])
def test_rows_come_back(store, compacted):
    store.append("default", "flows", flows(1000), "a")
    store.append("default", "flows", flows(1000), "a")
    if compacted:
        assert store.compact("default", "flows") == 1000
        store.append("default", "flows", flows(1000), "a")
    assert all_ids(store, Query(limit=300)) == list(reversed(range(1000)))
    rows, _ = store.page("default", "flows", Query(limit=1))
    assert rows == flows(1000)[-1:].to_dicts()
    order = Order("orig_bytes", True)
    expected = flows(1000).sort("orig_bytes", "flow_id", descending=True)["flow_id"].to_list()
    assert all_ids(store, Query(order=order, limit=300)) == expected
    expected = flows(1000).sort("syn_rtt_ms", "flow_id", nulls_last=False)["flow_id"].to_list()
    assert all_ids(store, Query(order=Order("syn_rtt_ms"), limit=300)) == expected
    asked = (Filter("address", "=", ("10.0.0.3",)), Filter("http_hosts", "~", ("HOST2",)))
    expected = [i for i in range(1000) if i % 7 == 3 and i % 5 == 2]
    assert all_ids(store, Query(asked, Order("started_at"), limit=10)) == expected
    assert store.page("other", "flows", Query()) == ([], None)
