"""The tables of flows and detections: which columns they have, and by which of them rows are found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from infraspectre._core import feature_schema
from infraspectre.errors import InputError
from infraspectre.records.detection import Detection
from infraspectre.records.queries import Kind
from infraspectre.records.times import rfc3339

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Table:
    """Describes a table: its columns, and what a store has to know of them."""

    name: str
    key: str
    """The column that tells rows apart."""
    at: str
    """The column of event time, nanoseconds since the epoch: by its days the table is partitioned."""
    fields: Mapping[str, Kind]
    """By which rows can be found; `address` stands for any of `addresses`."""
    addresses: tuple[str, ...]
    """The columns that hold addresses: who is erased is erased by them."""
    amounts: tuple[str, ...] = ()
    """The columns of bytes, which totals sum up."""
    listed: tuple[str, ...] = ()
    """The columns that lists show and sort by; questions about these alone are answered soonest."""
    ranked: tuple[str, ...] = ()
    """The numbers of lists whose highest are asked for most."""
    searched: tuple[str, ...] = ()
    """The texts of lists in which names are looked for most."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """The types of columns as the feature schema writes them."""


ADDRESS = "address"
"""The field that asks for an address in any column of addresses."""
LISTED = (
    "flow_id", "started_at", "ended_at", "duration_ms", "orig_ip", "orig_port", "resp_ip", "resp_port", "protocol",
    "app_protocol", "end_reason", "tcp_state", "orig_bytes", "resp_bytes", "orig_packets", "resp_packets",
    "community_id", "vlan", "tls_server_name", "http_hosts", "dns_queries",
)  # fmt: skip


@cache
def flows_table() -> Table:
    """Return the table of flows; its columns are those of the feature schema."""
    columns = {row["name"]: row["dtype"] for row in feature_schema() if "full" in row["sets"]}
    listed = tuple(name for name in LISTED if name in columns)
    fields = found_by(columns)
    amounts, addresses = ("orig_bytes", "resp_bytes"), ("orig_ip", "resp_ip")
    ranked = (*amounts, "duration_ms", "orig_packets", "resp_packets")
    searched = ("tls_server_name", "http_hosts", "dns_queries")
    return Table("flows", "flow_id", "started_at", fields, addresses, amounts, listed, ranked, searched, columns)


DETECTION_COLUMNS = {
    "detection_id": "str", "at": "i64", "first_seen": "i64", "last_seen": "i64", "detector": "str", "category": "str",
    "severity": "str", "score": "f64", "probability": "f64", "orig": "str", "resp": "str", "flow_ids": "list<u64>",
    "techniques": "list<str>", "technique_names": "list<str>", "summary": "str", "evidence": "str",
}  # fmt: skip
"""The columns of detections; `evidence` is JSON, `summary` the sentence in it."""


@cache
def detections_table() -> Table:
    """Return the table of detections."""
    listed = tuple(name for name in DETECTION_COLUMNS if name not in ("flow_ids", "evidence"))
    fields = found_by(DETECTION_COLUMNS)
    addresses, ranked = ("orig", "resp"), ("score",)
    return Table("detections", "detection_id", "at", fields, addresses, (), listed, ranked, (), DETECTION_COLUMNS)


TABLES: Mapping[str, Callable[[], Table]] = {"flows": flows_table, "detections": detections_table}
"""The tables by their names; each is described when it is first asked for."""


def table_named(name: str) -> Table:
    """Return a table by its name; raises InputError for one that there is not."""
    if name not in TABLES:
        raise InputError("is no table", field=name[:64], remedy=f"choose {' or '.join(TABLES)}")
    return TABLES[name]()


def found_by(columns: Mapping[str, str]) -> dict[str, Kind]:
    """Return the kinds of the columns by which rows can be found."""
    found: dict[str, Kind] = {ADDRESS: "texts"}
    found.update((name, kind) for name, dtype in columns.items() if (kind := kind_of(dtype)) is not None)
    return found


def kind_of(dtype: str) -> Kind | None:
    """Return what a column of a type holds; None where no filter can ask for it."""
    if dtype.startswith("list<"):
        return "texts" if dtype == "list<str>" else None
    kinds: dict[str, Kind] = {"s": "text", "f": "real", "u": "integer", "i": "integer"}
    return kinds.get(dtype[0])


def detection_frame(detections: Iterable[Detection]) -> pl.DataFrame:
    """Return detections as rows of their table."""
    import polars as pl  # only here: whoever asks for names of columns should not wait for it

    rows = [detection_row(each) for each in detections]
    kinds = {"str": pl.String(), "i64": pl.Int64(), "f64": pl.Float64()}
    lists = {"list<u64>": pl.List(pl.UInt64), "list<str>": pl.List(pl.String)}
    return pl.DataFrame(rows, schema={name: (kinds | lists)[dtype] for name, dtype in DETECTION_COLUMNS.items()})


def detection_row(detection: Detection) -> dict[str, Any]:
    """Return a detection as a row of its table."""
    named = {name: getattr(detection, name) for name in DETECTION_COLUMNS if hasattr(detection, name)}
    return named | {
        "techniques": [each.id for each in detection.techniques],
        "technique_names": [each.name for each in detection.techniques],
        "summary": detection.evidence.summary,
        "evidence": msgspec.json.encode(detection.evidence).decode(),
    }


TIMES = ("started_at", "ended_at", "at", "first_seen", "last_seen")


def row_object(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as people and programs read it.

    Times are RFC 3339, and the identity of a flow is text: it has 64 bits, of which numbers in JSON may keep 53.
    """
    told = {name: rfc3339(value) if name in TIMES and value is not None else value for name, value in row.items()}
    if "flow_id" in told:
        told["flow_id"] = str(told["flow_id"])
    return told


def detection_object(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of detections as a line of `detections.jsonl`."""
    told = row_object(row)
    if "technique_names" in told:
        names = told.pop("technique_names")
        told["techniques"] = [{"id": each, "name": name} for each, name in zip(told["techniques"], names, strict=True)]
    if "evidence" in told:
        told.pop("summary", None)
        told["evidence"] = msgspec.json.decode(told["evidence"])
    return told
