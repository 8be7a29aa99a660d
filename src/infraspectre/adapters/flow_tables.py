"""Flow tables of CICFlowMeter as flows, in the dialects of its third and fourth version.

Columns that the tool gets wrong or that have no counterpart here are left out: its header lengths, bulk and subflow
figures, and its active and idle times, which it splits by another threshold than ours.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from infraspectre.adapters.fields import Row
from infraspectre.adapters.lines import LineFile, as_far_as_readable
from infraspectre.adapters.log_source import LogSource
from infraspectre.records.times import LATEST, from_datetime

PROTOCOLS = {
    "0": None,
    "1": "icmp",
    "2": "igmp",
    "6": "tcp",
    "17": "udp",
    "47": "gre",
    "50": "esp",
    "58": "icmp6",
    "132": "sctp",
}
"""IANA protocol numbers; the tool writes 0 for what it does not know."""
TIME_FORMATS = (
    "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d %H:%M:%S", "%d/%m/%Y %I:%M:%S %p", "%d/%m/%Y %H:%M:%S", "%d/%m/%Y %I:%M %p",
    "%d/%m/%Y %H:%M",
)  # fmt: skip
"""The tool writes local time, day first, without a zone; it is taken as UTC."""


def real(value: str) -> float | None:
    """Return a number; None for what the tool writes for undefined ones, such as NaN and Infinity."""
    known = float(value)
    return known if math.isfinite(known) else None


def whole(value: str) -> int | None:
    """Return a count; None for negative ones, by which the tool means unknown."""
    known = real(value)
    return int(known) if known is not None and known >= 0 else None


def milliseconds(value: str) -> float | None:
    """Return microseconds as milliseconds."""
    known = real(value)
    return None if known is None or known < 0 else known / 1000


def address(value: str) -> str:
    """Return an address in its normal writing."""
    return str(ip_address(value))


def protocol(value: str) -> str | None:
    """Return the name of a protocol number."""
    number = str(int(float(value)))
    return PROTOCOLS.get(number, f"ip-{number}")


def nanoseconds(value: str) -> int:
    """Return a time as nanoseconds since the epoch."""
    for form in TIME_FORMATS:
        try:
            return from_datetime(datetime.strptime(value, form).replace(tzinfo=UTC))
        except ValueError:
            continue
    raise ValueError(value)


Reading = tuple[tuple[str, ...], str, Callable[[str], Any]]


def statistics(names: tuple[str, ...], column: str, unit: Callable[[str], Any]) -> list[Reading]:
    """Return the readings of a minimum, mean, deviation and maximum."""
    return [
        (tuple(f"{name} {part}" for name in names), f"{column}_{part}", unit) for part in ("min", "mean", "std", "max")
    ]


READINGS: list[Reading] = [
    (("src ip", "source ip"), "orig_ip", address),
    (("src port", "source port"), "orig_port", whole),
    (("dst ip", "destination ip"), "resp_ip", address),
    (("dst port", "destination port"), "resp_port", whole),
    (("protocol",), "protocol", protocol),
    (("timestamp",), "started_at", nanoseconds),
    (("flow duration",), "duration_ms", milliseconds),
    (("tot fwd pkts", "total fwd packets", "total fwd packet"), "orig_packets", whole),
    (("tot bwd pkts", "total backward packets", "total bwd packets"), "resp_packets", whole),
    (("totlen fwd pkts", "total length of fwd packets", "total length of fwd packet"), "orig_payload_bytes", whole),
    (("totlen bwd pkts", "total length of bwd packets", "total length of bwd packet"), "resp_payload_bytes", whole),
    (("fwd act data pkts", "act data pkt fwd"), "orig_data_packets", whole),
    (("flow pkts/s", "flow packets/s"), "packets_per_s", real),
    (("init fwd win byts", "init win bytes forward", "fwd init win bytes"), "orig_initial_window", whole),
    (("init bwd win byts", "init win bytes backward", "bwd init win bytes"), "resp_initial_window", whole),
    (("fwd psh flags",), "orig_psh_packets", whole),
    (("bwd psh flags",), "resp_psh_packets", whole),
    (("fwd urg flags",), "orig_urg_packets", whole),
    (("bwd urg flags",), "resp_urg_packets", whole),
    *statistics(("fwd pkt len", "fwd packet length"), "orig_segment_bytes", real),
    *statistics(("bwd pkt len", "bwd packet length"), "resp_segment_bytes", real),
    *statistics(("flow iat",), "flow_gap_ms", milliseconds),
    *statistics(("fwd iat",), "orig_gap_ms", milliseconds),
    *statistics(("bwd iat",), "resp_gap_ms", milliseconds),
    (("pkt len mean", "packet length mean"), "flow_segment_bytes_mean", real),
    (("pkt len std", "packet length std"), "flow_segment_bytes_std", real),
    (("pkt len min", "min packet length", "packet length min"), "flow_segment_bytes_min", real),
    (("pkt len max", "max packet length", "packet length max"), "flow_segment_bytes_max", real),
]  # fmt: skip
"""Which column, under which of its names, becomes which of ours."""

READING_OF = {name: (column, convert) for names, column, convert in READINGS for name in names}


def flow_table_source(paths: Sequence[str], features: str = "full") -> LogSource:
    """Return the flows of CICFlowMeter tables in the order of their rows; raises InputError for what cannot be read."""
    files = [LineFile(Path(path)) for path in paths]
    rows = (row for file in files for row in as_far_as_readable(file, table_rows(file)))
    numbered = ({"flow_id": number, **row} for number, row in enumerate(rows, start=1))
    return LogSource(files, numbered, features)


def table_rows(file: LineFile) -> Iterator[Row]:
    """Yield the rows of a table; raises InputError with line and column for what does not fit."""
    lines = csv.reader(iter(file))
    try:
        header = [name.strip().lower().replace("_", " ") for name in next(lines, [])]
        for cells in lines:
            if len(cells) == len(header):
                yield table_row(header, cells, file)
            elif cells:
                raise file.error(f"has {len(cells)} cells where the header names {len(header)}")
    except csv.Error as error:
        raise file.error(f"is not a line of CSV: {error}") from error


def table_row(header: Sequence[str], cells: Sequence[str], file: LineFile) -> Row:
    """Return one row in our columns and units."""
    row: Row = {}
    for name, cell in zip(header, cells, strict=True):
        if name not in READING_OF or not cell.strip():
            continue
        column, convert = READING_OF[name]
        try:
            row[column] = convert(cell.strip())
        except (ValueError, OverflowError) as error:
            raise file.error(f"{cell!r} cannot be read", name) from error
    if (started := row.get("started_at")) is not None and (duration := row.get("duration_ms")) is not None:
        row["ended_at"] = min(started + round(duration * 1_000_000), LATEST)
    if orig_ip := row.get("orig_ip"):
        row["ip_version"] = ip_address(orig_ip).version
    return row
