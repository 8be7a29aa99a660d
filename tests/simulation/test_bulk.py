"""Bulk captures: sizes asked for, and shapes promised."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from infraspectre.simulation import simulate


@pytest.mark.parametrize(("kind", "spare"), [("mixed", 2000), ("scan", 0), ("elephant", 3)])
def test_bulk_is_exact(make: Callable[..., Any], kind: str, spare: int) -> None:
    made = make("bulk", kind=kind, packets=5000)
    assert 5000 <= made.result.packets <= 5000 + spare
    assert made.seen.bad_checksums == 0
    assert made.seen.times == sorted(made.seen.times)
    assert len(made.rows) == len(made.seen.flows)
    for row in made.rows:
        assert made.flow_of(row).counts == [
            int(row[name]) for name in ("orig_packets", "resp_packets", "orig_bytes", "resp_bytes")
        ]


def test_a_scan_is_one_packet_per_flow(make: Callable[..., Any]) -> None:
    made = make("bulk", kind="scan", packets=5000)
    assert made.result.flows == made.result.packets == 5000
    assert len({row["community_id"] for row in made.rows}) == 5000


def test_an_elephant_is_one_gapless_flow(make: Callable[..., Any]) -> None:
    made = make("bulk", kind="elephant", packets=5000)
    assert made.result.flows == 1
    sequence = [
        int.from_bytes(f[38:42], "big")
        for f in made.seen.frames
        if f[36:38] == (9000).to_bytes(2, "big") and len(f) > 100
    ]
    steps = {(later - earlier) & 0xFFFFFFFF for earlier, later in pairwise(sequence)}
    assert steps == {1460}


def test_waves_keep_memory_and_time_bounded(tmp_path: Path) -> None:
    started = time.process_time()
    result = simulate("bulk", tmp_path, kind="mixed", packets=120_000)
    assert result.packets >= 120_000
    assert time.process_time() - started < 10
