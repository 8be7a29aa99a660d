"""Flow frames for tests: rows with sensible defaults in the columns of a flow batch."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

FIELD_TABLE = Path(__file__).parents[1] / "crates" / "core" / "src" / "app" / "field.rs"
FIELD_ROW = re.compile(r'^    \w+ "(\w+)" (\w+) "', re.MULTILINE)
FIELD_TYPES: dict[str, pl.DataType] = {
    "Text": pl.String(),
    "TextList": pl.List(pl.String),
    "Number": pl.UInt64(),
    "NumberList": pl.List(pl.UInt64),
    "Count": pl.UInt64(),
}

TEXT = "community_id orig_ip resp_ip protocol app_protocol end_reason tunnel orig_mac resp_mac tcp_state"
U8 = "ip_version orig_ttl_min orig_ttl_max resp_ttl_min resp_ttl_max"
U16 = "orig_port resp_port vlan inner_vlan orig_initial_window resp_initial_window orig_mss resp_mss"
U32 = "orig_packets resp_packets orig_data_packets resp_data_packets truncated_packets fragments out_of_order_packets"
U64 = (
    "flow_id first_packet last_packet orig_bytes resp_bytes orig_ip_bytes resp_ip_bytes orig_payload_bytes "
    "resp_payload_bytes orig_retransmitted_bytes resp_retransmitted_bytes orig_gap_bytes resp_gap_bytes ambiguous_bytes"
)
F32 = "handshake_ms syn_rtt_ms"
F64 = "duration_ms bytes_per_s packets_per_s"
SCALARS: tuple[tuple[pl.DataType, str], ...] = (
    (pl.String(), TEXT),
    (pl.UInt8(), U8),
    (pl.UInt16(), U16),
    (pl.UInt32(), U32),
    (pl.UInt64(), U64),
    (pl.Float32(), F32),
    (pl.Float64(), F64),
)
SIDES = ("orig", "resp")
STATISTICS = ("min", "mean", "std", "max")


def schema() -> dict[str, pl.DataType]:
    """Return the columns of a flow batch and their types."""
    columns: dict[str, pl.DataType] = {"started_at": pl.Int64(), "ended_at": pl.Int64()}
    for kind, names in SCALARS:
        columns |= dict.fromkeys(names.split(), kind)
    for flag in ("fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"):
        columns |= {f"{side}_{flag}_packets": pl.UInt32() for side in SIDES}
    for scope in ("flow", *SIDES):
        for statistic in STATISTICS:
            columns[f"{scope}_packet_bytes_{statistic}"] = pl.Float32()
            columns[f"{scope}_segment_bytes_{statistic}"] = pl.Float32()
            columns[f"{scope}_gap_ms_{statistic}"] = pl.Float64()
    columns |= {f"{phase}_ms_{statistic}": pl.Float64() for phase in ("active", "idle") for statistic in STATISTICS}
    columns |= {
        "packet_sizes": pl.List(pl.Int32),
        "packet_gaps_us": pl.List(pl.UInt32),
        "packet_flags": pl.List(pl.UInt8),
    }
    for side in SIDES:
        columns |= {f"{side}_{name}": pl.Float32() for name in ("entropy_bits", "compression_ratio", "ascii_ratio")}
        columns[f"{side}_byte_histogram"] = pl.List(pl.UInt16)
    for scope in ("host", "pair", "socket"):
        for statistic in ("weight", "mean", "std"):
            columns |= {f"{scope}_damped_{statistic}_{half_life}": pl.Float32() for half_life in ("1s", "10s", "100s")}
    return columns | application_schema()


def application_schema() -> dict[str, pl.DataType]:
    """Read the application columns from the core's own table, their one definition."""
    return {name: FIELD_TYPES[kind] for name, kind in FIELD_ROW.findall(FIELD_TABLE.read_text())}


SCHEMA = schema()
SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
"""Event time at which test traffic starts: 2023-11-14 22:13:20 UTC."""


def flow(at_s: float = 0.0, **columns: Any) -> dict[str, Any]:
    """Describe one flow that starts `at_s` seconds after START: an answered TCP exchange unless told otherwise."""
    started_at = START + round(at_s * SECOND)
    duration_ms = columns.get("duration_ms", 100.0)
    row: dict[str, Any] = {
        "orig_ip": "10.0.0.5",
        "orig_port": 50_000,
        "resp_ip": "10.0.0.9",
        "resp_port": 443,
        "protocol": "tcp",
        "ip_version": 4,
        "end_reason": "fin",
        "started_at": started_at,
        "ended_at": started_at + round(duration_ms * 1_000_000),
        "duration_ms": duration_ms,
        "orig_packets": 6,
        "resp_packets": 5,
        "orig_payload_bytes": 400,
        "resp_payload_bytes": 2_000,
    }
    row |= {"tcp_state": "SF"} if columns.get("protocol", "tcp") == "tcp" else {}
    row |= columns
    for side in SIDES:
        payload, packets = row[f"{side}_payload_bytes"], row[f"{side}_packets"]
        row.setdefault(f"{side}_bytes", payload + 20 * packets)
        row.setdefault(f"{side}_ip_bytes", payload + 40 * packets)
        row.setdefault(f"{side}_data_packets", min(packets, -(-payload // 1_400)))
    return row


def unanswered(at_s: float = 0.0, **columns: Any) -> dict[str, Any]:
    """Describe one flow whose first packet was never answered: a lone SYN unless told otherwise."""
    silent: dict[str, Any] = {
        "orig_packets": 1,
        "resp_packets": 0,
        "orig_ack_packets": 0,
        "orig_payload_bytes": 0,
        "resp_payload_bytes": 0,
        "duration_ms": 0.0,
        "end_reason": "idle",
    }
    silent |= {"tcp_state": "S0", "orig_syn_packets": 1} if columns.get("protocol", "tcp") == "tcp" else {}
    return flow(at_s, **(silent | columns))


def frame(rows: Iterable[dict[str, Any]]) -> pl.DataFrame:
    """Make a flow frame with every column from rows in the order given; flow ids and packet numbers count from 1."""
    numbered = []
    packet = 1
    for flow_id, row in enumerate(rows, start=1):
        count = row["orig_packets"] + row["resp_packets"]
        identity = {"flow_id": flow_id, "first_packet": packet, "last_packet": packet + max(count, 1) - 1}
        numbered.append(identity | {"community_id": f"1:{flow_id}"} | row)
        packet += max(count, 1)
    unknown = {name for row in numbered for name in row} - SCHEMA.keys()
    if unknown:
        raise KeyError(f"not columns of a flow batch: {sorted(unknown)}")
    return pl.DataFrame(numbered, schema=SCHEMA)
