"""Tunnels are found in many flows or in one; browsing, reverse lookups and virus scanners are not tunnels."""

from __future__ import annotations

import random
from typing import Any

from flow_rows import SECOND, START, flow, frame
from infraspectre.axon import Axon
from infraspectre.records import FlowBatch
from infraspectre.soma import Soma
from infraspectre.soma.dns_tunnel import DnsTunnel
from soma_runs import found_in


def asked(at: float, names: list[str], kind: str = "A", **columns: Any) -> dict[str, Any]:
    """Describe a DNS exchange."""
    listed = {"dns_queries": names[:32], "dns_query_types": [kind] * len(names[:32]), "dns_query_count": len(names)}
    return flow(at, **({"protocol": "udp", "resp_port": 53, "app_protocol": "dns"} | listed | columns))


def encoded(source: random.Random, length: int = 40) -> str:
    return "".join(source.choice("abcdefghijklmnopqrstuvwxyz234567") for _ in range(length))


def test_a_tunnel_over_many_flows_is_found() -> None:
    source = random.Random(2)
    flows = [asked(n, [f"{encoded(source)}.t.evil.example"], "TXT") for n in range(200)]
    found = found_in(DnsTunnel, frame(flows))[-1]
    assert (found.category, found.orig, found.resp) == ("dns_tunnel", "10.0.0.5", None)
    assert found.evidence.measures["distinct_names"] == 200
    assert "evil.example" in found.evidence.summary


def test_a_tunnel_within_one_flow_is_found_and_counted_whole() -> None:
    source = random.Random(2)
    found = found_in(DnsTunnel, frame([asked(0, [f"{encoded(source)}.evil.co.uk" for _ in range(5_000)], "NULL")]))[-1]
    assert found.evidence.measures["distinct_names"] == 5_000
    assert found.severity in ("high", "critical")


def test_ordinary_names_are_quiet() -> None:
    source = random.Random(2)
    browsing = [asked(n, [f"host{n % 90}.shop.example", "www.news.example"]) for n in range(300)]
    reverse = [asked(n, [f"{n % 250}.{n % 7}.168.192.in-addr.arpa"], "PTR") for n in range(300)]
    scanner = [asked(n, [f"{encoded(source)}.avqs.mcafee.com"]) for n in range(300)]
    repeated = [asked(n, ["very-long-service-name-of-some-cluster-7f3a9b.cluster.example"]) for n in range(300)]
    assert found_in(DnsTunnel, frame(browsing + reverse + scanner + repeated)) == []


def test_odd_names_pass() -> None:
    odd = ["", ".", "a", "..", "x" * 1_000, "\\x00.example", "ü.example.com"]
    assert found_in(DnsTunnel, frame([asked(0, odd), flow(1, dns_queries=["a.b.c"], dns_query_types=None)])) == []


def test_flows_are_counted_once_however_much_they_ask() -> None:
    source = random.Random(2)
    flows = [asked(n, [f"{encoded(source)}.evil.example" for _ in range(8)], "TXT") for n in range(20)]
    found = found_in(DnsTunnel, frame(flows))[-1]
    assert found.evidence.measures["flows"] == 20
    assert found.flow_ids == list(range(1, 21))
    assert found.evidence.measures["distinct_names"] == 160


def test_half_a_byte_a_second_is_found_within_half_an_hour() -> None:
    source = random.Random(4)
    slow = [asked(110.0 * n, [f"{encoded(source, 88)}.evil.example"], "TXT") for n in range(60)]
    others = [flow(10.0 * n, resp_ip=f"192.0.2.{n % 99}") for n in range(600)]
    first = found_in(DnsTunnel, frame(sorted(slow + others, key=lambda row: row["ended_at"])))[0]
    assert first.score >= 0.5
    assert (first.at - START) / SECOND < 1_800


def test_what_many_hosts_ask_for_is_a_service() -> None:
    source = random.Random(4)
    flows = [asked(n, [f"{encoded(source)}.avqs.vendor.example"], orig_ip=f"10.0.0.{n % 30}") for n in range(30 * 40)]
    batch = FlowBatch(frame(flows))
    soma = Soma([DnsTunnel()])
    assert soma.detect(batch, Axon().extract(batch)) + soma.finish() == []


def test_block_lists_of_any_domain_are_no_tunnels() -> None:
    flows = [asked(n, [f"{n % 250}.{n % 7}.{n % 31}.203.blocks.lists.example"]) for n in range(500)]
    assert found_in(DnsTunnel, frame(flows)) == []


def test_a_few_odd_names_in_hours_are_no_tunnel() -> None:
    source = random.Random(5)
    probes = [asked(600.0 * n, [f"probe-{encoded(source, 26)}.health.vendor.example"]) for n in range(60)]
    assert found_in(DnsTunnel, frame(probes)) == []
