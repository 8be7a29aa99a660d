"""Tables of rows: CSV and JSON lines (also packed by gzip or Zstandard) and Parquet, read in batches.

What a file is, is decided by its content. Rows count from 0. A number may be missing: an empty cell, NaN, or one of
the signs that people write for what they do not know.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

import polars as pl

from infraspectre.errors import InputError
from infraspectre.records.models import ColumnKind, DataFile

BATCH_ROWS = 4_096
"""Rows judged at once: enough for all arithmetic to be done on columns."""
MAX_CELLS = 400_000_000
"""Most cells of a table that is read whole, about 3 GiB."""
MAX_COLUMNS = 10_000
HEAD_BYTES = 65_536
GZIP = b"\x1f\x8b"
ZSTANDARD = b"\x28\xb5\x2f\xfd"
PARQUET = b"PAR1"
UNKNOWN = ("", "-", "?", "na", "n/a", "null", "none")
"""What stands for a number that is not known, in lower case."""
MOSTLY = 0.9
"""A column of which so many values are numbers is one of numbers, and what is not is a fault."""
FEW_VALUES = 16
"""So few distinct numbers may be names of kinds, of which some are written with letters."""
LARGEST_WHOLE = 2**53
"""Up to here a double holds every whole number (IEEE 754)."""
FORMATS = "expected CSV or JSON lines (also .gz, .zst), or Parquet"
Form = Literal["parquet", "jsonl", "csv"]


def sha256_of(path: Path) -> str:
    """Return the digest of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Table(NamedTuple):
    """Holds a whole table, and the files that it came from."""

    frame: pl.DataFrame
    files: list[DataFile]


