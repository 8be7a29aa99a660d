"""Flows as Arrow IPC streams with Zstandard; what others wrote is bounded before anything of it is unpacked.

The form is that of "Serialization and Interprocess Communication" in the Arrow Columnar Format, and of FlatBuffers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from typing import NamedTuple

import numpy as np
import polars as pl

from infraspectre._core import feature_schema
from infraspectre.errors import InputError

MOST_ROWS = 1 << 16
MOST_BYTES = 16 << 20
"""Of a payload as it is sent."""
MOST_UNPACKED_BYTES = 512 << 20
"""Of all columns together, once they are unpacked."""
MOST_MESSAGES = 64
REQUIRED = ("flow_id", "orig_ip", "orig_port", "resp_ip", "resp_port", "protocol", "started_at", "ended_at")
"""Columns without which a flow is none."""
TYPES: dict[str, pl.DataType | type[pl.DataType]] = {
    "u8": pl.UInt8, "u16": pl.UInt16, "u32": pl.UInt32, "u64": pl.UInt64, "i32": pl.Int32, "i64": pl.Int64,
    "f32": pl.Float32, "f64": pl.Float64, "str": pl.String, "bool": pl.Boolean,
}  # fmt: skip
CONTINUES = 0xFFFFFFFF
SCHEMA, RECORD_BATCH = 1, 3
"""Members of the union MessageHeader."""


def pack(frame: pl.DataFrame) -> bytes:
    """Return flows as an Arrow IPC stream."""
    out = BytesIO()
    frame.write_ipc_stream(out, compression="zstd")
    return out.getvalue()


def unpack(payload: bytes | memoryview, rows: int) -> pl.DataFrame:
    """Return flows; raises InputError for what is no stream of so many flows with the columns of flows."""
    check_size(payload, rows)
    try:
        frame = pl.read_ipc_stream(BytesIO(payload))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        raise InputError(f"is no Arrow IPC stream: {str(error)[:200]}") from error
    if len(frame) != rows:
        raise InputError(f"holds {len(frame)} flows instead of {rows}")
    check_columns(frame)
    return frame


def check_columns(frame: pl.DataFrame) -> None:
    """Raise InputError unless all columns are those of flows, and none that is needed is missing or has gaps."""
    known = column_types()
    for name, kind in frame.schema.items():
        if name not in known:
            raise InputError("is no column of flows", field=name[:64], remedy="update the server before its sensors")
        if kind != known[name]:
            raise InputError(f"is {kind} instead of {known[name]}", field=name)
    for name in REQUIRED:
        if name not in frame.columns or frame[name].null_count():
            raise InputError("is missing", field=name)


@cache
def column_types() -> dict[str, pl.DataType]:
    """Return the type of each column of flows."""
    return {feature["name"]: column_type(feature["dtype"]) for feature in feature_schema()}


def column_type(written: str) -> pl.DataType:
    """Return a type as the core's feature schema writes it."""
    inner = written.removeprefix("list<").removesuffix(">")
    kind = pl.List(TYPES[inner]) if inner != written else TYPES[inner]
    return kind if isinstance(kind, pl.DataType) else kind()


def check_size(payload: bytes | memoryview, rows: int) -> None:
    """Raise InputError for a payload that is too large, or would be once it is unpacked."""
    if len(payload) > MOST_BYTES or not 0 < rows <= MOST_ROWS:
        raise InputError(f"has {len(payload)} bytes and {rows} flows; at most {MOST_BYTES} and {MOST_ROWS} are taken")
    try:
        parts = list(messages(memoryview(payload)))
        kinds = [part.kind for part in parts]
        unpacked = sum(unpacked_bytes(part) for part in parts[1:])
    except (struct.error, IndexError, ValueError, OverflowError) as error:
        raise InputError("is no Arrow IPC stream") from error
    if kinds[:1] != [SCHEMA] or set(kinds[1:]) - {RECORD_BATCH}:
        raise InputError("is no Arrow IPC stream of record batches without dictionaries")
    if unpacked > MOST_UNPACKED_BYTES:
        raise InputError(f"has {unpacked} bytes once it is unpacked; at most {MOST_UNPACKED_BYTES} are taken")


class Message(NamedTuple):
    """Is a message of a stream: its kind, its table of metadata and its body."""

    kind: int
    header: Table
    body: memoryview


def messages(stream: memoryview) -> Iterator[Message]:
    """Yield the messages of a stream; raises ValueError, struct.error or IndexError where it is none."""
    place = 0
    for _ in range(MOST_MESSAGES):
        if place == len(stream):
            return
        mark, size = struct.unpack_from("<II", stream, place)
        if mark != CONTINUES:
            raise ValueError("no message begins here")
        if size == 0:
            return
        table = root(stream[place + 8 : place + 8 + size])
        body_bytes = table.number(3, "<q")
        end = place + 8 + size + body_bytes
        if body_bytes < 0 or end > len(stream):
            raise ValueError("a body is cut off")
        yield Message(table.number(1, "<B"), table.table(2), stream[place + 8 + size : end])
        place = end
    raise ValueError("there are too many messages")


def unpacked_bytes(message: Message) -> int:
    """Return the bytes of a record batch once it is unpacked, as its buffers say themselves."""
    buffers = message.header.structs(2, "<i8", 2)
    starts, sizes = buffers[:, 0], buffers[:, 1]
    if (starts < 0).any() or (sizes < 0).any() or (starts > len(message.body) - sizes).any():
        raise ValueError("a buffer lies outside of its body")
    if not message.header.has(3):
        return int(sizes.sum())
    held = [int.from_bytes(message.body[start : start + 8], "little", signed=True) for start in starts[sizes > 0]]
    if any(size < -1 for size in held):
        raise ValueError("a buffer has a negative size")
    return sum(held) + int(sizes.sum())


class Table(NamedTuple):
    """Is a table of FlatBuffers: where it begins, and where each of its fields does."""

    data: memoryview
    start: int

    def place(self, field: int) -> int:
        """Return where a field begins, 0 where it is not there."""
        fields = self.start - int(struct.unpack_from("<i", self.data, self.start)[0])
        if fields < 0:
            raise ValueError("a table lies outside of its message")
        size = struct.unpack_from("<H", self.data, fields)[0]
        offset = struct.unpack_from("<H", self.data, fields + 4 + 2 * field)[0] if size >= 6 + 2 * field else 0
        return self.start + offset if offset else 0

    def has(self, field: int) -> bool:
        """Tell whether a field is there."""
        return self.place(field) != 0

    def number(self, field: int, form: str) -> int:
        """Return a number, 0 where it is not there."""
        place = self.place(field)
        return int(struct.unpack_from(form, self.data, place)[0]) if place else 0

    def target(self, field: int) -> int:
        """Return where a table or vector begins that a field points to."""
        place = self.place(field)
        if not place:
            raise ValueError("a field is missing")
        return place + int(struct.unpack_from("<I", self.data, place)[0])

    def table(self, field: int) -> Table:
        """Return a table."""
        return Table(self.data, self.target(field))

    def structs(self, field: int, kind: str, members: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
        """Return a vector of structs of equal numbers, one row for each."""
        start = self.target(field)
        count = struct.unpack_from("<I", self.data, start)[0]
        return np.frombuffer(self.data, kind, count * members, start + 4).reshape(count, members)


def root(data: memoryview) -> Table:
    """Return the outermost table of a message."""
    return Table(data, struct.unpack_from("<I", data)[0])
