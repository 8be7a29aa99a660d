"""A file of SQLite as the store: for its owner alone, shared by programs, versions and crashes survived."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest

from infraspectre.adapters.record_store import open_sqlite, sqlite
from infraspectre.adapters.record_store.meta import checksum_of
from infraspectre.errors import ConflictError, InputError, OutputError, OverloadError
from infraspectre.records.queries import Collection, Query
from record_questions import THINGS, Ticking, drawn

WRITER = """
import sys
from pathlib import Path
from infraspectre.adapters.record_store import open_sqlite
from record_questions import THINGS, Ticking
store = open_sqlite(Path(sys.argv[1]), Ticking())
for number in range(100_000):
    store.put_many("a", THINGS, {f"{number}-{part}": {"size": number, "tags": ["t"]} for part in range(20)})
    print(number, flush=True)
"""


def test_a_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "records.db"
    store = open_sqlite(path, Ticking())
    store.put("a", THINGS, "k", {})
    assert {stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()} == {0o600}
    store.close()


def test_what_is_no_store_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE mine (x)")
    other.close()
    with pytest.raises(InputError, match=r"other.db: is no store of records"):
        open_sqlite(path, Ticking())
    path.write_text("no database at all" * 100)
    with pytest.raises(InputError, match="is damaged"):
        open_sqlite(path, Ticking())
    with pytest.raises(OutputError):
        open_sqlite(tmp_path / "missing" / "records.db", Ticking())


def say(path: Path, version: str) -> None:
    """Say that a store is of another version."""
    raw = sqlite3.connect(path, isolation_level=None)
    change = "UPDATE store_meta SET value = ?, checksum = ? WHERE name = 'version'"
    raw.execute(change, (version, checksum_of("version", version)))
    raw.close()


def test_the_next_version_is_read_and_the_one_after_refused(tmp_path: Path) -> None:
    path = tmp_path / "records.db"
    store = open_sqlite(path, Ticking())
    store.put("a", THINGS, "k", {"size": 1})
    store.close()
    say(path, "2")
    store = open_sqlite(path, Ticking())
    store.put("a", THINGS, "k", {"size": 2})
    store.close()
    say(path, "3")
    with pytest.raises(InputError, match="has version 3, and this program reads up to 2; start the newer program"):
        open_sqlite(path, Ticking())


def test_programs_that_share_a_file_lose_no_change(tmp_path: Path) -> None:
    path = tmp_path / "records.db"
    stores = [open_sqlite(path, Ticking()) for _ in range(2)]
    stores[0].put("a", THINGS, "k", {"size": 0})

    def add(number: int) -> None:
        done, store = 0, stores[number % 2]
        while done < 15:
            before = store.get("a", THINGS, "k")
            assert before is not None
            size = msgspec.json.decode(before.body)["size"]
            try:
                store.put("a", THINGS, "k", {"size": size + 1}, expected=before.revision)
                done += 1
            except ConflictError:
                pass

    threads = [threading.Thread(target=add, args=(number,)) for number in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert stores[0].page("a", THINGS, Query()).rows[0].body == b'{"size":60}'
    assert stores[0].verify() == []
    for store in stores:
        store.close()


def test_whoever_waits_too_long_for_another_program_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "WAIT_S", 0.05)
    path = tmp_path / "records.db"
    store = open_sqlite(path, Ticking())
    store.put("a", THINGS, "k", {"size": 1})
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(OverloadError, match="is being written by another program"):
        store.put("a", THINGS, "k", {"size": 2})
    assert store.get("a", THINGS, "k") is not None
    other.execute("ROLLBACK")
    other.close()
    store.put("a", THINGS, "k", {"size": 3})
    store.close()


def test_what_was_acknowledged_survives_a_kill_and_nothing_is_half_written(tmp_path: Path) -> None:
    path = tmp_path / "records.db"
    for least in (3, 9):
        path.unlink(missing_ok=True)
        environment = {"PYTHONPATH": ":".join(sys.path)}
        command = [sys.executable, "-c", WRITER, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
            assert process.stdout is not None
            acknowledged = next(int(line) for line in process.stdout if int(line) >= least)
            process.kill()
            acknowledged = max([acknowledged, *map(int, process.stdout.read().split())])
        store = open_sqlite(path, Ticking())
        count = store.count("a", THINGS, Query(), 10**6)
        assert count % 20 == 0
        assert count >= 20 * (acknowledged + 1)
        assert store.verify() == []
        store.close()
        for each in tmp_path.glob("records.db-*"):
            each.unlink()


def test_an_entity_that_is_erased_is_in_no_byte_of_the_files(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path / "records.db", Ticking())
    store.put_many("a", THINGS, drawn(1, 50))
    store.put("a", THINGS, "k", {"name": "203.0.113.77 was here", "tags": ["203.0.113.77"], "rest": "x" * 9_000})
    store.put("a", THINGS, "k", {"name": "203.0.113.77", "tags": ["203.0.113.77", "y"]})
    assert store.erase("a", "203.0.113.77") == 1
    assert not any(b"203.0.113.77" in each.read_bytes() for each in tmp_path.iterdir())
    store.close()


def test_lists_show_what_a_program_wrote_that_knows_no_lists(tmp_path: Path) -> None:
    plain = Collection("things", {"name": "text"})
    listed = Collection("things", {"name": "text"}, is_listed=True)
    older, newer = (open_sqlite(tmp_path / "records.db", Ticking()) for _ in range(2))
    older.put_many("a", plain, {"1": {"name": "x"}, "2": {"name": "y", "rest": 1}})
    assert [each.revision for each in newer.page("a", listed, Query(), is_listed=True).rows] == [1, 1]
    older.put("a", plain, "1", {"name": "z", "rest": 2})
    older.delete("a", plain, "2")
    older.put("a", plain, "3", {"name": "again", "rest": 3})
    shown = newer.page("a", listed, Query(), is_listed=True).rows
    assert [(each.key, each.body) for each in shown] == [("1", b'{"name":"z"}'), ("3", b'{"name":"again"}')]
    newer.put("a", listed, "3", {"name": "mine"})
    assert newer.repair() == newer.verify() == []
    older.close()
    newer.close()