class TableFile:
    """Gives the rows of one file in batches, with columns of the kinds that are wanted."""

    def __init__(self, path: Path) -> None:
        """Look at the file; raises InputError if it cannot be read, is no table or has no columns."""
        self.path = path
        self.form = form_of(path)
        with reading(path, self.form):
            self._rows = scan(path, self.form)
            self.names = self._rows.collect_schema().names()
        self._check_names()

    def _check_names(self) -> None:
        twice = [name for name in self.names if name.endswith("_duplicated_0")]
        if twice:
            name = twice[0].removesuffix("_duplicated_0")
            raise InputError("is named twice in the header", path=self.path, field=name, remedy="rename one of them")
        if len(self.names) > MAX_COLUMNS:
            raise InputError(f"has {len(self.names):,} columns", path=self.path, remedy=f"keep {MAX_COLUMNS:,}")

    @cached_property
    def sha256(self) -> str:
        """Return the digest of the file."""
        with reading(self.path, self.form):
            return sha256_of(self.path)

    def change(self, changed: Callable[[pl.LazyFrame], pl.LazyFrame]) -> None:
        """Give other rows from now on: what this makes of them."""
        with reading(self.path, self.form):
            self._rows = changed(self._rows)
            self.names = self._rows.collect_schema().names()

    def batches(self, wanted: Mapping[str, ColumnKind] | None = None) -> Iterator[pl.DataFrame]:
        """Yield the rows in order: of wanted columns alone and converted, else of all as they are.

        Raises InputError naming the column that is missing, or the row and column of a value that is no number.
        """
        if wanted is not None:
            self._require(wanted)
        rows = self._rows if wanted is None else self._rows.select(list(wanted))
        start = 0
        with reading(self.path, self.form):
            for batch in rows.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True):
                if len(batch):
                    yield batch if wanted is None else self.converted(batch, wanted, start)
                    start += len(batch)

    def _require(self, wanted: Mapping[str, ColumnKind]) -> None:
        missing = [name for name in wanted if name not in self.names]
        if missing:
            listed = ", ".join(missing[:8]) + (f" and {len(missing) - 8} more" if len(missing) > 8 else "")
            verb = "column is" if len(missing) == 1 else "columns are"
            remedy = "give the columns that the model was trained on: 'infraspectre models show' lists them"
            if any(wanted[name] == "list" for name in missing):
                remedy = "'infraspectre flows' writes the lists of packets"
            raise InputError(f"{verb} missing: {listed}", path=self.path, remedy=remedy)

    def converted(self, frame: pl.DataFrame, wanted: Mapping[str, ColumnKind], start: int = 0) -> pl.DataFrame:
        """Return wanted columns as numbers or texts; `start` is the number of the first row."""
        columns = [self._as(kind, frame[name], start) for name, kind in wanted.items()]
        self._require_equal_lengths([column for column in columns if column.dtype == pl.List], start)
        return pl.DataFrame(columns)

    def _as(self, kind: ColumnKind, column: pl.Series, start: int) -> pl.Series:
        if kind == "list":
            return self._lists(column, start)
        return self._numbers(column, start) if kind == "number" else texts(column)

    def _lists(self, column: pl.Series, start: int) -> pl.Series:
        """Return lists of whole numbers, as they are or from texts that separate them by spaces, as CSV has them."""
        lists = column
        if column.dtype == pl.String:
            lists = column.str.replace_all(r"\s+", " ").str.strip_chars().replace("", None).str.split(" ")
        if not isinstance(lists.dtype, pl.List):
            remedy = "give lists, in CSV as numbers between spaces, as 'infraspectre flows' writes them"
            raise InputError(
                f"is {column.dtype}, not lists of numbers", path=self.path, field=column.name, remedy=remedy
            )
        numbers = lists.cast(pl.List(pl.Int64), strict=False).fill_null([])
        faults = (numbers.list.eval(pl.element().is_null().any()).list.first()).fill_null(value=False).arg_true()
        if len(faults):
            row = int(faults[0])
            problem = f"row {start + row} holds {str(column[row])!r:.60}, which is not a list of whole numbers"
            raise InputError(problem, path=self.path, field=column.name, remedy="separate numbers by spaces in CSV")
        return numbers

    def _require_equal_lengths(self, lists: list[pl.Series], start: int) -> None:
        for column in lists[1:]:
            faults = (column.list.len() != lists[0].list.len()).arg_true()
            if len(faults):
                row = int(faults[0])
                problem = (
                    f"row {start + row} holds {len(column[row])} numbers, but {len(lists[0][row])} {lists[0].name}"
                )
                raise InputError(problem, path=self.path, field=column.name, remedy="give one number for each packet")

    def _numbers(self, column: pl.Series, start: int) -> pl.Series:
        if column.dtype.is_numeric() or column.dtype == pl.Boolean:
            return column
        if column.dtype.is_temporal() or column.dtype.is_nested():
            raise InputError(f"is {column.dtype}, not a number", path=self.path, field=column.name)
        written = texts(column).str.strip_chars()
        numbers = written.cast(pl.Float64, strict=False)
        faults = (numbers.is_null() & written.is_not_null() & ~written.str.to_lowercase().is_in(UNKNOWN)).arg_true()
        if len(faults):
            row = int(faults[0])
            problem = f"row {start + row} holds {written[row]!r:.60}, which is not a number"
            remedy = "mend the cell, or leave it empty if the number is not known"
            raise InputError(problem, path=self.path, field=column.name, remedy=remedy)
        return numbers

    def inferred(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return a frame with texts turned into numbers wherever a column is one of numbers."""
        return frame.with_columns(
            shortened(self._numbers(column, 0)) if is_numeric(column) else texts(column)
            for column in frame
            if column.dtype in (pl.String, pl.Categorical, pl.Enum)
        )


def shortened(column: pl.Series) -> pl.Series:
    """Return whole numbers as integers, as far as these hold them exactly, and anything else as it is."""
    if not column.dtype.is_float() or not bool(((column.floor() == column) & (column.abs() <= LARGEST_WHOLE)).all()):
        return column
    return column.cast(pl.Int64)


def texts(column: pl.Series) -> pl.Series:
    """Return a column as texts; whole numbers are written without a point."""
    column = shortened(column)
    return column if column.dtype == pl.String else column.cast(pl.String, strict=False)


def is_numeric(column: pl.Series) -> bool:
    """Tell whether most of what a column of texts holds are numbers, and of more than a few kinds if not all are."""
    known = texts(column).str.strip_chars().drop_nulls()
    known = known.filter(~known.str.to_lowercase().is_in(UNKNOWN))
    numbers = known.cast(pl.Float64, strict=False).drop_nulls()
    if len(numbers) == len(known):
        return len(known) > 0
    return len(numbers) >= MOSTLY * len(known) and numbers.n_unique() > FEW_VALUES


def form_of(path: Path) -> Form:
    """Return the format of a file, judged by its first bytes; raises InputError for what is none."""
    with reading(path, "csv"):
        head = first_bytes(path)
    if not head.strip():
        raise InputError("is empty", path=path, remedy=FORMATS)
    if head.startswith(PARQUET):
        return "parquet"
    if b"\0" in head:
        remedy = f"{FORMATS}; 'infraspectre flows' makes a table of a capture"
        raise InputError("is not a table", path=path, remedy=remedy)
    return "jsonl" if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") else "csv"


def first_bytes(path: Path) -> bytes:
    """Return the first bytes of a file, unpacked."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if head.startswith(GZIP):
        with suppress(EOFError, zlib.error):
            return gzip.GzipFile(fileobj=io.BytesIO(head)).read1(HEAD_BYTES)
    if head.startswith(ZSTANDARD):
        lines = pl.scan_csv(path, has_header=False, separator="\x1f", quote_char=None, infer_schema=False, n_rows=1)
        return "".join(map(str, lines.collect(engine="streaming").row(0))).encode()
    return head


def scan(path: Path, form: Form) -> pl.LazyFrame:
    """Return the rows of a file, not read yet."""
    if form == "parquet":
        return pl.scan_parquet(path, glob=False)
    if form == "jsonl":
        return pl.scan_ndjson(path, infer_schema_length=None)
    return pl.scan_csv(path, infer_schema=False, encoding="utf8-lossy", glob=False)


@contextmanager
def reading(path: Path, form: Form) -> Iterator[None]:
    """Translate what readers raise into InputError naming the file, and the row where it can be found."""
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path=path) from error
    except pl.exceptions.PolarsError as error:
        raise fault(path, form) or InputError(
            f"cannot be read: {first_line(error)}", path=path, remedy=FORMATS
        ) from error


