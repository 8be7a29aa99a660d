from __future__ import annotations

import random
import time
import tracemalloc

import pytest

from findings import START, finding
from infraspectre.cortex import Cortex, CortexSettings
from infraspectre.intel.assets import Assets
from infraspectre.records import Asset, Detection, Incident


def incidents(detections: list[Detection], settings: CortexSettings | None = None) -> list[Incident]:
    cortex = Cortex(settings)
    return cortex.correlate(detections) + cortex.finish()


def groups(found: list[Incident]) -> list[list[int]]:
    return sorted(sorted(int(each.detection_id) for each in incident.detections) for incident in found)


def test_detections_that_share_an_actor_or_a_target_are_one_incident() -> None:
    by_actor = [finding(1, "a", "b"), finding(2, "a", "c")]
    by_target = [finding(1, "a", "b"), finding(2, "c", "b")]
    apart = [finding(1, "a", "b"), finding(2, "c", "d")]
    assert groups(incidents(by_actor)) == groups(incidents(by_target)) == [[1, 2]]
    assert groups(incidents(apart)) == [[1], [2]]


def test_a_victim_that_attacks_continues_the_story() -> None:
    chain = [
        finding(1, "a", "b"),
        finding(2, "b", "c", category="lateral_movement", at=100),
        finding(3, "c", "x", category="beacon", at=200),
    ]
    (incident,) = incidents(chain)
    assert incident.title == "Port scan of b by a, then lateral movement to c by b, then beacon to x by c"
    assert (incident.orig, incident.entities) == (["a", "b", "c"], ["a", "b", "c", "x"])


def test_a_link_joins_two_stories_into_one() -> None:
    assert groups(incidents([finding(1, "a", "b"), finding(2, "c", "d"), finding(3, "a", "d")])) == [[1, 2, 3]]


@pytest.mark.parametrize(("pause", "together"), [(299.0, True), (301.0, False)])
def test_the_window_counts_from_the_last_activity(pause: float, together: bool) -> None:
    found = incidents([finding(1), finding(2, at=pause, category="web_attack")])
    assert (len(found) == 1) is together


def test_slow_activity_waits_longer() -> None:
    found = incidents([finding(1, category="beacon"), finding(2, at=3000.0, category="dns_tunnel")])
    assert groups(found) == [[1, 2]]


def test_a_detector_may_report_late_what_began_early() -> None:
    late = finding(2, category="beacon", at=3000.0, lasting=2990.0)
    assert groups(incidents([finding(1, category="web_attack"), late])) == [[1, 2]]


def test_incidents_close_in_event_time() -> None:
    cortex = Cortex(CortexSettings(lateness_s=60.0))
    assert cortex.correlate([finding(1)]) == []
    assert cortex.correlate([finding(2, "x", "y", at=350.0)]) == []
    assert groups(cortex.correlate([finding(3, "x", "y", at=361.0, category="web_attack")])) == [[1]]
    assert groups(cortex.finish()) == [[2, 3]]
    assert cortex.finish() == []


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_size_of_batches_does_not_matter(size: int) -> None:
    draw = random.Random(7)
    hosts = [f"10.0.0.{number}" for number in range(60)]
    many = [
        finding(n, *draw.sample(hosts, 2), category=draw.choice(["port_scan", "beacon"]), at=n * 37.0)
        for n in range(600)
    ]
    cortex, found = Cortex(), []
    for start in range(0, len(many), size):
        found += cortex.correlate(many[start : start + size])
    assert groups(found + cortex.finish()) == groups(incidents(many))


def test_a_crowded_target_does_not_glue_strangers() -> None:
    strangers = [finding(n, f"a{n}", "resolver") for n in range(100)]
    found = incidents(strangers, CortexSettings(widest_fan=4))
    assert max(len(each.detections) for each in found) == 5
    assert len(found) == 96


def test_a_crowd_that_floods_one_target_is_one_story() -> None:
    (incident,) = incidents([finding(n, f"a{n}", "victim", category="syn_flood") for n in range(500)])
    assert incident.detection_count == 500


