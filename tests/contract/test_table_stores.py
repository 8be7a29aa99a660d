"""What every table store promises."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import polars as pl
import pytest

from infraspectre.adapters.column_store import ParquetTables
from infraspectre.errors import InputError
from infraspectre.ports import TableStore
from infraspectre.records.queries import Filter, Order, Query
from table_rows import BEGIN, DAY, SetClock, answer, flow_frame

FLOWS = 900


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def store(tmp_path: Path, clock: SetClock) -> Iterator[TableStore]:
    with ParquetTables(tmp_path, clock) as store:
        yield store


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TableStore]:
    """Flows in parts of two days, with and without some columns, and in the journal."""
    step = 2 * DAY // FLOWS
    with ParquetTables(tmp_path_factory.mktemp("tables"), SetClock()) as store:
        for first in range(0, FLOWS, 100):
            store.append("default", "flows", flow_frame(100, first, step, first >= 300), f"batch {first}")
            if first in (200, 500, 600):
                store.compact("default", "flows")
        yield store


def frame() -> pl.DataFrame:
    step = 2 * DAY // FLOWS
    frames = [flow_frame(100, first, step, first >= 300) for first in range(0, FLOWS, 100)]
    return pl.concat(frames, how="diagonal")


def rows() -> list[dict[str, object]]:
    return frame().to_dicts()


def keys(store: TableStore, query: Query, tenant: str = "default") -> list[object]:
    """The keys of all pages."""
    found: list[object] = []
    after = query.after
    while True:
        page, after = store.page(
            tenant, "flows", Query(query.filters, query.order, query.limit, after), ("flow_id", "orig_ip")
        )
        found += [row["flow_id"] for row in page]
        if after is None:
            return found


FILTERS = [
    Filter("orig_ip", "=", ("10.0.0.3", "10.0.0.4")),
    Filter("orig_ip", "!=", ("10.0.0.3",)),
    Filter("address", "=", ("192.0.2.5", "10.0.0.1")),
    Filter("address", "!=", ("192.0.2.5",)),
    Filter("address", "^", ("192.0.2.1",)),
    Filter("app_protocol", "=", ("",)),
    Filter("app_protocol", "!=", ("tls",)),
    Filter("app_protocol", "~", ("NS",)),
    Filter("resp_port", "=", (443, 80)),
    Filter("resp_port", "!=", (443,)),
    Filter("orig_bytes", ">", (60,)),
    Filter("orig_bytes", "<=", (20,)),
    Filter("started_at", ">=", (BEGIN + DAY // 3,)),
    Filter("started_at", "<", (BEGIN + DAY,)),
    Filter("http_hosts", "~", ("HOST2",)),
    Filter("http_hosts", "!=", ("Host3.example",)),
    Filter("http_hosts", "^", ("Host1",)),
    Filter("syn_rtt_ms", ">=", (8.0,)),
    Filter("syn_rtt_ms", "!=", (4.0,)),
    Filter("dns_answers", "=", ("198.51.100.1",)),
]
ORDERS = [
    None,
    Order("started_at"),
    Order("orig_bytes", True),
    Order("orig_bytes"),
    Order("app_protocol"),
    Order("app_protocol", True),
    Order("syn_rtt_ms"),
    Order("syn_rtt_ms", True),
    Order("flow_id"),
]


@pytest.mark.parametrize("asked", FILTERS, ids=str)
def test_filter_answers_as_a_list_would(filled: TableStore, asked: Filter) -> None:
    query = Query((asked,), limit=70)
    assert keys(filled, query) == answer(rows(), query)


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_order_answers_as_a_list_would(filled: TableStore, order: Order | None) -> None:
    query = Query((), order, limit=130)
    assert keys(filled, query) == answer(rows(), query)


def test_any_question_answers_as_a_list_would(filled: TableStore) -> None:
    chance = Random(7)
    for _ in range(25):
        filters = tuple(chance.sample(FILTERS, 2))
        query = Query(filters, chance.choice(ORDERS), chance.choice((40, 300)))
        assert keys(filled, query) == answer(rows(), query), query


def test_row_comes_back_whole(filled: TableStore) -> None:
    page, _ = filled.page("default", "flows", Query(limit=1))
    assert page == [rows()[-1]]
    oldest, _ = filled.page("default", "flows", Query((), Order("started_at"), 1), ("flow_id", "syn_rtt_ms"))
    assert oldest == [{"flow_id": rows()[0]["flow_id"], "syn_rtt_ms": None}]


def test_scan_yields_the_rows_of_a_span(filled: TableStore) -> None:
    start, end = BEGIN + DAY // 4, BEGIN + DAY
    frames = list(filled.scan("default", "flows", start, end, ("flow_id", "dns_answers")))
    expected = [row["flow_id"] for row in rows() if start <= row["started_at"] < end]  # type: ignore[operator]
    assert sorted(pl.concat(frames)["flow_id"].to_list()) == sorted(expected)  # type: ignore[type-var]
    assert {each.columns == ["flow_id", "dns_answers"] for each in frames} == {True}


def test_scan_yields_the_rows_of_an_address(filled: TableStore) -> None:
    address = str(rows()[0]["resp_ip"])
    frames = list(filled.scan("default", "flows", BEGIN, BEGIN + DAY, ("flow_id",), address))
    expected = [
        row["flow_id"]
        for row in rows()
        if address in (row["orig_ip"], row["resp_ip"]) and BEGIN <= row["started_at"] < BEGIN + DAY  # type: ignore[operator]
    ]
    assert sorted(pl.concat(frames)["flow_id"].to_list()) == sorted(expected)  # type: ignore[type-var]
    assert not list(filled.scan("default", "flows", BEGIN, BEGIN + DAY, ("flow_id",), "192.0.2.250"))


@pytest.mark.parametrize("every", [0, DAY // 24])
def test_totals_count_rows_and_bytes(filled: TableStore, every: int) -> None:
    start, end = BEGIN, BEGIN + DAY
    found = filled.totals("default", "flows", start, end, ("app_protocol",), every)
    bucket = (pl.col("started_at") - start) // every * every + start if every else pl.lit(start)
    expected = (
        frame()
        .filter(pl.col("started_at") < end)
        .group_by(bucket.alias("bucket"), "app_protocol")
        .agg(pl.len().alias("rows"), (pl.col("orig_bytes") + pl.col("resp_bytes")).sum().alias("bytes"))
        .sort("bucket", "app_protocol")
    )
    assert found.rows() == expected.rows()


def test_hosts_sum_up_both_ends(filled: TableStore) -> None:
    rows = frame().filter(pl.col("started_at") < BEGIN + DAY)
    ends = [("orig_ip", "orig_bytes", "resp_bytes"), ("resp_ip", "resp_bytes", "orig_bytes")]
    seen = pl.concat(rows.select(address=a, sent=s, received=r, at="started_at") for a, s, r in ends)
    sums = [pl.len(), pl.col("sent", "received").sum(), pl.col("at").min().alias("first"), pl.col("at").max()]
    expected = seen.group_by("address").agg(*sums)
    expected = expected.sort(pl.col("sent") + pl.col("received"), "len", "address", descending=[True, True, False])
    found = filled.hosts("default", "flows", BEGIN, BEGIN + DAY, 100)
    assert found.columns == ["address", "rows", "sent", "received", "first", "last"]
    assert found.rows() == expected.rows()
    assert filled.hosts("default", "flows", BEGIN, BEGIN + DAY, 3).rows() == expected.rows()[:3]
    assert filled.hosts("other", "flows", BEGIN, BEGIN + DAY, 3).is_empty()
    with pytest.raises(InputError, match="most"):
        filled.hosts("default", "flows", BEGIN, BEGIN + DAY, 0)


def test_row_between_an_address_and_itself_counts_once(store: TableStore) -> None:
    own = flow_frame(2).with_columns(resp_ip=pl.col("orig_ip"))
    store.append("default", "flows", own, "a")
    assert store.hosts("default", "flows", BEGIN, BEGIN + DAY, 10)["rows"].to_list() == [1, 1]


def test_batch_counts_once(store: TableStore) -> None:
    for _ in range(2):
        store.append("default", "flows", flow_frame(10), "a")
    store.compact("default", "flows")
    store.append("default", "flows", flow_frame(10), "a")
    store.append("default", "flows", flow_frame(10, 10), "b")
    assert len(keys(store, Query())) == 20


def test_pages_stay_in_order_while_rows_come(store: TableStore) -> None:
    store.append("default", "flows", flow_frame(100), "a")
    query = Query((), Order("orig_bytes"), 30)
    page, after = store.page("default", "flows", query, ("flow_id", "orig_bytes"))
    store.append("default", "flows", flow_frame(100, 100), "b")
    store.compact("default", "flows")
    rest = keys(store, Query((), query.order, 30, after))
    seen = [row["flow_id"] for row in page]
    assert not set(seen) & set(rest)
    assert rest == answer(flow_frame(200).to_dicts(), query)[-len(rest) :]


def test_tenants_never_meet(store: TableStore) -> None:
    names = ["a", "A", "a/../b", "..", "b", "a%2Fb", "ä"]
    for number, name in enumerate(names):
        store.append(name, "flows", flow_frame(1, number), "x")
    for number, name in enumerate(names):
        assert keys(store, Query(), name) == flow_frame(1, number)["flow_id"].to_list()
    assert store.tenants("flows") == sorted(names)
    assert store.erase("a", "10.0.0.0") == 1
    assert [len(keys(store, Query(), name)) for name in names] == [0, 1, 1, 1, 1, 1, 1]


def test_erased_is_gone(store: TableStore) -> None:
    store.append("default", "flows", flow_frame(100), "a")
    store.compact("default", "flows")
    store.append("default", "flows", flow_frame(100, 100), "b")
    expected = answer(flow_frame(200).to_dicts(), Query((Filter("address", "!=", ("192.0.2.5",)),)))
    assert store.erase("default", "192.0.2.5") == 200 - len(expected)
    assert store.erase("default", "192.0.2.5") == 0
    assert keys(store, Query()) == expected


def test_days_before_are_dropped(store: TableStore, clock: SetClock) -> None:
    clock.at = BEGIN
    store.append("default", "flows", flow_frame(40, 0, DAY // 10), "a")
    store.compact("default", "flows")
    assert store.retain("default", "flows", BEGIN + 2 * DAY + 5) == 20
    assert len(keys(store, Query())) == 20


def test_days_of_a_replayed_capture_are_kept_from_when_it_came_in(store: TableStore, clock: SetClock) -> None:
    clock.at = BEGIN + 9 * DAY
    for first in (0, 10):
        store.append("default", "flows", flow_frame(10, first, DAY // 100), f"{first}")
        store.compact("default", "flows")
    clock.at += DAY
    assert store.erase("default", "192.0.2.5") > 0
    kept = keys(store, Query())
    assert store.retain("default", "flows", BEGIN + 9 * DAY - 1) == 0
    assert keys(store, Query()) == kept
    assert store.retain("default", "flows", BEGIN + 9 * DAY + 1) == len(kept)


@pytest.mark.parametrize(
    "query",
    [
        Query((Filter("nothing", "=", ("x",)),)),
        Query((Filter("resp_port", "=", ("x",)),)),
        Query((Filter("resp_port", "=", (2**70,)),)),
        Query((Filter("http_hosts", "<", ("x",)),)),
        Query((), Order("http_hosts")),
        Query((), Order('x" OR 1')),
        Query(limit=0),
        Query(limit=100_000),
        Query(after="x"),
        Query((), Order("orig_bytes"), 5, "WyJzdGFydGVkX2F0Iix0cnVlLDEsMV0"),
        Query(after="WyJzdGFydGVkX2F0Iix0cnVlLCJ4IiwxXQ"),  # a text where a time sorts
        Query(after="WyJzdGFydGVkX2F0Iix0cnVlLDEsIngiXQ"),  # a text for the identity of a flow
    ],
    ids=str,
)
def test_question_that_cannot_be_answered(filled: TableStore, query: Query) -> None:
    with pytest.raises(InputError):
        filled.page("default", "flows", query)


def test_batch_that_cannot_be_kept(store: TableStore) -> None:
    for frame in (flow_frame(0), flow_frame(2).drop("started_at"), flow_frame(2).with_columns(flow_id=None)):
        with pytest.raises(InputError):
            store.append("default", "flows", frame, "a")
    with pytest.raises(InputError):
        store.append("", "flows", flow_frame(1), "a")
    with pytest.raises(InputError):
        store.append("default", "others", flow_frame(1), "a")
