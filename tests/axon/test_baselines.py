"""What is usual for a host is learnt hour by hour, and a host that leaves it stands out."""

from __future__ import annotations

from typing import Any

import msgspec
import polars as pl
import pytest

from flow_rows import flow, frame
from infraspectre.axon import Axon
from infraspectre.axon.axon import AxonState
from infraspectre.axon.baselines import MOST_HOSTS
from infraspectre.records import FlowBatch
from infraspectre.soma.unusual_rhythm import UnusualRhythm
from soma_runs import found_in

HOUR = 3_600
NAMES = ("orig_rhythm_deviations", "orig_group_deviations", "orig_hour_sent_bytes", "orig_hour_peers")


def days(hours: int, hosts: int = 6) -> list[dict[str, Any]]:
    """Give hosts that send some kilobytes each hour, by day ten times as much."""
    return [
        flow(
            hour * HOUR + 60 * host + 1, orig_ip=f"10.0.0.{host + 10}", resp_ip="10.0.0.1",
            orig_payload_bytes=(20_000 if 8 <= hour % 24 < 18 else 2_000) + 100 * host,
        )
        for hour in range(hours)
        for host in range(hosts)
    ]  # fmt: skip


def extracted(rows: list[dict[str, Any]], size: int = 10_000, axon: Axon | None = None) -> pl.DataFrame:
    axon = axon or Axon()
    return pl.concat([axon.extract(FlowBatch(part)).frame.select(NAMES) for part in frame(rows).iter_slices(size)])


def test_usual_hours_do_not_stand_out_and_a_great_one_does() -> None:
    rows = days(24 * 8)
    burst = flow(24 * 8 * HOUR + 99, orig_ip="10.0.0.12", resp_ip="10.0.0.1", orig_payload_bytes=900_000_000)
    told = extracted([*rows, burst])
    usual = told[24 * 7 * 6 : -1]["orig_rhythm_deviations"]
    assert (usual < 3.0).all()
    assert told["orig_rhythm_deviations"][-1] > 8.0
    assert told["orig_group_deviations"][-1] > 8.0
    assert told["orig_hour_sent_bytes"][-1] == pytest.approx(9e8)


def test_the_hour_of_the_day_is_known_after_three_days() -> None:
    night = flow(24 * 4 * HOUR + 99, orig_ip="10.0.0.12", resp_ip="10.0.0.1", orig_payload_bytes=20_000)
    midday = flow(24 * 4 * HOUR + 12 * HOUR + 99, orig_ip="10.0.0.12", resp_ip="10.0.0.1", orig_payload_bytes=20_000)
    by_night = extracted([*days(24 * 4), night])["orig_rhythm_deviations"][-1]
    by_day = extracted([*days(24 * 4), midday])["orig_rhythm_deviations"][-1]
    assert by_night > 2.0 > by_day


def test_nothing_is_usual_at_first_nor_outside() -> None:
    told = extracted([*days(1), flow(HOUR + 9, orig_ip="203.0.113.9")])
    assert told["orig_rhythm_deviations"].is_null().all()
    assert told["orig_hour_sent_bytes"][-1] is None


def test_batches_leave_no_trace_and_a_state_goes_on() -> None:
    rows = days(30)
    whole = extracted(rows)
    assert extracted(rows, size=7).equals(whole, null_equal=True)
    first, second = Axon(), Axon()
    extracted(rows[:100], axon=first)
    second.load(msgspec.json.decode(msgspec.json.encode(first.save()), type=AxonState))
    rest = extracted(rows[100:], axon=first)
    assert extracted(rows[100:], axon=second).equals(rest, null_equal=True)


def test_memory_is_bounded() -> None:
    rows = [flow(n / 10, orig_ip=f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}") for n in range(MOST_HOSTS + 500)]
    axon = Axon()
    extracted(rows, axon=axon)
    assert len(axon.save().baselines.now) == MOST_HOSTS


def test_a_broken_rhythm_is_a_hint() -> None:
    burst = flow(24 * 8 * HOUR + 99, orig_ip="10.0.0.12", resp_ip="10.0.0.1", orig_payload_bytes=900_000_000)
    flows = frame([*days(24 * 8), burst])
    flows = flows.hstack(Axon().extract(FlowBatch(flows)).frame.select(NAMES))
    found = found_in(UnusualRhythm, flows)
    assert [(each.category, each.severity, each.orig) for each in found] == [("unusual_rhythm", "low", "10.0.0.12")]
