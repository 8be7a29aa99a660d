from __future__ import annotations

from pathlib import Path

import duckdb
import polars as pl
import pytest

from findings import START, finding
from infraspectre.adapters.column_store import ParquetTables, parts, search, store
from infraspectre.adapters.column_store import manifest as manifests
from infraspectre.adapters.column_store.questions import Question
from infraspectre.adapters.column_store.search import may_hold
from infraspectre.adapters.column_store.upkeep import GRACE
from infraspectre.errors import InputError, OverloadError
from infraspectre.records.queries import Filter, Order, Query
from infraspectre.records.tables import detection_frame, flows_table
from table_rows import BEGIN, DAY, SetClock, answer, flow_frame


def test_small_parts_become_one_and_old_files_go(tmp_path: Path) -> None:
    clock = SetClock()
    with ParquetTables(tmp_path, clock) as tables:
        for number in range(9):
            tables.append("t", "flows", flow_frame(40, 40 * number, features=number > 4), f"batch {number}")
            tables.compact("t", "flows")
        folder = tmp_path / "t" / "flows"
        manifest = manifests.load(folder)
        assert len(manifest.parts) == 2
        assert [part.rows for part in manifest.parts] == [320, 40]
        assert len(manifest.parts[0].chunks) == 1
        before = len(list(folder.rglob("*.parquet")))
        clock.at += GRACE
        tables.compact("t", "flows")
        assert before > len(list(folder.rglob("*.parquet"))) == 4
        assert len(list(folder.glob("journal-*"))) == 1
        clock.at += 2 * DAY
        tables.compact("t", "flows")
        assert [part.rows for part in manifests.load(folder).parts] == [360]
        query = Query((), Order("orig_bytes"), 1_000)
        page, _ = tables.page("t", "flows", query)
        assert [row["flow_id"] for row in page] == answer(flow_frame(360).to_dicts(), query)
        whole = {row["flow_id"]: row for row in flow_frame(360).to_dicts()}
        later = {row["flow_id"] for row in flow_frame(160, 200).to_dicts()}
        assert all(row == whole[row["flow_id"]] for row in page if row["flow_id"] in later)
        assert all(row["dns_answers"] is None for row in page if row["flow_id"] not in later)


def test_files_that_a_crash_left_behind_go(tmp_path: Path) -> None:
    with ParquetTables(tmp_path, SetClock()) as tables:
        tables.append("t", "flows", flow_frame(10), "a")
        tables.compact("t", "flows")
        day = tmp_path / "t" / "flows" / "2024-10-04"
        for stray in (day / "00000099.parquet", day / ".00000099.parquet.partial", day.parent / "batches-00000099"):
            stray.write_bytes(b"x")
        tables.compact("t", "flows")
        assert not list(day.parent.rglob("*99*"))
        assert len(tables.page("t", "flows", Query())[0]) == 10


def test_more_than_may_wait_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MOST_PENDING", 25)
    with ParquetTables(tmp_path, SetClock()) as tables:
        tables.append("t", "flows", flow_frame(20), "a")
        with pytest.raises(OverloadError):
            tables.append("t", "flows", flow_frame(20, 20), "b")
        tables.compact("t", "flows")
        tables.append("t", "flows", flow_frame(20, 20), "b")
        assert len(tables.page("t", "flows", Query())[0]) == 40


def test_question_that_takes_too_long_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "TIMEOUT_S", 0.05)
    searching = search.Search(tmp_path, 1, 1 << 28)
    with pytest.raises(OverloadError), searching.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM range(1000000000000) WHERE hash(range) = 7").fetchall()
    searching.close()


def test_database_reads_nothing_else(tmp_path: Path) -> None:
    outside = tmp_path / "outside.parquet"
    flow_frame(1).write_parquet(outside)
    searching = search.Search(tmp_path / "tables", 1, 1 << 28)
    for statement in (
        f"SELECT * FROM '{outside}'",
        f"COPY (SELECT 1) TO '{outside}'",
        "SET enable_external_access = true",
    ):
        with pytest.raises(duckdb.Error), searching.cursor() as cursor:
            cursor.execute(statement)
    searching.close()


@pytest.mark.parametrize("tops", [1, 20, 60, 300])
def test_highest_numbers_are_the_same_with_files_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tops: int
) -> None:
    monkeypatch.setattr(parts, "TOPS", tops)
    frame = flow_frame(900).with_columns(resp_packets=pl.Series(range(900), dtype=pl.UInt32))
    with ParquetTables(tmp_path, SetClock()) as tables:
        for number in range(3):
            tables.append("t", "flows", frame[number * 300 : number * 300 + 300], f"batch {number}")
            tables.compact("t", "flows")
        for column in ("orig_bytes", "resp_bytes", "resp_packets", "orig_packets"):
            for filters in ((), (Filter("app_protocol", "=", ("dns",)),)):
                query, after = Query(filters, Order(column, True), 25), None
                found: list[object] = []
                while len(found) < 100:
                    again = Query(filters, query.order, 25, after)
                    page, after = tables.page("t", "flows", again, ("flow_id", "orig_ip", column))
                    found += [row["flow_id"] for row in page]
                assert found == answer(frame.to_dicts(), query)[:100]
        assert tables.verify("t", "flows").damaged == ()
        tops_files = list(tmp_path.rglob("*.tops.parquet"))
        assert len(tops_files) == (0 if tops == 300 else 3)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Filter("flow_id", "=", (150 * 7_919 % 1_000_003,)), 1),
        (Filter("flow_id", "=", (-1, 2**62)), 0),
        (Filter("started_at", ">=", (BEGIN + 2 * DAY,)), 1),
        (Filter("started_at", "<", (BEGIN + DAY,)), 1),
        (Filter("started_at", "=", (BEGIN + DAY,)), 1),
    ],
)
def test_parts_without_the_key_or_time_are_left_out(tmp_path: Path, asked: Filter, expected: int) -> None:
    with ParquetTables(tmp_path, SetClock()) as tables:
        tables.append("t", "flows", flow_frame(300, 0, DAY // 100), "a")
        tables.compact("t", "flows")
    folder = tmp_path / "t" / "flows"
    question = Question.of(flows_table(), Query((asked,)))
    assert sum(may_hold(folder, part, question) for part in manifests.load(folder).parts) == expected


def test_detections_are_kept_whole(tmp_path: Path) -> None:
    found = [finding(number, orig="10.0.0.9" if number % 2 else None, at=number) for number in range(6)]
    with ParquetTables(tmp_path, SetClock(START)) as tables:
        tables.append("t", "detections", detection_frame(found), "a")
        for _ in range(2):
            asked = Query((Filter("techniques", "=", ("T1046",)), Filter("orig", "=", ("10.0.0.9",))))
            page, _ = tables.page("t", "detections", asked)
            assert [row["detection_id"] for row in page] == [found[number].detection_id for number in (5, 3, 1)]
            assert page[0]["flow_ids"] == [5]
            tables.compact("t", "detections")
        assert tables.erase("t", "10.0.0.9") == 3
        assert len(tables.page("t", "detections", Query())[0]) == 3


def test_newer_manifest_is_refused(tmp_path: Path) -> None:
    manifests.save(tmp_path, manifests.Manifest(version=manifests.VERSION + 1))
    with pytest.raises(InputError, match="newer"):
        manifests.load(tmp_path)
