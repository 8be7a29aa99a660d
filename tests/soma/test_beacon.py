"""Beacons are found under jitter; people, shared services and periodic protocols are not beacons."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from flow_rows import flow, frame, unanswered
from infraspectre.axon import Axon
from infraspectre.records import Detection, FlowBatch
from infraspectre.soma import Soma
from infraspectre.soma.beacon import Beacon, BeaconSettings
from soma_runs import found_in

SIZES = (300, 900, 2_100, 400, 1_500)
"""Bytes that a person's requests send."""


def questions(name: Callable[[int], str], **columns: Any) -> list[dict[str, Any]]:
    """Ask the resolver for a name each minute or so."""
    told: dict[str, Any] = {"resp_ip": "10.0.0.2", "resp_port": 53, "protocol": "udp", "app_protocol": "dns"} | columns
    rows = calls(60.0, 0.3, **told)
    return [row | {"dns_queries": [name(n)], "dns_query_types": ["A"]} for n, row in enumerate(rows)]


def in_context(rows: list[dict[str, Any]]) -> list[Detection]:
    """Return what is found where the context of flows is known."""
    flows = FlowBatch(frame(sorted(rows, key=lambda row: row["ended_at"])))
    soma = Soma([Beacon()])
    return soma.detect(flows, Axon().extract(flows)) + soma.finish()


def calls(period_s: float, jitter: float, count: int = 60, **columns: Any) -> list[dict[str, Any]]:
    source, at = random.Random(11), 0.0
    rows = []
    for number in range(count):
        rows.append(flow(at, **({"resp_ip": "203.0.113.9", "orig_port": 50_000 + number} | columns)))
        at += period_s * (1 + source.uniform(-jitter, jitter))
    return rows


@pytest.mark.parametrize("jitter", [0.0, 0.1, 0.3, 0.5, 0.95])
@pytest.mark.parametrize("period_s", [5.0, 60.0, 3_600.0])
def test_a_beacon_is_found_under_jitter(period_s: float, jitter: float) -> None:
    found = found_in(Beacon, frame(calls(period_s, jitter, app_protocol="tls")))[-1]
    assert (found.category, found.orig, found.resp) == ("beacon", "10.0.0.5", "203.0.113.9")
    assert found.evidence.measures["period_s"] == pytest.approx(period_s, rel=0.35)
    assert [each.id for each in found.techniques] == ["T1071.001", "T1573.002"]


def test_gaps_shaken_on_purpose_are_more_suspicious() -> None:
    scores = [found_in(Beacon, frame(calls(60.0, jitter)))[-1].score for jitter in (0.0, 0.3, 0.9)]
    assert scores == sorted(set(scores))


def test_a_named_service_that_calls_like_clockwork_is_no_finding_of_weight() -> None:
    polls = calls(60.0, 0.02, app_protocol="tls", tls_server_name="status.vendor.example")
    assert found_in(Beacon, frame(polls))[-1].score < 0.5


@pytest.mark.parametrize("jitter", [0.3, 0.95])
def test_a_period_of_six_hours_is_found_by_its_equal_sizes(jitter: float) -> None:
    found = found_in(Beacon, frame(calls(21_600.0, 0.2, count=5, app_protocol="tls")))[-1]
    assert found.score >= 0.5
    people = [row | {"orig_payload_bytes": size} for row, size in zip(calls(21_600.0, jitter, 5), SIZES, strict=True)]
    assert found_in(Beacon, frame(people)) == []


def test_parts_of_one_long_connection_are_no_calls() -> None:
    parts = calls(1_800.0, 0.0, tcp_state="OTH", app_protocol="tls")
    assert found_in(Beacon, frame(parts)) == []


def test_questions_that_carry_data_are_a_beacon_through_the_resolver() -> None:
    found = found_in(Beacon, frame(questions(lambda n: f"{n * 7_919:08x}.c2.evil.example")))[-1]
    assert (found.resp, found.score >= 0.5) == (None, True)
    assert [each.id for each in found.techniques] == ["T1071.004"]
    assert "evil.example" in found.evidence.summary


def test_names_asked_again_and_block_lists_are_no_beacons() -> None:
    again = questions(lambda _: "www.vendor.example")
    lists = questions(lambda n: f"{n}.2.0.192.zen.blocks.example")
    assert found_in(Beacon, frame(again)) == found_in(Beacon, frame(lists)) == []


def test_a_resolver_does_not_speak_for_itself() -> None:
    clients = [
        flow(
            at, orig_ip=f"10.0.0.{at + 20}", resp_ip="10.0.0.2", resp_port=53, protocol="udp", dns_queries=["a.example"]
        )
        for at in (0, 1)
    ]
    forwarded = questions(lambda n: f"{n * 7_919:08x}.c2.evil.example", orig_ip="10.0.0.2", resp_ip="203.0.113.53")
    assert found_in(Beacon, frame([*clients, *forwarded])) == []


