from __future__ import annotations

import json
import random
import time
import tracemalloc
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from findings import SECOND, START, finding
from infraspectre.cortex import Cortex, CortexSettings
from infraspectre.intel.assets import Assets
from infraspectre.records import Asset, Detection, Evidence, Incident


def incidents(detections: list[Detection], chosen: CortexSettings | None = None, size: int = 10_000) -> list[Incident]:
    """Return the latest telling of each incident that no other took over."""
    cortex = Cortex(chosen)
    told = [
        each for start in range(0, len(detections), size) for each in cortex.correlate(detections[start : start + size])
    ]
    latest = {each.incident_id: each for each in told + cortex.finish()}
    return sorted(
        (each for each in latest.values() if each.merged_into is None),
        key=lambda each: (each.first_seen, each.incident_id),
    )


def groups(found: list[Incident]) -> list[list[int]]:
    return sorted(sorted(int(each.detection_id) for each in incident.detections) for incident in found)


def campaigns(found: list[Incident]) -> list[list[int]]:
    """Return the numbers of the detections of each campaign."""
    named: dict[str, list[int]] = {}
    for each in found:
        named.setdefault(each.campaign_id or each.incident_id, []).extend(int(d.detection_id) for d in each.detections)
    return sorted(map(sorted, named.values()))


def test_acts_of_one_actor_within_minutes_are_one_incident_that_says_why() -> None:
    (incident,) = incidents([finding(1, "a", "b"), finding(2, "a", "c", category="ssh_brute_force", at=100.0)])
    assert groups([incident]) == [[1, 2]]
    (join,) = incident.joins
    assert (join.rule, join.shared, join.detection_id) == ("same-actor", "a", f"{2:020}")
    assert join.why == "a acted in both within 100 s"


def test_two_attacks_on_one_server_stay_apart_for_ever() -> None:
    attacks = [
        finding(1, "a", "server", category="ssh_brute_force"),
        finding(2, "b", "server", category="web_attack", at=60.0),
        finding(3, "server", "c2", category="beacon", at=3600.0),
        finding(4, "server", "d", category="lateral_movement", at=7200.0),
    ]
    found = incidents(attacks)
    assert groups(found) == [[1], [2], [3], [4]]
    assert campaigns(found) == [[1], [2, 3, 4]]


def test_a_victim_that_attacks_at_once_continues_the_incident() -> None:
    chain = [
        finding(1, "a", "b"),
        finding(2, "b", "c", category="lateral_movement", at=100),
        finding(3, "c", "d", category="ssh_brute_force", at=200),
    ]
    (incident,) = incidents(chain)
    assert incident.title == "Port scan of b by a, then lateral movement to c by b, then SSH brute force against d by c"
    assert (incident.orig, incident.entities) == (["a", "b", "c"], ["a", "b", "c", "d"])


