from __future__ import annotations

from pathlib import Path
from random import Random

import polars as pl
import pytest

from infraspectre.adapters.column_store import ParquetTables
from infraspectre.adapters.column_store.manifest import COPY, MANIFEST
from infraspectre.errors import InfraSpectreError, InputError
from infraspectre.records.queries import Filter, Order, Query
from table_rows import DAY, SetClock, flow_frame

ROWS = 300


def filled(folder: Path) -> Path:
    """A table with two parts and a journal of three batches."""
    with ParquetTables(folder, SetClock()) as store:
        for number in range(2):
            store.append("t", "flows", flow_frame(ROWS, ROWS * number, 3 * DAY // ROWS // 4), f"part {number}")
            store.compact("t", "flows")
        for number in range(3):
            store.append("t", "flows", flow_frame(50, 2 * ROWS + 50 * number), f"waiting {number}")
    return folder / "t" / "flows"


def flip(path: Path, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


def rows_of(folder: Path) -> dict[int, dict[str, object]]:
    with ParquetTables(folder, SetClock()) as store:
        frames = list(store.scan("t", "flows", 0, 2**62))
        pages = store.page("t", "flows", Query((), Order("orig_bytes"), 1_000), ("flow_id", "orig_bytes"))[0]
    rows = {row["flow_id"]: row for frame in frames for row in frame.to_dicts()}
    assert {row["flow_id"] for row in pages} == set(rows)
    return rows


def test_flipped_bit_is_found_and_the_rest_stays(tmp_path: Path) -> None:
    table = filled(tmp_path)
    whole = rows_of(tmp_path)
    files = sorted(path for path in table.rglob("*") if path.is_file() and path.stat().st_size)
    kept = {path: path.read_bytes() for path in files}
    chance = Random(3)
    for path in files:
        if path.name.startswith("journal-") and int(path.name[-1]) < 3:
            continue  # taken over already, and only waiting to be removed
        flip(path, chance.randrange(path.stat().st_size * 8))
        with ParquetTables(tmp_path, SetClock()) as store:
            found = store.verify("t", "flows")
        named = [name for name in found.damaged if path.name in name]
        assert named or path.name == "batches-00000002", (path, found)
        left = rows_of(tmp_path)
        assert len(left) >= len(whole) - 50
        assert all(whole[key].items() >= row.items() for key, row in left.items())
        for other in table.rglob("*"):
            if other.is_file() and other not in kept:
                other.unlink()
        for other, data in kept.items():
            other.parent.mkdir(exist_ok=True)
            other.write_bytes(data)


def test_question_that_meets_damage_sets_it_aside(tmp_path: Path) -> None:
    table = filled(tmp_path)
    listed = next(table.rglob("*.listed.parquet"))
    listed.write_bytes(listed.read_bytes()[:-100])
    assert len(rows_of(tmp_path)) == 2 * ROWS + 150
    assert (table / "damaged").is_dir()


@pytest.mark.parametrize("kind", ["names", "ranks", "blocks"])
@pytest.mark.parametrize("data", [b"", b"\1\2\3", b"\xff" * 64, b"\0" * 7 + b"\1"])
def test_damaged_file_beside_lists_is_made_again(tmp_path: Path, data: bytes, kind: str) -> None:
    table = filled(tmp_path)
    for path in table.rglob(f"*.{kind}"):
        path.write_bytes(data)
    with ParquetTables(tmp_path, SetClock()) as store:
        page, _ = store.page("t", "flows", Query((Filter("orig_ip", "=", ("10.0.0.3",)),), limit=1_000))
    whole = flow_frame(2 * ROWS + 150)
    assert len(page) == whole.filter(whole["orig_ip"] == "10.0.0.3").height
    assert (table / "damaged").is_dir()


def test_chunk_and_part_damaged_lose_their_rows_and_say_so(tmp_path: Path) -> None:
    table = filled(tmp_path)
    part = min(table.rglob("*.listed.parquet"))
    number = f"{int(part.name.partition('.')[0]) - 1:08}"
    lost = pl.read_parquet(part).height
    for path in (part, part.with_name(f"{number}.parquet")):
        path.write_bytes(b"")
    with ParquetTables(tmp_path, SetClock()) as store:
        found = store.verify("t", "flows")
        again = store.verify("t", "flows")
    assert (found.lost_rows, again.lost_rows, again.lost_rows_in_all, again.damaged) == (lost, 0, lost, ())
    assert len(rows_of(tmp_path)) == 2 * ROWS + 150 - lost


def test_one_manifest_stands_in_for_the_other(tmp_path: Path) -> None:
    table = filled(tmp_path)
    for name in (MANIFEST, COPY):
        flip(table / name, 900)
        assert len(rows_of(tmp_path)) == 2 * ROWS + 150
        with ParquetTables(tmp_path, SetClock()) as store:
            assert store.verify("t", "flows").damaged == (name,)
            assert store.verify("t", "flows").damaged == ()
    for name in (MANIFEST, COPY):
        flip(table / name, 900)
    with ParquetTables(tmp_path, SetClock()) as store, pytest.raises(InputError, match="digest"):
        store.page("t", "flows", Query())


def test_damaged_batch_of_a_journal_is_left_out_and_counted(tmp_path: Path) -> None:
    table = filled(tmp_path)
    flip(max(table.glob("journal-*")), 8 * 500)
    assert len(rows_of(tmp_path)) == 2 * ROWS + 100
    with ParquetTables(tmp_path, SetClock()) as store:
        assert store.compact("t", "flows") == 100
        assert store.verify("t", "flows").lost_rows_in_all == 50
        assert list((table / "damaged").glob("journal-*"))


def test_half_a_batch_at_the_end_is_none(tmp_path: Path) -> None:
    table = filled(tmp_path)
    journal = max(table.glob("journal-*"))
    data = journal.read_bytes()
    journal.write_bytes(data + data[: len(data) // 4])
    with ParquetTables(tmp_path, SetClock()) as store:
        store.append("t", "flows", flow_frame(5, 5_000), "after")
    assert len(rows_of(tmp_path)) == 2 * ROWS + 155


def test_any_bytes_are_no_crash(tmp_path: Path) -> None:
    chance = Random(5)
    table = filled(tmp_path)
    journal = max(table.glob("journal-*"))
    data = journal.read_bytes()
    for _ in range(12):
        noise = bytearray(data)
        for _ in range(chance.randint(1, 8)):
            at = chance.randrange(len(noise))
            noise[at : at + chance.randint(0, 9)] = chance.randbytes(chance.randint(0, 9))
        journal.write_bytes(noise)
        with ParquetTables(tmp_path, SetClock()) as store:
            try:
                page, _ = store.page("t", "flows", Query(limit=1_000), ("flow_id",))
            except InfraSpectreError:
                continue
            assert len(page) >= 2 * ROWS


def test_scan_of_a_damaged_file_is_an_error_of_ours_once(tmp_path: Path) -> None:
    table = filled(tmp_path)
    whole = len(rows_of(tmp_path))
    path = next(path for path in sorted(table.rglob("*.parquet")) if path.name.count(".") == 1)
    path.write_bytes(path.read_bytes()[:-40])
    with ParquetTables(tmp_path, SetClock()) as store:
        with pytest.raises(InputError, match="set aside now"):
            list(store.scan("t", "flows", 0, 2**62))
        assert 0 < sum(map(len, store.scan("t", "flows", 0, 2**62))) <= whole
