"""Flow files: Parquet, CSV, JSON lines and a Zeek-style connection log."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infraspectre import _core
from infraspectre.errors import UsageError
from infraspectre.files import WholeFile, writing_to
from infraspectre.ports import FlowWriter
from infraspectre.records.flows import FlowBatch

if TYPE_CHECKING:
    from tempfile import TemporaryDirectory

    import polars as pl


class ParquetFile:
    """Writes batches as they come: those of the core by the core itself, frames by way of a temporary folder."""

    def __init__(self, path: Path) -> None:
        """Remember where to write; the file is begun with the first batch."""
        self._path = path
        self._writer: _core.ParquetWriter | None = None
        self._parts: TemporaryDirectory[str] | None = None
        self._count = 0

    def write(self, flows: FlowBatch) -> None:
        """Append the rows of a batch."""
        with writing_to(self._path):
            if isinstance(flows.columns, _core.FlowColumns):
                self._writer = self._writer or _core.ParquetWriter(str(self._path))
                self._writer.write(flows.columns)
            else:
                self._write_part(flows)

    def _write_part(self, flows: FlowBatch) -> None:
        """Write the rows of a frame into the temporary folder."""
        from tempfile import TemporaryDirectory

        self._parts = self._parts or TemporaryDirectory(prefix=".flows-", dir=self._path.parent)
        flows.frame.write_parquet(Path(self._parts.name) / f"{self._count:08}.parquet")
        self._count += 1

    def close(self) -> None:
        """Finish the file and give it its name."""
        with writing_to(self._path):
            if self._parts:
                join_parquet(Path(self._parts.name), self._path)
                self._parts.cleanup()
            else:
                (self._writer or _core.ParquetWriter(str(self._path))).close()

    def discard(self) -> None:
        """Remove what was written so far; the core removes its own temporary file with the writer."""
        self._writer = None
        if self._parts:
            self._parts.cleanup()


def join_parquet(folder: Path, path: Path) -> None:
    """Stream the parts of a folder, in the order of their names, into one file."""
    import polars as pl

    whole = folder / "whole"
    pl.scan_parquet(sorted(folder.glob("*.parquet"))).sink_parquet(whole, compression="zstd")
    whole.replace(path)


class TextFile:
    """Writes batches as text, one flow on a line."""

    def __init__(self, path: Path, encode: Callable[[pl.DataFrame, bool], bytes]) -> None:
        """Begin the file; `encode` turns a frame into lines and is told whether it is the first."""
        self._file = WholeFile(path)
        self._encode = encode
        self._is_first = True

    def write(self, flows: FlowBatch) -> None:
        """Append the rows of a batch."""
        self._file.write(self._encode(flows.frame, self._is_first))
        self._is_first = False

    def close(self) -> None:
        """Finish the file and give it its name; without any flow it holds the header alone."""
        if self._is_first:
            from infraspectre.adapters.columns import batch

            self.write(batch([]))
        self._file.close()

    def discard(self) -> None:
        """Remove what was written so far."""
        self._file.discard()


def csv_lines(frame: pl.DataFrame, is_first: bool) -> bytes:
    """Return rows as CSV (RFC 4180); the values of a list are separated by spaces, texts in lists by |."""
    import polars as pl

    def flat(name: str, dtype: pl.DataType) -> pl.Expr:
        if not isinstance(dtype, pl.List):
            return pl.col(name)
        separator = "|" if dtype.inner == pl.String else " "
        return pl.col(name).list.eval(pl.element().cast(pl.String)).list.join(separator)

    buffer = BytesIO()
    frame.select(flat(name, dtype) for name, dtype in frame.schema.items()).write_csv(buffer, include_header=is_first)
    return buffer.getvalue()


def json_lines(frame: pl.DataFrame, is_first: bool) -> bytes:
    """Return rows as JSON objects, one on a line."""
    buffer = BytesIO()
    frame.write_ndjson(buffer)
    return buffer.getvalue()


ZEEK_COLUMNS: dict[str, tuple[str, str]] = {
    "ts": ("time", "started_at"), "uid": ("string", "flow_id"),
    "id.orig_h": ("addr", "orig_ip"), "id.orig_p": ("port", "orig_port"),
    "id.resp_h": ("addr", "resp_ip"), "id.resp_p": ("port", "resp_port"),
    "proto": ("enum", "protocol"), "service": ("string", "app_protocol"), "duration": ("interval", "duration_ms"),
    "orig_bytes": ("count", "orig_payload_bytes"), "resp_bytes": ("count", "resp_payload_bytes"),
    "conn_state": ("string", "tcp_state"),
    "orig_pkts": ("count", "orig_packets"), "orig_ip_bytes": ("count", "orig_ip_bytes"),
    "resp_pkts": ("count", "resp_packets"), "resp_ip_bytes": ("count", "resp_ip_bytes"),
    "community_id": ("string", "community_id"),
}  # fmt: skip
"""Zeek's field, its type, and our column for it."""


def zeek_header() -> str:
    """Return the lines that begin a Zeek log."""
    types = (kind for kind, _ in ZEEK_COLUMNS.values())
    head = ("#separator \\x09", "#set_separator\t,", "#empty_field\t(empty)", "#unset_field\t-", "#path\tconn")
    return "\n".join([*head, "\t".join(["#fields", *ZEEK_COLUMNS]), "\t".join(["#types", *types]), ""])


def zeek_value(kind: str, value: Any) -> str:
    """Return a value as Zeek writes it: times and intervals in seconds to the microsecond, unset as -."""
    if value is None or value == "":
        return "-"
    if kind == "time":
        micros = value // 1000
        return f"{micros // 1_000_000}.{micros % 1_000_000:06}"
    if kind == "interval":
        return f"{value / 1000:.6f}"
    return str(value).replace("\\", "\\x5c").replace("\t", "\\x09").replace("\n", "\\x0a")


def zeek_lines(frame: pl.DataFrame, is_first: bool) -> bytes:
    """Return rows as lines of a connection log."""
    import polars as pl

    kinds = [kind for kind, _ in ZEEK_COLUMNS.values()]
    known = frame.select(
        pl.col(column) if column in frame.columns else pl.lit(None).alias(column) for _, column in ZEEK_COLUMNS.values()
    )
    lines = ("\t".join(map(zeek_value, kinds, row)) + "\n" for row in known.iter_rows())
    return ((zeek_header() if is_first else "") + "".join(lines)).encode()


WRITERS: dict[str, Callable[[Path], FlowWriter]] = {
    ".parquet": ParquetFile,
    ".csv": lambda path: TextFile(path, csv_lines),
    ".jsonl": lambda path: TextFile(path, json_lines),
    ".log": lambda path: TextFile(path, zeek_lines),
}


def check_format(path: Path) -> None:
    """Raise UsageError unless flows can be written in the format that the file's name asks for."""
    if path.suffix not in WRITERS:
        raise UsageError(
            f"cannot tell the format of {path.name!r}", remedy=f"end the name with one of {', '.join(WRITERS)}"
        )


def flow_writer(path: Path) -> FlowWriter:
    """Return a writer for the format that the file's name asks for."""
    check_format(path)
    return WRITERS[path.suffix](path)
