"""Axon's context is right, causal, independent of batch boundaries, saved whole and bounded."""

from __future__ import annotations

import msgspec
import polars as pl
import pytest

from flow_rows import SCHEMA, flow, frame, unanswered
from infraspectre.axon import Axon, AxonState
from infraspectre.axon.axon import CONTEXT
from infraspectre.records import FlowBatch


def rows() -> pl.DataFrame:
    flows = [
        flow(at, orig_ip=f"10.0.0.{at % 5}", resp_ip=f"192.0.2.{at % 7}", resp_port=(80, 443, 53)[at % 3])
        for at in range(200)
    ]
    flows += [unanswered(200 + at / 10, orig_ip="10.0.0.66", resp_port=at) for at in range(100)]
    return frame(flows)


def context(flows: pl.DataFrame, size: int) -> pl.DataFrame:
    axon = Axon()
    return pl.concat([axon.extract(FlowBatch(part)).frame for part in flows.iter_slices(size)])


def test_columns_are_those_of_the_table() -> None:
    assert context(rows(), 1_000).columns == [feature.name for feature in CONTEXT]


def test_a_scan_shows_in_the_window_of_its_host() -> None:
    last = context(rows(), 1_000).row(-1, named=True)
    assert last["orig_host_ports_60s"] == 100
    assert last["orig_host_peers_60s"] == 1
    assert last["orig_host_failed_share_60s"] == 1.0
    assert last["resp_host_peers_600s"] == 1
    assert last["is_new_destination"] == 0


def test_rarity_is_the_surprisal_of_the_past() -> None:
    found = context(frame([flow(0), flow(1), flow(2, resp_port=22)]), 1_000)
    assert found["resp_port_rarity_bits"].to_list() == pytest.approx([1.0, 0.585, 2.0], abs=1e-3)
    assert found["is_new_destination"].to_list() == [1, 0, 0]


@pytest.mark.parametrize("size", [1, 17, 100])
def test_batch_boundaries_do_not_matter(size: int) -> None:
    assert context(rows(), size).equals(context(rows(), 1_000))


def test_a_row_knows_nothing_of_later_rows() -> None:
    assert context(rows()[:150], 1_000).equals(context(rows(), 1_000)[:150])


def test_saved_state_survives_encoding() -> None:
    flows, axon, later = rows(), Axon(), Axon()
    axon.extract(FlowBatch(flows[:150]))
    later.load(msgspec.msgpack.decode(msgspec.msgpack.encode(axon.save()), type=AxonState))
    assert later.extract(FlowBatch(flows[150:])).frame.equals(context(flows, 1_000)[150:])


def test_unknown_values_and_empty_batches_pass() -> None:
    empty = pl.DataFrame(schema=SCHEMA)
    assert len(Axon().extract(FlowBatch(empty))) == 0
    unknown = frame([flow()]).with_columns(
        pl.lit(None).cast(SCHEMA[name]).alias(name) for name in SCHEMA if name != "flow_id"
    )
    assert len(Axon().extract(FlowBatch(unknown))) == 1


def test_bytes_that_no_flow_has_are_no_error_and_no_sum_runs_over() -> None:
    flows = frame(flow(at, orig_payload_bytes=2**63 + at, resp_payload_bytes=2**63) for at in range(9))
    assert context(flows, 4)["orig_hour_sent_bytes"].to_list() == pytest.approx([n * 2.0**48 for n in range(1, 10)])