def test_slow_behaviour_keeps_its_own_span_and_the_campaign_ties_it() -> None:
    intrusion = [
        finding(1, "out", "a", category="ssh_brute_force"),
        finding(2, "a", "c2", category="beacon", at=4000.0, lasting=3000.0),
        finding(3, "a", "b", category="lateral_movement", at=5000.0),
        finding(4, "a", "c2", category="beacon", at=40_000.0, lasting=39_000.0),
        finding(5, "b", "store", category="exfiltration", at=30_000.0, lasting=10.0),
    ]
    intrusion = [msgspec.structs.replace(each, techniques=[]) for each in intrusion]
    found = incidents(intrusion)
    assert [(each.last_seen - each.first_seen) // 10**9 for each in found] == [0, 39_000, 0, 10]
    assert {each.campaign_id for each in found} == {found[0].incident_id}
    steps = [each.tactic for each in found[0].kill_chain]
    assert steps == ["credential-access", "command-and-control", "lateral-movement", "exfiltration"]


def test_one_implant_seen_by_several_detectors_is_one_incident() -> None:
    seen = [
        finding(1, "a", "c2", category="beacon", at=3600.0, lasting=3600.0),
        finding(2, "a", "c2", category="rare_protocol_port", at=3500.0, lasting=3400.0),
        finding(3, "a", "store", category="exfiltration", at=1800.0, lasting=10.0),
    ]
    assert groups(incidents(seen)) == [[1, 2], [3]]


def test_a_link_found_late_joins_two_stories_and_retires_one() -> None:
    cortex = Cortex()
    first = cortex.correlate([finding(1, "a", "b"), finding(2, "c", "d", category="lateral_movement", at=120.0)])
    assert groups(first) == [[1], [2]]
    told = cortex.correlate([finding(3, "a", "c", category="web_attack", at=60.0)])
    retired, merged = sorted(told, key=lambda each: each.merged_into is None)
    assert retired.merged_into == merged.incident_id == f"{1:020}"
    assert groups([merged]) == [[1, 2, 3]]
    assert {(each.rule, each.incident_id) for each in merged.joins} == {
        ("same-actor", None),
        ("victim-acts", f"{2:020}"),
    }


def test_an_incident_that_goes_on_may_be_taken_over_by_an_earlier_one() -> None:
    told = [finding(1, "x", "y"), finding(2, "a", "b", at=10.0), finding(3, "x", "a", at=20.0)]
    assert groups(incidents([*told, finding(4, "a", "b", at=30.0)])) == [[1, 2, 3]]


@pytest.mark.parametrize(("pause", "together"), [(299.0, True), (301.0, False)])
def test_the_window_counts_from_the_last_activity(pause: float, together: bool) -> None:
    found = incidents([finding(1), finding(2, at=pause, category="web_attack")])
    assert (len(found) == 1) is together
    assert len({each.campaign_id or each.incident_id for each in found}) == 1


def test_an_incident_does_not_grow_without_end() -> None:
    acts = [finding(n, "a", f"b{n}", category=("web_attack", "port_scan")[n % 2], at=n * 200.0) for n in range(200)]
    found = incidents(acts)
    assert max(each.last_seen - each.first_seen for each in found) <= 7200 * 10**9
    assert max(len(each.entities) for each in found) <= 16
    assert len({each.campaign_id for each in found}) == 1


def test_a_worm_is_a_campaign_of_readable_incidents() -> None:
    found = incidents([finding(n, f"h{n}", f"h{n + 1}", category="lateral_movement", at=n * 30.0) for n in range(60)])
    assert max(len(each.entities) for each in found) <= 16
    assert len({each.campaign_id for each in found}) == 1


def test_several_hosts_with_one_control_server_are_one_incident() -> None:
    calls = [finding(n, f"10.0.0.{n}", "203.0.113.9", category="beacon", at=n * 60.0) for n in range(1, 6)]
    (incident,) = incidents(calls)
    assert incident.orig == [f"10.0.0.{n}" for n in range(1, 6)]
    assert {each.rule for each in incident.joins} == {"same-control-server"}


def test_an_inside_server_or_a_resolver_is_no_control_server() -> None:
    inside = [finding(n, f"10.0.0.{n}", "10.0.0.53", category="beacon") for n in range(1, 4)]
    tunnels = [finding(n, f"10.0.0.{n}", "203.0.113.53", category="dns_tunnel") for n in range(4, 7)]
    found = incidents([*inside, *tunnels])
    assert groups(found) == campaigns(found) == [[1], [2], [3], [4], [5], [6]]


def test_a_domain_ties_what_a_resolver_hides() -> None:
    shown = [Evidence("", examples=[f"{letter * 30}.t.evil.example"]) for letter in "ab"]
    tunnels = [
        finding(n, f"10.0.0.{n}", "10.0.0.53", category="dns_tunnel", at=n * 20_000.0, evidence=shown[n])
        for n in range(2)
    ]
    found = incidents(tunnels)
    assert groups(found) == [[0], [1]]
    assert campaigns(found) == [[0, 1]]
    assert [each.why for each in found[1].joins] == ["evil.example was seen in both incidents"]


def test_a_far_end_behind_a_resolver_is_named_by_its_domain() -> None:
    names = Evidence("seen", examples=["x1.t.evil.example", "x2.t.evil.example"])
    (incident,) = incidents([finding(1, "a", "10.0.0.53", category="dns_tunnel", evidence=names)])
    assert (incident.entities, incident.entity_count) == (["a", "10.0.0.53", "evil.example"], 2)


def test_a_crowd_that_floods_one_target_is_one_incident_and_no_campaign() -> None:
    found = incidents(
        [
            *(finding(n, f"a{n}", "victim", category="syn_flood") for n in range(500)),
            finding(900, "a1", "x", category="web_attack", at=9000.0),
        ]
    )
    assert [each.detection_count for each in found] == [500, 1]
    assert (len(found[0].entities), found[0].entity_count) == (9, 257)
    assert all(each.campaign_id is None for each in found)


def test_what_a_flood_looks_like_beside_is_part_of_it() -> None:
    tunnels = [finding(n, f"a{n}", "victim", category="icmp_tunnel", at=60.0, lasting=60.0) for n in range(45)]
    flood = finding(900, "a1", "victim", category="icmp_flood", at=30.0, lasting=20.0)
    apart = finding(901, "x", "other", category="icmp_tunnel", at=60.0, lasting=60.0)
    for told in ([*tunnels, flood, apart], [flood, apart, *tunnels]):
        assert sorted(each.detection_count for each in incidents(told)) == [1, 46]


def test_one_activity_may_pause_for_minutes_but_not_for_hours() -> None:
    steps = [finding(n, "a", f"b{n}", category="remote_execution", at=n * 1500.0) for n in range(1, 4)]
    later = finding(9, "a", "b9", category="remote_execution", at=4500.0 + 3700.0)
    assert groups(incidents([*steps, later])) == [[1, 2, 3], [9]]
    poisoned = [finding(n, "a", f"b{n}", category="name_poisoning", at=n * 3000.0) for n in range(1, 5)]
    assert groups(incidents(poisoned)) == [[1, 2, 3, 4]]


FAMILIES = (
    "port_scan", "beacon", "dns_tunnel", "icmp_tunnel", "icmp_flood", "ssh_brute_force", "exfiltration", "web_shell",
    "lateral_movement", "kerberoasting", "name_poisoning", "remote_execution", "crypto_mining",
)  # fmt: skip


@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_merged_nothing_is_told_twice_and_nothing_dangles(seed: int) -> None:
    chance = random.Random(seed)
    hosts = [*(f"10.0.0.{n}" for n in range(6)), "203.0.113.1", "203.0.113.2"]
    found = [
        finding(
            n, chance.choice(hosts), chance.choice([*hosts, None]), category=chance.choice(FAMILIES), at=n * 200.0,
            severity=chance.choice(["low", "medium", "high"]), score=chance.random(),
            lasting=chance.choice([0, 60, n * 100]),
        )
        for n in range(1, 100)
    ]  # fmt: skip
    chosen = CortexSettings(most_stories=chance.choice([3, 4096]), most_kept=chance.choice([20, 65_536]))
    cortex = Cortex(chosen)
    told = [each for one in found for each in cortex.correlate([one])] + cortex.finish()
    latest = {each.incident_id: each for each in told}.values()
    identities = [one.detection_id for each in latest if each.merged_into is None for one in each.detections]
    assert len(identities) == len(set(identities))
    saved = cortex.save()
    keys = {story["key"] for story in saved["stories"]}
    assert keys >= {mention["story"] for _, mentions in saved["nodes"] for mention in mentions}
    assert keys >= {int(member) for campaign in saved["campaigns"].values() for member in campaign["members"]}


@pytest.mark.parametrize("step", [1, -1])
def test_what_lasts_alike_is_found_out_while_it_grows(step: int) -> None:
    reports = [
        finding(1, "a", "dns", category="dns_tunnel", at=300.0, lasting=300.0),
        finding(2, "a", None, category="beacon", at=3600.0, lasting=3600.0),
    ]
    grown = finding(3, "a", "dns", category="dns_tunnel", at=3700.0, lasting=3700.0, score=0.8)
    (incident,) = incidents([*reports[::step], grown])
    assert (incident.detection_count, incident.entities) == (3, ["a", "dns"])


def test_the_way_in_is_an_attack_that_was_over_when_the_host_acted() -> None:
    found = incidents(
        [
            finding(1, "x", "server", category="web_shell", at=1000.0, lasting=500.0),
            finding(2, "y", "server", category="http_brute_force", at=1200.0, lasting=800.0),
            finding(3, "y", "server", category="http_brute_force", at=5000.0, lasting=4600.0, score=0.9),
            finding(4, "server", "c2", category="beacon", at=9000.0, lasting=7000.0),
        ]
    )
    assert [1, 4] in campaigns(found)


def test_a_host_that_acts_everywhere_ties_nothing_more() -> None:
    acts = [finding(n, "gateway", f"b{n}", category="web_attack", at=n * 9000.0) for n in range(25)]
    found = incidents(acts)
    assert sum(each.campaign_id is None for each in found) > 3


def test_weak_findings_add_neither_span_nor_hosts_nor_techniques() -> None:
    weak = finding(1, "a", "z", category="anomaly", severity="low", at=0.0, techniques=("T1071",))
    later = finding(3, "a", "y", category="anomaly", severity="low", at=3000.0, techniques=("T1071",))
    noise, incident = incidents([weak, finding(2, "a", "b", at=200.0), later])
    assert groups([noise, incident]) == [[1], [2, 3]]
    assert (incident.first_seen, incident.last_seen) == (START + 200 * 10**9, START + 200 * 10**9)
    assert (incident.entities, [each.id for each in incident.techniques]) == (["a", "b"], ["T1046"])


def test_weak_detections_do_not_bridge() -> None:
    strong = [finding(1, "a", "gateway"), finding(2, "b", "server")]
    weak = [finding(3, "c", "gateway", severity="low"), finding(4, "c", "server", severity="low")]
    assert groups(incidents([*strong, *weak])) == [[1], [2], [3, 4]]


def test_a_weak_sign_of_the_next_step_counts_more_in_an_intrusion_under_way() -> None:
    shy = finding(3, "a", "b", category="lateral_movement", severity="low", score=0.4, at=9000.0)
    intrusion = [
        finding(1, "x", "a", category="ssh_brute_force", severity="high", techniques=()),
        finding(2, "a", "c2", category="beacon", at=4000.0, techniques=()),
        finding(4, "a", None, category="port_scan", at=5000.0, techniques=()),
    ]
    older = msgspec.structs.replace(shy, first_seen=START + 4500 * SECOND)
    for told in ([shy], [*intrusion, older]):
        assert [
            each.severity for one in incidents(told) for each in one.detections if each.category == shy.category
        ] == ["low"]
    *_, last = incidents([*intrusion, shy])
    assert last.detections[0].severity == "medium"
    assert [each.rule for each in last.joins] == ["campaign-actor", "severity-cascade"]
    assert last.campaign_id == f"{1:020}"


def test_growing_reports_of_one_finding_are_one_however_late() -> None:
    reports = [finding(n, category="beacon", score=n / 10, at=n * 10_000, lasting=n * 10_000 - 5) for n in range(1, 10)]
    (incident,) = incidents(reports)
    assert (len(incident.detections), incident.detection_count, incident.detections[0].score) == (1, 9, 0.9)


def test_repeated_findings_of_low_value_are_counted_once_for_all_who_share_them() -> None:
    noise = [
        finding(n, f"c{n % 200}", "server", category="weak_cipher", severity="informational", at=n) for n in range(2000)
    ]
    (incident,) = incidents(noise)
    assert (incident.detection_count, len(incident.entities)) == (2000, 9)


def test_a_swept_network_and_a_popular_server_glue_nothing() -> None:
    sweep = [finding(n, "scanner", f"10.0.0.{n}") for n in range(200)]
    other = finding(999, "10.0.0.3", "x", category="web_attack", at=10)
    crowd = [finding(2000 + n, f"a{n}", "popular", category="web_attack") for n in range(100)]
    after = finding(3000, "popular", "y", category="lateral_movement", at=60)
    found = incidents([*sweep, other, *crowd, after])
    assert [999] in groups(found)
    assert [999] in campaigns(found)
    assert [3000] in campaigns(found)


def test_news_is_told_at_once_and_the_rest_once_it_is_over() -> None:
    cortex = Cortex()
    assert groups(cortex.correlate([finding(1)])) == [[1]]
    assert cortex.correlate([finding(2, at=10.0)]) == []
    assert groups(cortex.correlate([finding(3, "x", "y", at=400.0)])) == [[1], [3]]
    assert cortex.finish() == []


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_size_of_batches_does_not_matter(size: int) -> None:
    many = list(drawn(random.Random(7), 600))
    assert incidents(many, size=size) == incidents(many)


def drawn(draw: random.Random, count: int) -> list[Detection]:
    hosts = [f"10.0.0.{number}" for number in range(60)] + ["203.0.113.1", "203.0.113.2"]
    kinds = ["port_scan", "beacon", "ssh_brute_force", "lateral_movement", "exfiltration", "dns_tunnel", "syn_flood"]
    return [
        finding(n, *draw.sample(hosts, 2), category=draw.choice(kinds), severity=draw.choice(["low", "medium", "high"]),
                at=n * 37.0, lasting=draw.choice([0.0, 900.0]))
        for n in range(count)
    ]  # fmt: skip


def test_what_is_saved_goes_on_as_if_nothing_had_happened() -> None:
    many = drawn(random.Random(3), 400)
    whole, first, second = Cortex(), Cortex(), Cortex()
    whole.correlate(many[:200])
    first.correlate(many[:200])
    second.load(json.loads(json.dumps(first.save())))
    assert second.save() == first.save()
    assert second.correlate(many[200:]) + second.finish() == whole.correlate(many[200:]) + whole.finish()


HOSTS = st.sampled_from([*(f"10.0.0.{n}" for n in range(8)), "203.0.113.1", "203.0.113.2", None])
KINDS = st.sampled_from(
    ["port_scan", "beacon", "dns_tunnel", "exfiltration", "syn_flood", "ssh_brute_force", "odd thing"]
)
LEVELS = st.sampled_from(["informational", "low", "medium", "critical"])
ACTS = st.tuples(HOSTS, HOSTS, KINDS, LEVELS, st.integers(-90_000, 900_000), st.integers(0, 90_000))
TIGHT = CortexSettings(
    widest_fan=4, most_stories=6, most_kept=20, most_detections=4, most_nodes=12, most_mentions=3, most_nodes_of_story=5
)


@settings(max_examples=60, deadline=None)
@given(st.lists(ACTS, max_size=60), st.sampled_from([None, TIGHT]), st.integers(1, 60))
def test_no_join_explodes(
    acts: list[tuple[str, str, str, str, int, int]], chosen: CortexSettings | None, size: int
) -> None:
    many = [
        finding(n, orig, resp, category=kind, severity=level, at=at, lasting=lasting)  # type: ignore[arg-type]
        for n, (orig, resp, kind, level, at, lasting) in enumerate(acts)
    ]
    cortex, told = Cortex(chosen), []
    for start in range(0, len(many), size):
        told += cortex.correlate(many[start : start + size])
    told += cortex.finish()
    assert cortex.finish() == []
    latest = [each for each in {each.incident_id: each for each in told}.values() if each.merged_into is None]
    assert sum(each.detection_count for each in latest) == len(many)
    for each in latest:
        assert len(each.entities) <= 16
        assert each.first_seen <= each.last_seen
        assert set(each.entities) == {*each.orig, *each.resp}
        assert {step.at for step in each.kill_chain} <= {d.first_seen for d in many}
    again = Cortex(chosen)
    again.load(json.loads(json.dumps(cortex.save())))
    assert again.save() == cortex.save()


@pytest.mark.parametrize(
    "share",
    [
        lambda n: ("actor", f"r{n}"),
        lambda n: (f"a{n}", "target"),
        lambda n: ("actor", "target"),
        lambda n: (f"a{n}", f"shared{n % 10}"),
    ],
)
@pytest.mark.parametrize("category", ["port_scan", "syn_flood", "beacon"])
def test_many_detections_that_share_one_value_stay_bounded(
    share: Callable[[int], tuple[str, str]], category: str
) -> None:
    many = [finding(n, *share(n), category=category, at=n * 0.1) for n in range(1_500)]
    tracemalloc.start()
    begun = time.process_time()
    found = incidents(many, size=100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(each.detection_count for each in found) == 1_500
    assert max(len(each.detections) for each in found) <= 256
    assert time.process_time() - begun < 30
    assert peak < 64 << 20


def test_one_wrong_clock_does_not_end_correlation() -> None:
    found = incidents([finding(1, "x", "y", at=4e9), finding(2), finding(3, category="web_attack", at=9)], size=1)
    assert groups(found) == [[1], [2, 3]]


def test_assets_are_named_and_unknown_ones_left_out() -> None:
    cortex = Cortex(assets=Assets([Asset("10.0.0.5", "db", criticality="high")]))
    (incident,) = cortex.correlate([finding(1)])
    assert incident.assets == {"10.0.0.5": Asset("10.0.0.5", "db", criticality="high")}


def test_detections_without_ends_are_told_too() -> None:
    found = incidents([finding(1, None, "b"), finding(2, "a", None), finding(3, None, None), finding(4, None, None)])
    assert groups(found) == [[1], [2], [3], [4]]
    assert all(each.first_seen == START for each in found)
