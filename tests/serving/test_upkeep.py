from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from infraspectre.errors import OutputError
from infraspectre.records.collections import IDEMPOTENCY, INCIDENTS, SESSIONS
from infraspectre.records.queries import Query
from infraspectre.serving.upkeep import DAY, Upkeep, access_tasks, record_tasks, table_tasks
from log_fakes import START, SetClock
from serving_fakes import Tables, platform


def test_incidents_go_when_their_time_is_over(tmp_path: Path) -> None:
    one = platform(tmp_path)
    days = one.settings.retention.incidents_days
    clock = one.clock
    assert isinstance(clock, SetClock)
    for name, age in (("old", days + 1), ("young", days - 1), ("replayed", days + 1)):
        clock.time = START if name == "replayed" else START - age * DAY
        one.records.put("a", INCIDENTS, name, {"last_seen": START - age * DAY})
    clock.time = START
    record_tasks(one)["incidents"]()
    assert [row.key for row in one.records.page("a", INCIDENTS, Query()).rows] == ["replayed", "young"]


def test_sessions_and_kept_answers_go_once_they_are_over(tmp_path: Path) -> None:
    one = platform(tmp_path)
    for collection in (SESSIONS, IDEMPOTENCY):
        for tenant in ("a", "b"):
            for name, ends in (("over", START), ("good", START + 1)):
                one.records.put(tenant, collection, name, {"expires_at": ends})
        access_tasks(one)[collection.name]()
        left = [row.key for tenant in ("a", "b") for row in one.records.page(tenant, collection, Query()).rows]
        assert left == ["good", "good"]


def test_tables_are_sorted_and_kept_for_as_long_as_is_set(tmp_path: Path) -> None:
    one = platform(tmp_path)
    one.tables.append("a", "flows", pl.DataFrame({"x": [1]}), "b")
    table_tasks(one)["table flows"]()
    assert isinstance(one.tables, Tables)
    assert one.tables.kept_from == START - one.settings.retention.flows_days * DAY


def test_a_task_that_fails_rests_and_the_others_go_on() -> None:
    done: list[str] = []

    def fail() -> None:
        done.append("fails")
        raise OutputError("no space is left")

    upkeep = Upkeep({"bad": fail, "good": lambda: done.append("good")})
    upkeep.once()
    upkeep.once()
    assert done == ["fails", "good", "good"]
    assert upkeep.breakers["bad"].state == "open"


@pytest.mark.parametrize("error", [ZeroDivisionError("a fault of ours"), pl.exceptions.ComputeError("a bad file")])
def test_a_task_that_breaks_ends_no_other(error: Exception) -> None:
    done: list[str] = []

    def fail() -> None:
        raise error

    upkeep = Upkeep({"bad": fail, "good": lambda: done.append("good")})
    upkeep.once()
    assert done == ["good"]
    assert upkeep.breakers["bad"].state == "open"


def test_it_runs_beside_the_work_until_it_is_left() -> None:
    done: list[int] = []
    with Upkeep({"count": lambda: done.append(1)}, every_s=0.001) as upkeep:
        while len(done) < 3:
            pass
    assert not upkeep._thread.is_alive()
