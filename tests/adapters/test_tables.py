"""Tables say the same in every format, and what does not fit is named by file, column and row."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest

from infraspectre.adapters.tables import BATCH_ROWS, TableFile, read_table
from infraspectre.errors import InputError

ROWS = pl.DataFrame({"port": [80, 443, None], "rate": [0.5, 1.25, 3.0], "name": ["a", "b, c", "d\ne"]})


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.jsonl", "t.jsonl.gz", "t.parquet", "misleading.txt"])
def test_every_format_says_the_same(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    plain = tmp_path / "plain"
    ROWS.write_parquet(plain) if "parquet" in name else ROWS.write_ndjson(plain) if "jsonl" in name else ROWS.write_csv(
        plain
    )
    path.write_bytes(gzip.compress(plain.read_bytes()) if name.endswith(".gz") else plain.read_bytes())
    table = read_table(path)
    assert table.frame.equals(ROWS)
    assert (table.files[0].name, table.files[0].rows) == (name, 3)


def test_batches_keep_the_order_and_leave_no_row_out(tmp_path: Path) -> None:
    count = 3 * BATCH_ROWS + 1
    pl.DataFrame({"n": range(count), "unused": ["x"] * count}).write_csv(tmp_path / "t.csv")
    batches = list(TableFile(tmp_path / "t.csv").batches({"n": "number"}))
    assert len(batches) > 1
    assert all(len(batch) <= BATCH_ROWS and batch.columns == ["n"] for batch in batches)
    assert pl.concat(batches)["n"].to_list() == list(range(count))


def test_a_value_that_is_no_number_is_named_by_its_row_in_the_file(tmp_path: Path) -> None:
    row = BATCH_ROWS + 5
    (tmp_path / "t.csv").write_text("n\n" + "1\n" * row + "many\n")
    with pytest.raises(InputError, match=rf"t\.csv: n: row {row} holds 'many', which is not a number"):
        list(TableFile(tmp_path / "t.csv").batches({"n": "number"}))


def test_a_column_of_numbers_with_a_fault_is_not_taken_for_texts(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(50)) + "many\n")
    with pytest.raises(InputError, match="row 50 holds 'many'"):
        read_table(tmp_path / "t.csv")


def test_missing_numbers_may_be_written_in_many_ways(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("n,m\n1,a\n,b\n-,c\nNA,d\nnan,e\nInfinity,f\n")
    numbers = read_table(tmp_path / "t.csv").frame["n"]
    assert numbers.dtype == pl.Float64
    assert numbers[:4].to_list() == [1.0, None, None, None]


def test_kinds_of_digits_are_texts_if_the_model_says_so(tmp_path: Path) -> None:
    pl.DataFrame({"code": [1.0, 2.0]}).write_parquet(tmp_path / "t")
    (batch,) = TableFile(tmp_path / "t").batches({"code": "text"})
    assert batch["code"].to_list() == ["1", "2"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b"a,b\n", "has no rows"),
        (b"a,b\n1,2\n3,4,5\n", "t:3: row 1 has 3 cells where the header names 2"),
        (b"a,a\n1,2\n", "a: is named twice"),
        (b"\xd4\xc3\xb2\xa1\x02\x00\x04\x00", "is not a table; .*'infraspectre flows'"),
        (b"PAR1 and nothing else", "cannot be read"),
        (b'{"a": 1}\n{"a": \n', "cannot be read"),
        (gzip.compress(b"a,b\n" + b"1,2\n" * 9999, mtime=0)[:40], "cannot be read|is empty"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(InputError, match=problem):
        read_table(tmp_path / "t")


def test_missing_columns_are_named(tmp_path: Path) -> None:
    ROWS.write_csv(tmp_path / "t.csv")
    with pytest.raises(InputError, match="columns are missing: x, y"):
        read_table(tmp_path / "t.csv", {"port": "number", "x": "text", "y": "number"})


def test_a_folder_is_one_table_in_the_order_of_names(tmp_path: Path) -> None:
    for name, n in (("b.csv", 2), ("a.csv", 1)):
        (tmp_path / name).write_text(f"n\n{n}\n")
    table = read_table(tmp_path)
    assert (table.frame["n"].to_list(), [file.name for file in table.files]) == ([1, 2], ["a.csv", "b.csv"])
    (tmp_path / "c.csv").write_text("m\n1\n")
    with pytest.raises(InputError, match=r"c\.csv: its columns are not those of a\.csv: m, n"):
        read_table(tmp_path)


LISTS = pl.DataFrame(
    {
        "sizes": pl.Series([[52, -52], [], [40]], dtype=pl.List(pl.Int64)),
        "flags": pl.Series([[2, 18], [], [16]], dtype=pl.List(pl.Int64)),
    }
)


def spaced(frame: pl.DataFrame) -> pl.DataFrame:
    """Return lists as CSV has them."""
    return frame.with_columns(pl.col(pl.List).list.eval(pl.element().cast(pl.String)).list.join(" "))


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_lists_are_the_same_in_every_format(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"t.{form}"
    if form == "csv":
        spaced(LISTS).write_csv(path)
    elif form == "jsonl":
        LISTS.write_ndjson(path)
    else:
        LISTS.cast(pl.List(pl.Int16)).write_parquet(path)
    assert read_table(path, {"sizes": "list", "flags": "list"}).frame.equals(LISTS)


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ("1 2,1 2\n3 x,3 3\n", "sizes: row 1 holds '3 x', which is not a list of whole numbers"),
        ("1 2,1 2\n3.5 1,3 3\n", "sizes: row 1 holds '3.5 1', which is not a list of whole numbers"),
        ("1 2,1 2\n3 3,\n", "flags: row 1 holds 0 numbers, but 2 sizes; give one number for each packet"),
    ],
)
def test_lists_at_fault_are_named_by_row(tmp_path: Path, rows: str, problem: str) -> None:
    (tmp_path / "t.csv").write_text("sizes,flags\n" + rows)
    with pytest.raises(InputError, match=problem):
        read_table(tmp_path / "t.csv", {"sizes": "list", "flags": "list"})


def test_what_holds_no_lists_or_lists_of_none_is_refused(tmp_path: Path) -> None:
    pl.DataFrame({"sizes": [1, 2]}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(InputError, match="sizes: is Int64, not lists of numbers"):
        read_table(tmp_path / "t.parquet", {"sizes": "list"})
    pl.DataFrame({"sizes": [[1, None]]}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(InputError, match="row 0 holds"):
        read_table(tmp_path / "t.parquet", {"sizes": "list"})
    with pytest.raises(InputError, match="column is missing: flags; 'infraspectre flows' writes the lists"):
        read_table(tmp_path / "t.parquet", {"flags": "list"})


def test_long_lists_count_as_many_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pl.DataFrame({"sizes": [[1] * 50]}).write_parquet(tmp_path / "t.parquet")
    monkeypatch.setattr("infraspectre.adapters.tables.MAX_CELLS", 49)
    with pytest.raises(InputError, match="has more than 49 cells"):
        read_table(tmp_path / "t.parquet", {"sizes": "list"})
