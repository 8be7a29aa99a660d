"""Attacks of every family draw their own parameters, stay inside their span, and say truly what they did."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infraspectre.simulation.attacks import ATTACKS
from infraspectre.simulation.capture import Behaviour
from infraspectre.simulation.scenarios.beacon import Rhythm
from infraspectre.simulation.site import Site

BEGIN_S, END_S = 600.0, 4200.0
LAST_SESSION_S = 200.0
"""How long a session that began inside the span may go on after it."""
LARGE = {name for name in ATTACKS if "flood" in name or name in ("amplification", "slow-headers", "slow-read")}
FAMILIES = {
    "scan", "brute-force", "flood", "beacon", "domain-generation", "dns-tunnel", "exfiltration", "lateral-movement",
    "ticket-theft", "web-attack", "mining", "bot", "poisoning", "rare-service",
}  # fmt: skip


def played(name: str, seed: int) -> tuple[Site, list[Behaviour]]:
    site = Site(f"attacks/{seed}", 6)
    return site, ATTACKS[name](site, random.Random(f"{name}/{seed}"), BEGIN_S, END_S)


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_true_to_its_label(name: str, read: Callable[[Path], Any], tmp_path: Path) -> None:
    site, behaviours = played(name, 1)
    result = site.write(tmp_path, name, 1, {})
    seen, labels = read(result.capture), json.loads(result.labels.read_text())
    assert seen.bad_checksums == 0
    assert len(labels["behaviours"]) == len(behaviours) >= 1
    starts = (min(seen.times) - site.capture.started_at) / 1e9, (max(seen.times) - site.capture.started_at) / 1e9
    assert starts[0] >= BEGIN_S - 1 and starts[1] <= END_S + LAST_SESSION_S
    hosts = {host["ip"] for host in labels["hosts"]} | {"10.20.0.1"}
    for behaviour in behaviours:
        assert behaviour.category in FAMILIES and behaviour.attackers and behaviour.parameters
        assert all(re.fullmatch(r"T\d{4}(\.\d{3})?", technique) for technique in behaviour.techniques)
        assert hosts.issuperset(behaviour.attackers + behaviour.control_servers)
        parts = {*behaviour.attackers, *behaviour.victims, *behaviour.control_servers}
        ends = [{flow.orig.ip, flow.resp.ip} for flow in site.capture.flows if flow.behaviour is behaviour]
        assert all(pair & parts for pair in ends)


@pytest.mark.parametrize(
    "name", ["slow-scan", "password-spray", "icmp-beacon", "dns-tunnel", "name-poisoning", "irc-bot"]
)
def test_seeds_draw_other_parameters_and_the_same_seed_the_same(name: str) -> None:
    packets = [list(played(name, seed)[0].capture.packets()) for seed in (1, 1, 2)]
    assert packets[0] == packets[1] != packets[2]


def test_every_family_is_there_and_two_attacks_of_a_kind_fit_into_one_site() -> None:
    site, seen = Site("twice", 6), set[str]()
    for name in [each for each in ATTACKS if each not in LARGE]:
        for seed in range(2):
            seen |= {each.category for each in ATTACKS[name](site, random.Random(f"{name}/{seed}"), BEGIN_S, END_S)}
    assert seen == FAMILIES - {"flood"}


def test_a_rhythm_sleeps_skips_and_keeps_its_mean() -> None:
    rng, day_s = random.Random(1), 86_400.0
    times = list(Rhythm(60, 0.9, 0.5, (8.0, 18.0)).times(rng, 0, 2 * day_s, 0))
    assert all(8 <= at % day_s / 3600 < 18 for at in times)
    assert len(times) == pytest.approx(0.5 * 2 * 10 * 60, rel=0.1)