def test_a_resolver_does_not_glue_tunnels_but_the_actor_does() -> None:
    tunnels = [finding(n, f"a{n}", "resolver", category="dns_tunnel") for n in range(2)]
    assert groups(incidents([*tunnels, finding(9, "a1", "x", category="beacon")])) == [[0], [1, 9]]


def test_a_target_that_joins_nothing_is_told_all_the_same() -> None:
    for alone in (finding(1, category="dns_tunnel"), finding(1, severity="low")):
        (incident,) = incidents([alone])
        assert (incident.orig, incident.resp) == (["10.0.0.9"], ["10.0.0.5"])


def test_one_wrong_clock_does_not_end_correlation() -> None:
    cortex = Cortex()
    found = cortex.correlate([finding(1, "x", "y", at=4e9)])
    found += cortex.correlate([finding(2)]) + cortex.correlate([finding(3, category="web_attack", at=9)])
    assert groups(found + cortex.finish()) == [[1], [2, 3]]


def test_the_victims_of_a_sweep_do_not_glue_other_incidents() -> None:
    sweep = [finding(n, "scanner", f"10.0.0.{n}") for n in range(200)]
    other = finding(999, "stranger", "10.0.0.3", category="web_attack", at=10)
    assert [999] in groups(incidents([*sweep, other]))


def test_weak_detections_do_not_bridge() -> None:
    strong = [finding(1, "a", "gateway"), finding(2, "b", "server")]
    weak = [finding(3, "c", "gateway", severity="low"), finding(4, "c", "server", severity="low")]
    assert groups(incidents([*strong, *weak])) == [[1], [2], [3, 4]]


@pytest.mark.parametrize(
    "shared",
    [
        lambda n: ("actor", f"r{n}"),
        lambda n: (f"a{n}", "target"),
        lambda n: ("actor", "target"),
        lambda n: (f"a{n}", f"shared{n % 10}"),
    ],
)
def test_ten_thousand_detections_sharing_one_value_stay_bounded(shared: object) -> None:
    many = [finding(n, *shared(n), category="port_scan") for n in range(10_000)]  # type: ignore[operator]
    tracemalloc.start()
    begun = time.process_time()
    cortex = Cortex()
    found = [incident for start in range(0, len(many), 500) for incident in cortex.correlate(many[start : start + 500])]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    found += cortex.finish()
    assert sum(each.detection_count for each in found) == 10_000
    assert max(len(each.detections) for each in found) <= 256
    assert time.process_time() - begun < 30
    assert peak < 64 << 20


def test_growing_reports_of_one_finding_are_told_once_but_counted() -> None:
    (incident,) = incidents([finding(n, score=n / 10, at=n) for n in range(1, 10)])
    assert (len(incident.detections), incident.detection_count, incident.detections[0].score) == (1, 9, 0.9)


def test_the_identity_and_all_else_is_reproducible() -> None:
    many = [finding(n, f"a{n % 7}", f"b{n % 5}", at=n * 10.0) for n in range(100)]
    shuffled = random.Random(1).sample(many, len(many))
    assert incidents(many) == incidents(shuffled)


def test_a_campaign_bears_the_name_of_its_first_incident() -> None:
    first, second, other = incidents(
        [finding(1, "a", "b"), finding(2, "a", "c", at=9000), finding(3, "z", "y", at=9000)]
    )
    assert first.incident_id == first.campaign_id == second.campaign_id
    assert other.campaign_id is None


def test_assets_are_named_and_unknown_ones_left_out() -> None:
    cortex = Cortex(assets=Assets([Asset("10.0.0.5", "db", criticality="high")]))
    cortex.correlate([finding(1)])
    (incident,) = cortex.finish()
    assert incident.assets == {"10.0.0.5": Asset("10.0.0.5", "db", criticality="high")}


def test_detections_without_ends_are_told_too() -> None:
    found = incidents([finding(1, None, "b"), finding(2, "a", None), finding(3, None, None)])
    assert groups(found) == [[1], [2], [3]]
    assert all(each.first_seen == START for each in found)
