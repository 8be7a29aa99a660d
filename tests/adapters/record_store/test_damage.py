"""A flipped bit changes no answer unnoticed, and costs no more than what it hit."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import record_flips
from infraspectre.adapters.record_store import open_sqlite
from infraspectre.adapters.record_store.sqlite import back_up, rebuild_sqlite
from infraspectre.errors import InputError
from infraspectre.records.queries import Query
from record_flips import TENANTS, THINGS, Clock

FLIPS = 120
HEAD_FLIPS = 30


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "records.db"
    record_flips.make(path)
    return path


def test_no_flipped_bit_changes_an_answer_unnoticed(whole: Path, tmp_path: Path) -> None:
    with_all = open_sqlite(whole, Clock())
    right = record_flips.answers(with_all)
    with_all.close()
    data, draw = whole.read_bytes(), random.Random(3)
    bits = draw.sample(range(len(data) * 8), FLIPS) + draw.sample(range(800), HEAD_FLIPS)
    outcomes = [record_flips.outcome(path, right) for _, path in record_flips.flipped(data, tmp_path, bits)]
    assert "unnoticed" not in outcomes
    assert outcomes.count("found") + outcomes.count("refused") > FLIPS // 5


def damaged(whole: Path, folder: Path, mark: bytes) -> Path:
    """Return a copy of a store with a bit flipped in the first place where something is written."""
    data = whole.read_bytes()
    return next(path for _, path in record_flips.flipped(data, folder, [data.index(mark) * 8 + 8]))


WHOLE_7 = b'"name":"name 7","size":7000021,"weight":2.3333333333333335,"tags":["tag1","10.0.0.7"],"rest"'
PART_7 = WHOLE_7.replace(b',"rest"', b"}")


def test_a_damaged_record_is_named_and_moved_aside_and_the_rest_goes_on(whole: Path, tmp_path: Path) -> None:
    store = open_sqlite(damaged(whole, tmp_path, WHOLE_7), Clock())
    with pytest.raises(InputError, match="things key7: the record is damaged"):
        store.get("a", THINGS, "key7")
    with pytest.raises(InputError, match="things key7: the record is damaged"):
        store.page("a", THINGS, Query())
    (found,) = store.verify()
    assert found[:3] == ("things", "a", "key7")
    assert [each.key for each in store.repair()] == ["key7"]
    assert store.get("a", THINGS, "key7") is None
    assert store.count("a", THINGS, Query()) == store.count("b", THINGS, Query()) - 1 == 10
    assert store.verify() == []
    store.close()


def test_a_damaged_part_that_lists_show_is_named_and_made_again(whole: Path, tmp_path: Path) -> None:
    store = open_sqlite(damaged(whole, tmp_path, PART_7), Clock())
    ((_, tenant, key, problem),) = store.verify()
    assert (key, problem) == ("key7", "what lists show is not of its body")
    assert store.get(tenant, THINGS, "key7") is not None
    with pytest.raises(InputError, match="things key7: the record is damaged"):
        store.page(tenant, THINGS, Query(), is_listed=True)
    assert store.repair() == store.verify() == []
    assert len(store.page(tenant, THINGS, Query(), is_listed=True).rows) == 11
    store.close()


def everything(path: Path) -> list[object]:
    store = open_sqlite(path, Clock())
    assert store.verify() == []
    found = [(tenant, *row) for tenant in TENANTS for row in store.page(tenant, THINGS, Query()).rows]
    store.close()
    return list(found)


@pytest.mark.parametrize("seed", range(6))
def test_a_file_is_rebuilt_of_what_is_whole(whole: Path, tmp_path: Path, seed: int) -> None:
    draw, data = random.Random(seed), whole.read_bytes()
    path = next(path for _, path in record_flips.flipped(data, tmp_path, [draw.randrange(len(data) * 8)]))
    path.write_bytes(bytes(64) + path.read_bytes()[64:])
    before = everything(whole)
    assert rebuild_sqlite(path, Clock()) >= len(before) - 8
    assert set(everything(path)) <= set(before)
    assert list(tmp_path.glob("flipped.db.damaged-*"))


def test_rebuilding_what_is_whole_loses_nothing_that_is_in_the_log_alone(tmp_path: Path) -> None:
    path = tmp_path / "records.db"
    record_flips.make(path)
    store = open_sqlite(path, Clock())
    store.put("a", THINGS, "late", {"name": "late", "rest": "y" * 20_000})
    assert path.with_name("records.db-wal").stat().st_size
    copy = tmp_path / "copy.db"
    for suffix in ("", "-wal"):
        copy.with_name(f"copy.db{suffix}").write_bytes(path.with_name(f"records.db{suffix}").read_bytes())
    store.close()
    rebuild_sqlite(copy, Clock())
    assert everything(copy) == everything(path)


def test_a_file_without_a_whole_record_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "records.db"
    path.write_bytes(b"\0" * 8192)
    with pytest.raises(InputError, match="holds no record that is whole"):
        rebuild_sqlite(path, Clock())
    assert path.read_bytes() == b"\0" * 8192


def test_a_backup_is_whole_while_the_store_is_used(whole: Path, tmp_path: Path) -> None:
    path, out = tmp_path / "records.db", tmp_path / "backup.db"
    record_flips.make(path)
    store = open_sqlite(path, Clock())
    store.put("a", THINGS, "late", {"name": "late"})
    back_up(path, out)
    store.put("a", THINGS, "later", {"name": "later"})
    store.close()
    assert len(everything(out)) == len(everything(path)) - 1 == len(everything(whole)) + 1
    with pytest.raises(InputError, match="no such file"):
        back_up(tmp_path / "none.db", out)
