"""Flow records hold every packet of every capture, and agree with those of Zeek, Arkime and nDPI."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
core = pytest.importorskip("infraspectre._core", reason="the core is not built")
agreement = pytest.importorskip("benches.agreement", reason="benches/ is not there")

CAPTURES = (".pcap", ".pcapng", ".cap", ".pcap.gz", ".pcapng.gz")
FLOOR = 0.99


def packets_in_flows(reader: Any) -> int:
    """Add the packets of all flows up."""
    count = pl.col("orig_packets").cast(pl.UInt64).sum() + pl.col("resp_packets").cast(pl.UInt64).sum()
    return sum(pl.DataFrame(batch).select(count).item() for batch in reader)


def test_every_packet_is_in_a_flow_or_counted_otherwise(data: Path) -> None:
    captures = [path for path in sorted((data / "net").rglob("*")) if path.name.lower().endswith(CAPTURES)]
    assert captures
    for path in captures:
        reader = core.FlowReader([str(path)], features="base", read_ahead=False)
        in_flows = packets_in_flows(reader)
        summary = reader.summary()
        elsewhere = sum(summary["without_flow"].values()) + sum(summary["malformed"].values())
        assert summary["packets"] == in_flows + elsewhere, path


@pytest.mark.parametrize(("peer", "flows"), [("zeek", 200), ("arkime", 200), ("ndpi", 2500)])
def test_flows_agree_with_those_of_peers(data: Path, peer: str, flows: int) -> None:
    summary = agreement.measure(data / "net", {peer})[peer]
    assert summary["flows"] >= flows
    assert summary["ratio"] >= FLOOR, summary["differences"][:10]