def test_pings_that_carry_data_are_a_beacon_and_pings_of_the_usual_size_are_not() -> None:
    echo: dict[str, Any] = {"protocol": "icmp", "orig_port": 8, "resp_port": 0, "orig_packets": 1}
    odd, plain = (found_in(Beacon, frame(calls(60.0, 0.1, **echo, orig_payload_bytes=size)))[-1] for size in (200, 64))
    assert odd.score >= 0.5 > plain.score
    assert [each.id for each in odd.techniques] == ["T1095"]


def test_context_makes_rare_software_guilty_and_popular_domains_innocent() -> None:
    rare: dict[str, Any] = {"app_protocol": "tls", "tls_server_name": "api.new.example", "tls_ja3": "d" * 32}
    popular: dict[str, Any] = {"app_protocol": "tls", "tls_server_name": "push.known.example", "tls_ja3": "b" * 32}
    readers = [
        flow(n, orig_ip=f"10.0.1.{n}", resp_ip=f"192.0.2.{n}", **popular | {"tls_server_name": "www.known.example"})
        for n in range(20)
    ]
    own = [flow(n, resp_ip=f"192.0.2.{100 + n}", tls_ja3="b" * 32) for n in range(20)]
    called = calls(60.0, 0.1, **rare) + calls(60.0, 0.1, resp_ip="203.0.113.8", **popular)
    found = in_context(readers + own + called)
    assert {each.resp for each in found} == {"203.0.113.9"}
    assert found[-1].evidence.measures["own_software"] > 0


def test_people_are_not_periodic() -> None:
    source, at, rows = random.Random(5), 0.0, []
    for _ in range(300):
        rows.append(flow(at, resp_ip="203.0.113.9", orig_payload_bytes=round(400 * source.lognormvariate(0, 0.6))))
        at += source.lognormvariate(2.0, 1.5)
    assert found_in(Beacon, frame(rows)) == []


def test_shared_destinations_and_periodic_protocols_are_quiet() -> None:
    shared = [row for host in range(5) for row in calls(60.0, 0.0, orig_ip=f"10.0.0.{host}")]
    time = calls(64.0, 0.0, resp_ip="203.0.113.123", resp_port=123, protocol="udp")
    group = calls(30.0, 0.0, resp_ip="239.255.255.250", resp_port=4_000, protocol="udp")
    assert found_in(Beacon, frame(sorted(shared + time + group, key=lambda row: row["ended_at"]))) == []


def test_a_scan_does_not_flush_a_slow_beacon_from_memory() -> None:
    scan = [
        unanswered(600.0 * hour + step, resp_ip=f"198.18.{hour}.{step}") for hour in range(24) for step in range(200)
    ]
    rows = sorted(calls(600.0, 0.0, count=24) + scan, key=lambda row: row["ended_at"])
    found = found_in(lambda: Beacon(BeaconSettings(capacity=64)), frame(rows))
    assert {each.resp for each in found} == {"203.0.113.9"}


def test_a_lasting_association_kept_alive_is_less_suspicious_than_calls_anew() -> None:
    anew, kept = (found_in(Beacon, frame(calls(600.0, 0.0, **ports)))[-1] for ports in ({}, {"orig_port": 2_011}))
    assert kept.score < anew.score - 0.09


def test_the_callers_that_are_told_were_counted() -> None:
    pair = [row for host in (1, 2) for row in calls(60.0, 0.1, orig_ip=f"10.0.0.{host}")]
    found = found_in(Beacon, frame(sorted(pair, key=lambda row: row["ended_at"])))[-1]
    assert found.evidence.measures["callers"] == 2
    assert "2 hosts called it" in found.evidence.summary


def test_a_name_with_several_addresses_is_one_place() -> None:
    source = random.Random(5)
    polls = calls(60.0, 0.0, app_protocol="tls", tls_server_name="api.new.example")
    found = found_in(Beacon, frame([row | {"resp_ip": f"192.0.2.{source.randrange(4)}"} for row in polls]))[-1]
    assert found.evidence.measures["calls"] == len(polls)
    assert "shaken" not in found.evidence.measures


def test_resolvers_that_repeat_a_question_are_no_callers() -> None:
    asked = questions(lambda n: f"x{n:06d}.evil.example")
    others = [row | {"orig_ip": "10.0.0.6"} for row in questions(lambda _: "www.known.example")]
    repeated = [row | {"orig_ip": "10.0.0.2", "resp_ip": "192.0.2.53"} for row in [*asked, *others]]
    found = [each for each in in_context(asked + others + repeated) if "evil.example" in each.evidence.summary]
    assert {each.evidence.measures["callers"] for each in found} == {1}


