from __future__ import annotations

from pathlib import Path
from random import Random

import msgspec
import numpy as np
import polars as pl
import pytest

from infraspectre.adapters.column_store import ParquetTables, blocks
from infraspectre.adapters.column_store import manifest as manifests
from infraspectre.adapters.column_store.blocks import Blocks, encoded, picked
from infraspectre.adapters.column_store.upkeep import GRACE
from infraspectre.records.queries import Filter, Order, Query
from table_rows import DAY, SetClock, answer, flow_frame

HOST = Filter("address", "=", ("10.0.0.3",))
QUESTIONS = (Query((HOST,), limit=1_000), Query((HOST,), Order("orig_bytes", True), 9), Query((), limit=100))


def written(folder: Path, rows: pl.DataFrame) -> Path:
    path = folder / "rows.blocks"
    path.write_bytes(encoded(rows))
    return path


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_ROWS", 16)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("count", [1, 15, 16, 17, 500])
def test_rows_come_back_as_they_were(tmp_path: Path, count: int) -> None:
    frame = flow_frame(count).with_columns(vlan=pl.lit(None, pl.UInt16), name=pl.Series(["é\0"] * count))
    held = Blocks(written(tmp_path, frame))
    chance = Random(4)
    for size in (1, count // 3, count):
        wanted = np.array(sorted(chance.sample(range(count), size)), np.uint32)
        assert picked([(held, wanted)], frame.columns).equals(frame[wanted])
        assert picked([(held, wanted)], ["resp_ip", "vlan"]).equals(frame.select("resp_ip", "vlan")[wanted])
        assert picked([(held, wanted), (held, wanted)], frame.columns).equals(pl.concat([frame[wanted]] * 2))


@pytest.mark.usefixtures("small_blocks")
def test_flipped_bit_gives_no_other_rows(tmp_path: Path) -> None:
    frame = flow_frame(40)
    path = written(tmp_path, frame)
    data, wanted, found = path.read_bytes(), np.arange(40, dtype=np.uint32), 0
    chance = Random(5)
    for bit in chance.sample(range(len(data) * 8), 2_000):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            assert picked([(Blocks(path), wanted)], frame.columns).equals(frame)
        except OSError:
            found += 1
    assert found > 1_900  # where the last message ends may be later than the file does


def test_row_that_is_not_there_is_damage(tmp_path: Path) -> None:
    held = Blocks(written(tmp_path, flow_frame(3)))
    with pytest.raises(OSError, match="is damaged"):
        picked([(held, np.array([blocks.BLOCK_ROWS]))], ["flow_id"])


def filled(folder: Path) -> ParquetTables:
    store = ParquetTables(folder, SetClock())
    for number in range(3):
        store.append("t", "flows", flow_frame(300, 300 * number, DAY // 700), f"batch {number}")
        store.compact("t", "flows")
    return store


def answers(store: ParquetTables) -> list[list[int]]:
    columns = ("flow_id", "orig_ip", "orig_bytes", "http_hosts")
    return [[row["flow_id"] for row in store.page("t", "flows", query, columns)[0]] for query in QUESTIONS]


def with_blocks(folder: Path) -> int:
    """Return how many parts have blocks, which hold the very rows that their lists have."""
    parts = [part for part in manifests.load(folder).parts if part.blocks is not None]
    for part in parts:
        rows = pl.read_parquet(folder / part.listed_name)
        held = picked([(Blocks(folder / part.blocks_name), np.arange(part.rows))], rows.columns)
        assert held.equals(rows)
    return len(parts)


@pytest.mark.usefixtures("small_blocks")
def test_parts_of_an_earlier_version_are_read_and_get_blocks(tmp_path: Path) -> None:
    folder = tmp_path / "t" / "flows"
    with filled(tmp_path) as store:
        expected = answers(store)
        assert expected == [
            answer(flow_frame(900, step=DAY // 700).to_dicts(), query)[: query.limit] for query in QUESTIONS
        ]
    manifest = manifests.load(folder)
    parts = [msgspec.structs.replace(part, blocks=None) for part in manifest.parts]
    manifests.save(folder, msgspec.structs.replace(manifest, parts=parts))
    for path in folder.rglob("*.blocks"):
        path.unlink()
    with ParquetTables(tmp_path, SetClock()) as store:
        for number in range(len(parts) + 1):
            assert with_blocks(folder) == number
            assert answers(store) == expected
            store.compact("t", "flows")
        assert store.verify("t", "flows").damaged == ()


def test_blocks_follow_what_is_merged_erased_and_removed(tmp_path: Path) -> None:
    folder = tmp_path / "t" / "flows"
    clock = SetClock()
    with filled(tmp_path) as store:
        assert store.erase("t", "10.0.0.3") > 0
        assert with_blocks(folder) == len(manifests.load(folder).parts)
        assert [len(found) for found in answers(store)] == [0, 0, 100]
    with ParquetTables(tmp_path, clock) as store:
        clock.at += 9 * DAY
        store.compact("t", "flows")
        assert with_blocks(folder) == len(manifests.load(folder).parts) == 2
        assert store.retain("t", "flows", clock.at) > 0
        clock.at += GRACE
        store.compact("t", "flows")
        assert not list(folder.rglob("*.blocks"))
