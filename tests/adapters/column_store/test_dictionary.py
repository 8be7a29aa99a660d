from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from infraspectre.adapters.column_store import ParquetTables, candidates, dictionary, ranks
from infraspectre.adapters.column_store.dictionary import Dictionary
from infraspectre.records.queries import Filter, Operator, Order, Query
from infraspectre.records.tables import flows_table
from table_rows import DAY, SetClock, answer, flow_frame

ROWS = pl.DataFrame(
    {
        "orig_ip": ["a", "b", None, "c", "c"],
        "resp_ip": ["b", "c", "d", "c", "c"],
        "tls_server_name": ["Site1.example", None, "x", "s\0ite", "Été"],
        "dns_queries": [["site1", "site12"], [], None, ["x"], ["site1"]],
        "started_at": pl.Series(range(5), dtype=pl.Int64),
    }
)


def made(path: Path, rows: pl.DataFrame) -> Dictionary:
    path.write_bytes(dictionary.encoded(rows, flows_table()))
    return Dictionary(path, flows_table())


@pytest.mark.parametrize(
    ("field", "operator", "value", "expected"),
    [
        ("address", "=", "b", {0, 1}),
        ("orig_ip", "=", "c", {1, 3, 4}),
        ("address", "^", "", None),
        ("address", "=", "e", set()),
        ("tls_server_name", "=", "Site1.example", {0}),
        ("tls_server_name", "~", "ITE", {0, 3}),
        ("tls_server_name", "~", "é", None),
        ("tls_server_name", "^", "É", {4}),
        ("tls_server_name", "=", "site1", set()),
        ("tls_server_name", "!=", "x", None),
        ("dns_queries", "=", "site1", {0, 4}),
        ("dns_queries", "^", "site", {0, 4}),
        ("dns_queries", "~", "12", {0}),
        ("http_hosts", "~", "x", set()),
        ("app_protocol", "=", "dns", None),
    ],
)
def test_rows_of_a_name_are_found(
    tmp_path: Path, field: str, operator: Operator, value: str, expected: set[int] | None
) -> None:
    found = made(tmp_path / "names", ROWS).rows(Filter(field, operator, (value,)))
    assert (None if found is None else set(found.tolist())) == expected


def test_dictionary_without_names_finds_nothing(tmp_path: Path) -> None:
    found = made(tmp_path / "names", ROWS[:0]).rows(Filter("address", "=", ("a",)))
    assert found is not None
    assert len(found) == 0


def test_names_that_fit_too_often_are_left_to_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = made(tmp_path / "names", ROWS)
    monkeypatch.setattr(dictionary, "MOST_NAMES", 1)
    assert names.rows(Filter("dns_queries", "~", ("site",))) is None
    monkeypatch.setattr(dictionary, "MOST_NAMES", 9)
    monkeypatch.setattr(dictionary, "MOST_JOINED", 1)
    assert names.rows(Filter("dns_queries", "~", ("site",))) is None


def test_ranks_are_in_order_of_numbers() -> None:
    numbers = np.sort(np.concatenate([np.random.default_rng(1).pareto(0.3, 5_000), [0.0, 1e-40, 1e300, 2.0**64]]))
    found = ranks.rank(numbers)
    assert (np.diff(found.astype(int)) >= 0).all()
    assert found[0] > ranks.rank(np.nan)[0] == 0
    assert len(np.unique(found)) > 1_000


@pytest.mark.parametrize("most", [16_384, 30])
@pytest.mark.parametrize("down", [True, False])
@pytest.mark.parametrize("column", ["started_at", "orig_bytes", "orig_packets", "app_protocol"])
def test_candidates_answer_as_a_list_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, column: str, down: bool, most: int
) -> None:
    monkeypatch.setattr(candidates, "MOST_WALKED", most)
    monkeypatch.setattr("infraspectre.adapters.column_store.search.MOST_WALKED", most)
    frame = flow_frame(900, step=DAY // 400)
    with ParquetTables(tmp_path, SetClock()) as tables:
        tables.append("t", "flows", frame[:600], "a")
        tables.compact("t", "flows")
        tables.append("t", "flows", frame[600:], "b")
        first = int(frame["started_at"][100])
        for asked in (
            (Filter("address", "=", ("10.0.0.3", "192.0.2.5")),),
            (Filter("http_hosts", "~", ("HOST2",)), Filter("started_at", ">", (first,))),
            (Filter("orig_ip", "=", ("10.0.0.4",)), Filter("app_protocol", "=", ("dns",))),
        ):
            query, after, found = Query(asked, Order(column, down), 20), None, []
            while True:
                page, after = tables.page(
                    "t", "flows", Query(asked, query.order, 20, after), ("flow_id", "orig_ip", "http_hosts")
                )
                found += page
                if after is None:
                    break
            expected = answer(frame.to_dicts(), query)
            assert [row["flow_id"] for row in found] == expected
            hosts = dict(frame.select("flow_id", "http_hosts").iter_rows())
            assert all(row["http_hosts"] == hosts[row["flow_id"]] for row in found)
