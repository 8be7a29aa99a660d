"""A day is alive, lets attacks hide in it, and needs no more memory however long it is."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from infraspectre.simulation import capture as captures
from infraspectre.simulation import simulate
from infraspectre.simulation.activities import names
from infraspectre.simulation.attacks import ATTACKS
from infraspectre.simulation.capture import Behaviour, Capture
from infraspectre.simulation.scenarios import day, intrusion
from infraspectre.simulation.scenarios.calendar import DAY_S, HOUR_S, Calendar
from infraspectre.simulation.site import EPHEMERAL_PORTS, FIRST_FREE_PORT, Site

Make = Callable[..., Any]
QUICK: dict[str, Any] = {"hosts": 40, "duration_s": 3600, "attacks": 2}
INSIDE = ("10.", "172.", "192.168.")


@pytest.fixture(scope="module")
def hour(make: Make) -> Any:
    return make("day", **QUICK)


def test_it_has_as_many_hosts_as_asked_for(hour: Any) -> None:
    inside = {host["ip"] for host in hour.labels["hosts"] if host["ip"].startswith(INSIDE)}
    assert len(inside) == QUICK["hosts"]
    assert {"authorised scanner", "monitoring", "software deployment"} <= {
        each["role"] for each in hour.labels["hosts"]
    }
    assert len({ip.rpartition(".")[0] for ip in inside}) == 4


def test_harmless_things_that_look_like_attacks_are_named_and_benign(hour: Any) -> None:
    benign = {each["name"] for each in hour.labels["behaviours"] if not each["attack"]}
    assert {"web browsing", "telemetry", "push connection", "monitoring", "device telemetry", "mail lookups"} <= benign
    assert len(benign) > 25


def test_nothing_comes_after_its_end(hour: Any) -> None:
    assert hour.seen.times[-1] - hour.seen.times[0] <= 3600 * 10**9
    assert all(row["ended_at"] != "0" for row in hour.rows)


def test_a_day_without_attacks_is_benign(make: Make) -> None:
    made = make("day", hosts=40, duration_s=3600, attacks=0, seed=1)
    assert made.attacks() == []


@pytest.mark.parametrize("options", [{"hosts": 39}, {"duration_s": 60.0}, {"hosts": 301}, {"attacks": -1}])
def test_days_too_small_or_too_large_are_refused(options: dict[str, Any], tmp_path: Any) -> None:
    with pytest.raises(ValueError, match=r"at least|must be"):
        simulate("day", tmp_path, 0, **options)


def test_days_begin_at_different_times() -> None:
    drawn = [Calendar.drawn(random.Random(seed), DAY_S) for seed in range(30)]
    assert len({each.started_at_s % 86_400 for each in drawn}) > 20
    assert len({each.started_at_s // 86_400 for each in drawn}) > 20


def test_people_work_by_day_and_hardly_at_night() -> None:
    calendar = Calendar(day_of("2026-01-05"), DAY_S, 0.0)
    spans = [span for seed in range(300) for span in calendar.presence(random.Random(seed))]
    at_work, at_lunch, at_night = (share_present(spans, hour) for hour in (10.5, 12.7, 3.0))
    assert at_work > 230 and at_night < 10 and at_night < at_lunch < at_work - 50


def day_of(date: str) -> int:
    from datetime import datetime

    return int(datetime.fromisoformat(f"{date}T00:00:00+00:00").timestamp())


def share_present(spans: list[tuple[float, float]], hour: float) -> int:
    return sum(begin <= hour * HOUR_S < end for begin, end in spans)


def test_people_stay_at_home_at_the_weekend() -> None:
    saturday = Calendar(day_of("2026-01-10"), DAY_S, 0.0)
    spans = [span for seed in range(300) for span in saturday.presence(random.Random(seed))]
    assert share_present(spans, 10.5) < 40


@pytest.mark.parametrize("seed", range(4))
def test_an_intrusion_goes_step_by_step_from_hosts_that_it_holds(seed: int) -> None:
    scene = day._scene(str(seed), 40, 4 * HOUR_S)
    stages = intrusion.intrude(scene.site, random.Random(seed), 0.0, 4 * HOUR_S)
    assert len({stage.campaign for stage in stages}) == 1 and stages[0].campaign
    assert len(stages) >= 5
    firsts = [first_at(scene.site.capture, stage) for stage in stages]
    assert sum(later > earlier for earlier, later in pairwise(firsts)) >= len(firsts) - 2
    held = {ip for stage in stages for ip in stage.victims} | set(stages[0].attackers)
    assert all(set(stage.attackers) <= held for stage in stages[1:])


def first_at(capture: Capture, behaviour: Behaviour) -> int:
    return min(flow.started_at for flow in capture.flows if flow.behaviour is behaviour)


def test_frames_laid_aside_come_back_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(7)
    frames = [(rng.randrange(50), rng.randbytes(rng.randrange(1, 40))) for _ in range(1_000)]
    held = list(collected(frames).packets())
    monkeypatch.setattr(captures, "MOST_FRAMES_HELD", 64)
    laid_aside = collected(frames)
    assert list(laid_aside.packets()) == held == list(laid_aside.packets())
    assert len(laid_aside._frames) < 64


def collected(frames: list[tuple[int, bytes]]) -> Capture:
    capture = Capture(0)
    for at, frame in frames:
        capture.record(at / 10, frame)
    return capture


def test_the_name_server_asks_for_what_it_does_not_know_once_an_hour() -> None:
    site = Site("names", 2)
    site.upstream = site.outside("ns.provider.example")
    with site.behaving(site.behaviour("names")):
        for name, at in (("a.example", 1.0), ("a.example", 9.0), ("a.example", 4_000.0), ("b.corp.example", 1.0)):
            names.miss(site, site.clients[0], name, at)
    asked = [flow for flow in site.capture.flows if flow.orig is site.dns]
    assert len(asked) == 2 and {flow.resp.name for flow in asked} == {"ns.provider.example"}


def test_other_ports_are_taken_when_the_usual_ones_are_used_up() -> None:
    site = Site("ports", 2)
    ends = site.clients[0], site.dns
    with site.behaving(site.behaviour("names")):
        for port in EPHEMERAL_PORTS:
            site.capture.open(*ends, "udp", port, 53)
        assert site.port(*ends, "udp", 53) == FIRST_FREE_PORT


def test_every_attack_belongs_to_a_family_of_which_some_are_played() -> None:
    families = day._families(DAY_S)
    assert sum(map(len, families)) == len(ATTACKS) + 1
    assert len(families) == 15