def first_line(error: Exception) -> str:
    """Return the first line of an error's text."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def fault(path: Path, form: Form) -> InputError | None:
    """Look for the row of CSV that has more cells than the header names; None if there is none."""
    if form != "csv" or path.is_dir():
        return None
    with path.open("rb") as file:
        is_packed = file.read(2) == GZIP
        file.seek(0)
        plain = gzip.GzipFile(fileobj=file) if is_packed else file
        rows = csv.reader(io.TextIOWrapper(plain, encoding="utf-8", errors="replace", newline=""))
        with suppress(csv.Error, EOFError, OSError, zlib.error):
            width = len(next(rows, []))
            for number, cells in enumerate(rows):
                if len(cells) > width:
                    problem = f"row {number} has {len(cells)} cells where the header names {width}"
                    return InputError(problem, path=path, line=rows.line_num, remedy="quote cells that hold a comma")
    return None


def table_files(path: Path) -> list[TableFile]:
    """Return the tables at a path: a file, or all files of a folder in the order of their names, with equal columns."""
    try:
        paths = sorted(each for each in path.iterdir() if each.is_file()) if path.is_dir() else [path]
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from error
    if not paths:
        raise InputError("is an empty folder", path=path, remedy=FORMATS)
    files = [TableFile(each) for each in paths]
    for file in files[1:]:
        other = sorted({*file.names} ^ {*files[0].names})
        if other:
            problem = f"its columns are not those of {files[0].path.name}: {', '.join(other[:8])}"
            raise InputError(problem, path=file.path, remedy="keep one kind of table in the folder")
    return files


def read_table(
    path: Path, wanted: Mapping[str, ColumnKind] | None = None, prepare: Callable[[TableFile], None] | None = None
) -> Table:
    """Read a file or folder whole, with the kinds of columns wanted, else those that the values suggest.

    `prepare` is given each file before it is read, and may change its rows.
    """
    files = table_files(path)
    if prepare is not None:
        for file in files:
            prepare(file)
    frames = [whole(file, wanted) for file in files]
    told = [DataFile(file.path.name, file.sha256, len(frame)) for file, frame in zip(files, frames, strict=True)]
    frame = frames[0] if len(frames) == 1 else pl.concat(frames, how="diagonal_relaxed", rechunk=True)
    if not len(frame):
        raise InputError("has no rows", path=path, remedy="give a table with at least one row below the header")
    if wanted is None:
        frame = files[0].inferred(frame)
    return Table(frame, told)


def whole(file: TableFile, wanted: Mapping[str, ColumnKind] | None) -> pl.DataFrame:
    """Read all rows of a file; raises InputError for more than MAX_CELLS."""
    batches, cells = [], 0
    for batch in file.batches(wanted):
        cells += batch.width * len(batch) + sum(int(each.list.len().sum()) for each in batch if each.dtype == pl.List)
        if cells > MAX_CELLS:
            raise InputError(f"has more than {MAX_CELLS:,} cells", path=file.path, remedy="learn from a sample of it")
        batches.append(batch)
    return pl.concat(batches, rechunk=True) if batches else pl.DataFrame(schema=dict.fromkeys(file.names, pl.String))
