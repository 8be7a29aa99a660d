"""Whatever way a question takes through SQLite's indexes, its answer is the same."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from infraspectre.adapters.record_store import open_sqlite, planning, sqlite
from infraspectre.errors import OverloadError
from infraspectre.records.queries import Collection, Query
from record_questions import THINGS, Ticking, drawn, expected, paged, questions

FREQUENT = dataclasses.replace(THINGS, frequent=("size", "name", "part.colour", "weight"))
WAYS = {
    "driven": {"FEW": 10**6},
    "walked": {"FEW": 0},
    "sorted": {"FEW": 0, "STEPS": 1},
    "read whole": {"FEW": 0, "STEPS": 1, "MANY": 5, "COVERED": 5, "PARTS": 3},
    "by parts": {"FEW": 0, "STEPS": 1, "MANY": 0, "COVERED": 0},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("things", [THINGS, FREQUENT], ids=["plain", "frequent"])
def test_every_way_leads_to_the_same_answer(
    way: str, things: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in WAYS[way].items():
        monkeypatch.setattr(planning, name, value)
    monkeypatch.setattr(sqlite, "STEPS", 20)
    store = open_sqlite(tmp_path / "records.db", Ticking())
    records = drawn(1, 120)
    store.put_many("a", things, records)
    store.put_many("b", things, drawn(2, 50))
    for filters, order in questions(5, 80):
        right = expected(records, filters, order)
        assert paged(store, things, Query(filters, order, 37)) == right, (filters, order)
        assert store.count("a", things, Query(filters, order), 50) == min(len(right), 50)
    store.close()


def test_a_question_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "STEPS", 20)
    database = sqlite.SqliteDatabase(tmp_path / "records.db")
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
    with pytest.raises(OverloadError, match="took too long"), database.reading(longest_s=0.01) as connection:
        connection.rows(endless)
    with database.reading() as connection:
        assert connection.rows("SELECT 1") == [(1,)]
    database.close()
