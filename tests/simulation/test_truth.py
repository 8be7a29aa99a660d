"""Every scenario tells the truth: checksums, order, counts, labels and determinism."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from infraspectre.simulation import SCENARIOS, simulate

QUICK: dict[str, object] = {"hosts": 4, "duration_s": 60}
SMALL: dict[str, dict[str, object]] = {
    "office": {"hosts": 5, "duration_s": 120, "scale": 0.05},
    "day": {"hosts": 40, "duration_s": 3600, "attacks": 2},
    "port-scan": {**QUICK, "ports": 100},
    "brute-force": {**QUICK, "attempts": 20},
    "beacon": {**QUICK, "period_s": 3},
    "dns-tunnel": {**QUICK, "megabytes": 0.02},
    "domain-generation": QUICK,
    "exfiltration": {**QUICK, "megabytes": 0.5},
    "lateral-movement": {**QUICK, "targets": 3},
    "flood": {**QUICK, "kind": "slow-headers", "requests": 40},
    "syn-flood": {**QUICK, "requests": 600},
    "amplification": {**QUICK, "answers": 200},
    "web-attack": {**QUICK, "requests": 30},
    "mining": QUICK,
    "bot": {**QUICK, "period_s": 5},
    "poisoning": {**QUICK, "kind": "netbios"},
    "rare-service": QUICK,
    "attack": QUICK,
    "campaign": {**QUICK, "duration_s": 120, "megabytes": 0.3},
    "sample": {},
    "bulk": {"packets": 3000},
}
"""Options that keep tests quick; every scenario is here."""
LONGEST_SILENCE_NS = 60 * 10**9
LONG_LIVED = {"day"}
"""Scenarios with connections that stay open for hours, which meters cut into several flows."""
TSHARK = shutil.which("tshark")


def small(scenario: str) -> dict[str, object]:
    return SMALL[scenario]


@pytest.fixture(params=list(SCENARIOS))
def played(request: pytest.FixtureRequest, make: Callable[..., Any]) -> Any:
    return make(request.param, **small(request.param))


def test_packets_are_valid_and_in_order(played: Any) -> None:
    assert played.seen.bad_checksums == 0
    assert played.seen.times == sorted(played.seen.times)
    assert all(60 <= len(frame) <= 1514 for frame in played.seen.frames)
    assert len(played.seen.frames) == played.result.packets == played.labels["packets"]


def test_every_flow_is_listed_with_exact_counts(played: Any) -> None:
    assert len(played.rows) == len(played.seen.flows) == played.result.flows == played.labels["flows"]
    for row in played.rows:
        flow = played.flow_of(row)
        counts = [int(row[name]) for name in ("orig_packets", "resp_packets", "orig_bytes", "resp_bytes")]
        assert flow.first == (row["orig_ip"], int(row["orig_port"]), row["resp_ip"], int(row["resp_port"]))
        assert (flow.counts, min(flow.times), max(flow.times)) == (counts, int(row["started_at"]), int(row["ended_at"]))


def test_no_timeout_can_split_a_flow(played: Any) -> None:
    if played.result.scenario in LONG_LIVED:
        return
    for flow in played.seen.flows.values():
        times = sorted(flow.times)
        gaps = (later - earlier for earlier, later in pairwise(times))
        assert max(gaps, default=0) < LONGEST_SILENCE_NS
        assert times[-1] - times[0] < 30 * LONGEST_SILENCE_NS


def test_a_reset_is_the_last_word(played: Any) -> None:
    for flow in played.seen.flows.values():
        resets = [index for index, (_, flags) in enumerate(flow.flags) if flags & 4]
        assert resets in ([], [len(flow.flags) - 1])


def test_labels_agree_with_flows(played: Any) -> None:
    counts = Counter(row["behaviour"] for row in played.rows)
    local = {host["ip"] for host in played.labels["hosts"]}
    for behaviour in played.labels["behaviours"]:
        assert behaviour["flows"] == counts[behaviour["name"]]
        assert {row["label"] for row in played.rows_of(behaviour["name"])} == {
            "attack" if behaviour["attack"] else "benign"
        }
        assert bool(behaviour["attackers"]) == behaviour["attack"] == bool(behaviour["techniques"])
        assert local.issuperset(behaviour["attackers"] + behaviour["control_servers"])


def test_same_seed_gives_same_bytes(played: Any, tmp_path: Path) -> None:
    again = simulate(played.result.scenario, tmp_path, 0, **small(played.result.scenario))
    for one, other in ((again.capture, played.result.capture), (again.labels, played.result.labels)):
        assert one.read_bytes() == other.read_bytes()
    assert again.flows_file.read_bytes() == played.result.flows_file.read_bytes()


def test_another_seed_gives_another_capture(make: Callable[..., Any]) -> None:
    one, other = (make("port-scan", seed=seed, **SMALL["port-scan"]) for seed in (0, 1))
    assert one.seen.frames != other.seen.frames


@pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")
def test_tshark_finds_nothing_wrong(played: Any) -> None:
    preferences = [f"-o{name}.check_checksum:TRUE" for name in ("ip", "tcp", "udp")]
    wrong = "_ws.malformed || ip.checksum.status==0 || tcp.checksum.status==0 || udp.checksum.status==0"
    command = [str(TSHARK), "-n", "-r", str(played.result.capture), *preferences, "-Y", wrong]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == ""
