"""Records of Zeek logs, in either of Zeek's two writings: tab-separated values and JSON lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from infraspectre.adapters.lines import LineFile
from infraspectre.records.times import NANOSECONDS, bounded, from_datetime

Record = dict[str, Any]
ESCAPE = re.compile(r"\\x([0-9a-fA-F]{2})")


def records(file: LineFile) -> Iterator[Record]:
    """Yield the records of a log; unset fields are absent."""
    header = Header()
    for line in file:
        if line.lstrip().startswith("#"):
            header.learn(line.lstrip())
        elif line.startswith("{"):
            yield dotted(file.json(line))
        elif line:
            yield header.record(line, file)


def dotted(record: Record) -> Record:
    """Return a record with Zeek's own field names where a log shipper wrote id_orig_h for id.orig_h."""
    if "id_orig_h" not in record:
        return record
    return {f"id.{key.removeprefix('id_')}" if key.startswith("id_") else key: value for key, value in record.items()}


def stream(record: Record) -> str | None:
    """Return the log that a record belongs to, where a file holds several and each record says so."""
    name = record.get("_path") or record.get("@stream")
    return name if isinstance(name, str) else None


def nanoseconds(value: Any) -> int:
    """Return a time as nanoseconds since the epoch; a number is in seconds, a text is ISO 8601. Raises ValueError."""
    try:
        if isinstance(value, str) and "T" in value:
            return bounded(from_datetime(datetime.fromisoformat(value)))
        # A binary floating-point number holds today's times to about 200 ns; Zeek writes microseconds.
        seconds = round(Decimal(repr(value)), 6) if isinstance(value, float) else Decimal(value)
        return bounded(int(seconds * NANOSECONDS))
    except (InvalidOperation, TypeError, OverflowError) as error:
        raise ValueError(f"{value!r} is not a time") from error


def truth(value: str) -> bool:
    """Return a Zeek truth value."""
    if value not in ("T", "F"):
        raise ValueError(f"{value!r} is neither T nor F")
    return value == "T"


SCALARS: dict[str, Callable[[str], Any]] = {
    "interval": float, "double": float, "bool": truth, "count": int, "int": int, "port": int,
}  # fmt: skip
"""Zeek's types and what they become; every other type stays text, times too, see `nanoseconds`."""


@dataclass
class Header:
    """Holds what the lines that begin with # say about the lines that follow."""

    separator: str = "\t"
    set_separator: str = ","
    empty: str = "(empty)"
    unset: str = "-"
    fields: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)

    def learn(self, line: str) -> None:
        """Take over what a header line says."""
        if line.startswith("#separator "):
            self.separator = unescape(line.partition(" ")[2]) or "\t"
            return
        key, *values = line.split(self.separator)
        match key:
            case "#fields":
                self.fields = values
            case "#types":
                self.types = values
            case "#set_separator" | "#empty_field" | "#unset_field" if values:
                setattr(self, {"#empty_field": "empty", "#unset_field": "unset"}.get(key, "set_separator"), values[0])

    def record(self, line: str, file: LineFile) -> Record:
        """Return the record on a line; raises InputError for what does not fit the header."""
        values = line.split(self.separator)
        if len(values) != len(self.fields) or len(self.types) != len(self.fields):
            raise file.error(f"has {len(values)} fields where the header names {len(self.fields)}")
        record: Record = {}
        for name, kind, value in zip(self.fields, self.types, values, strict=True):
            if value != self.unset:
                try:
                    record[name] = self.value(kind, value)
                except ValueError as error:
                    raise file.error(f"{value!r} is not a {kind}", name) from error
        return record

    def value(self, kind: str, value: str) -> Any:
        """Return a value in the type that the header declares."""
        container, bracket, inner = kind.partition("[")
        if bracket and container in ("set", "vector"):
            scalar = inner.removesuffix("]")
            parts = [] if value in (self.empty, "") else value.split(self.set_separator)
            return [None if part == self.unset else self.value(scalar, part) for part in parts]
        return SCALARS.get(kind, self.text)(value)

    def text(self, value: str) -> str:
        """Return a text without Zeek's escapes."""
        if "\\x" in value:
            return unescape(value)
        return "" if value == self.empty else value


def unescape(value: str) -> str:
    """Return a text whose hexadecimal escapes of printable signs are undone; others stay, being safe to show."""
    return ESCAPE.sub(
        lambda found: (
            sign if (sign := chr(int(found[1], 16))).isascii() and (sign.isprintable() or sign == "\t") else found[0]
        ),
        value,
    )