def test_remote_desktops_sign_their_own_certificates() -> None:
    own: dict[str, Any] = {"tls_certificate_subjects": ["CN=desk"], "tls_certificate_issuers": ["CN=desk"]}
    web, desk = (found_in(Beacon, frame(calls(60.0, 0.0, app_protocol=app, **own)))[-1] for app in ("tls", "rdp"))
    assert "self_signed" in web.evidence.measures
    assert "self_signed" not in desk.evidence.measures


OLD = "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 5.1)"
NEW = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0.0.0 Safari/537.36"


def asked_of_web(agent: str, referrer: str = "") -> dict[str, float]:
    """Return what speaks for and against guilt of calls over HTTP."""
    named: dict[str, Any] = {"app_protocol": "http", "resp_port": 80, "http_hosts": ["status.vendor.example"]}
    rows = calls(60.0, 0.02, http_user_agents=[agent], http_referrers=[referrer], **named)
    return found_in(Beacon, frame(rows))[-1].evidence.measures


@pytest.mark.parametrize(
    ("agent", "referrer", "oddity"),
    [(OLD, "", "outdated"), (NEW, "", "posing"), (NEW, "http://status.vendor.example/", ""), ("updater/2.1", "", "")],
)
def test_what_says_to_be_a_browser_and_behaves_as_none_is_odd(agent: str, referrer: str, oddity: str) -> None:
    assert asked_of_web(agent, referrer).keys() & {"outdated", "posing"} == {oddity} - {""}


def test_calls_that_carry_data_off_say_so() -> None:
    rows = calls(300.0, 0.5, app_protocol="tls", orig_payload_bytes=9_000, resp_payload_bytes=3_500)
    assert {"T1041", "T1048.002"} <= {each.id for each in found_in(Beacon, frame(rows))[-1].techniques}


def test_a_site_watches_its_own_names() -> None:
    probes = questions(lambda n: f"probe-{n * 7919}.health.corp.example")
    users = [
        flow(n, orig_ip=f"10.0.0.{n}", resp_ip="10.0.0.3", resp_port=88, kerberos_clients=["user@CORP.EXAMPLE"])
        for n in range(20, 24)
    ]
    assert found_in(Beacon, frame(probes))
    assert found_in(Beacon, frame([*users, *probes])) == []


def test_a_server_that_calls_few_is_no_device() -> None:
    polls = calls(60.0, 0.0, app_protocol="tls", tls_server_name="status.vendor.example")
    clients = [flow(n, orig_ip=f"10.0.0.{n}", resp_ip="10.0.0.5", resp_port=445) for n in range(20, 26)]
    device, server = (in_context(rows)[-1].evidence.measures for rows in (polls, [*clients, *polls]))
    assert ("devoted" in device, "devoted" in server) == (True, False)


def test_a_resolver_that_passes_questions_on_is_no_further_caller() -> None:
    told: dict[str, Any] = {"protocol": "udp", "resp_port": 53, "app_protocol": "dns"}
    asked = [
        row | {"dns_queries": [f"{n * 7919:08x}.evil.example"], "dns_query_types": ["TXT"]}
        for n, row in enumerate(calls(1_800.0, 0.1, 9, **told | {"resp_ip": "10.0.0.2"}))
    ]
    passed_on = [row | {"orig_ip": "10.0.0.2", "resp_ip": "198.51.100.53"} for row in asked]
    others = [
        flow(n, orig_ip=f"10.0.0.{n}", dns_queries=["a.example"], **told | {"resp_ip": "10.0.0.2"}) for n in (6, 7)
    ]
    found = in_context([*others, *asked, *passed_on])
    assert [(each.orig, each.evidence.measures["callers"]) for each in found][-1] == ("10.0.0.5", 1)


def test_a_web_server_at_a_further_port_is_odd_outside_alone() -> None:
    found = [
        found_in(Beacon, frame(calls(60.0, 0.0, app_protocol="http", resp_port=8_080, resp_ip=resp)))[-1]
        for resp in ("203.0.113.9", "10.0.0.9")
    ]
    assert ["odd_port" in each.evidence.measures for each in found] == [True, False]


def test_a_beacon_that_ended_soon_is_told_in_the_silence_behind_it() -> None:
    rows = calls(30.0, 0.1, count=40, app_protocol="tls")
    beacon, whole = Beacon(), found_in(Beacon, frame(rows))
    soma = Soma([beacon])
    assert soma.detect(FlowBatch(frame(rows))) + soma.settle() == []
    due = soma.due()
    assert due is not None
    assert due == rows[0]["started_at"] + int(BeaconSettings().patience_s * 1e9)
    assert soma.turn(due - 1) == []
    assert soma.turn(due) == whole
    assert soma.due() is None
