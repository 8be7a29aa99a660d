"""Hosts are named as they called themselves at the time; what was learnt later does not count."""

from __future__ import annotations

from typing import Any

import msgspec
import polars as pl
import pytest

from flow_rows import flow, frame
from infraspectre.intel.assets import Assets
from infraspectre.intel.context import Context, ReflexInContext, SomaInContext, with_names
from infraspectre.intel.identity import MOST_NAMES
from infraspectre.records import Asset, Detection, FlowBatch
from pipeline_fakes import decision

SECOND = 1_000_000_000


def lease(name: str | None, mac: str, kind: str = "ACK") -> dict[str, Any]:
    """Return what DHCP tells of 10.0.0.5."""
    told = {"dhcp_address": "10.0.0.5", "dhcp_message_types": ["REQUEST", kind], "dhcp_client_mac": mac}
    return told | {"dhcp_host_name": name, "resp_ip": "10.0.0.1", "dhcp_server": "10.0.0.1"}


FLOWS = [
    {"orig_ip": "10.0.0.5", "smb_hosts": ["OLD-PC"]},
    lease("pc-anna", "a"),
    {"orig_ip": "10.0.0.5", "smb_hosts": ["PC-ANNA"]},
    lease("pc-anna", "a"),
    lease(None, "b"),
    {"orig_ip": "10.0.0.5", "kerberos_clients": ["anna@CORP", "PC-BERT$@CORP"]},
    {"dns_queries": ["printer.corp.example"], "dns_answers": ["10.0.0.8"], "dns_answer_types": ["A"]},
    {"dns_queries": ["9.0.0.10.in-addr.arpa"], "dns_answers": ["nas.corp.example"], "dns_answer_types": ["PTR"]},
    {"dns_queries": ["www.example"], "dns_answers": ["198.51.100.7"], "dns_answer_types": ["A"]},
]


def learnt(size: int = 100) -> tuple[Context, list[int]]:
    """Return a context that has seen the flows in batches of a size, and when each ended."""
    rows = frame(flow(n, **each) for n, each in enumerate(FLOWS))
    context = Context(Assets([Asset("10.0.0.0/24", "office"), Asset("10.0.0.9", "storage", criticality="high")]))
    for part in rows.iter_slices(size):
        context.learn(FlowBatch(part))
    return context, rows["ended_at"].to_list()


@pytest.mark.parametrize("size", [1, 2, 100])
def test_a_name_is_that_of_the_owner_at_the_time(size: int) -> None:
    context, ends = learnt(size)
    names = [asset.seen_name if (asset := context.asset("10.0.0.5", at)) else None for at in ends[:6]]
    assert names == ["OLD-PC", "pc-anna", "pc-anna", "pc-anna", None, "PC-BERT"]


def test_names_of_the_inside_alone_are_learnt() -> None:
    context, ends = learnt()
    found = [context.asset(host, ends[-1]) for host in ("10.0.0.8", "10.0.0.9", "198.51.100.7", "10.0.1.1")]
    assert [asset and (asset.name, asset.seen_name) for asset in found] == [
        ("office", "printer.corp.example"),
        ("storage", "nas.corp.example"),
        None,
        None,
    ]
    assert context.asset("10.0.0.1", ends[-1]) == Asset("10.0.0.0/24", "office", seen_roles=["dhcp-server"])


def test_an_address_of_many_names_has_none() -> None:
    probes = [
        {"dns_queries": [f"probe-{n}.example"], "dns_answers": ["10.0.0.8"], "dns_answer_types": ["A"]}
        for n in range(MOST_NAMES)
    ]
    rows = frame(flow(n, **each) for n, each in enumerate(probes))
    context = Context()
    context.learn(FlowBatch(rows))
    found = [context.asset("10.0.0.8", at) for at in rows["ended_at"][-2:]]
    assert [asset and asset.seen_name for asset in found] == [f"probe-{MOST_NAMES - 2}.example", None]


def test_a_role_is_known_once_enough_hosts_use_it() -> None:
    asked = [
        flow(n, orig_ip=f"10.0.0.{n}", resp_ip="10.0.0.53", protocol="udp", resp_port=53, resp_payload_bytes=80)
        for n in range(1, 5)
    ]
    context, rows = Context(), frame(asked)
    context.learn(FlowBatch(rows))
    known = [bool(context.asset("10.0.0.53", at)) for at in rows["ended_at"]]
    assert known == [False, False, True, True]
    assert context.asset("10.0.0.53", rows["ended_at"][3]) == Asset("10.0.0.53", seen_roles=["dns-server"])


def test_a_sentence_names_each_host_once() -> None:
    text = "10.1.2.3:445 and 10.1.2.30 called 10.1.2.3, [2001:db8::1]:443 and 08:10:11."
    names = {"10.1.2.3": "pc-anna", "2001:db8::1": "web"}
    assert with_names(text, names) == (
        "10.1.2.3:445 (pc-anna) and 10.1.2.30 called 10.1.2.3, [2001:db8::1]:443 (web) and 08:10:11."
    )


class Fixed:
    """Stands for Soma and Reflex."""

    detectors: tuple[()] = ()

    def detect(self, flows: FlowBatch, features: Any) -> list[Detection]:
        """Find nothing."""
        return []

    def settle(self) -> list[Detection]:
        """Find nothing."""
        return []

    def due(self) -> int | None:
        """Hold nothing back."""
        return None

    def turn(self, until: int) -> list[Detection]:
        """Find nothing."""
        return []

    def finish(self) -> list[Detection]:
        """Find nothing."""
        return []

    def decide(self, incident: Any) -> Any:
        """Judge an incident as it is."""
        return msgspec.structs.replace(decision("a"), incident=incident)

    def doubt(self, decision: Any, lost: float) -> Any:
        """Stay as sure."""
        return decision


def test_an_incident_says_what_is_known_about_its_hosts() -> None:
    context = Context(Assets([Asset("10.0.0.1", "gate", "Net")]))
    SomaInContext(Fixed(), context).detect(FlowBatch(pl.DataFrame()), None)
    incident = msgspec.structs.replace(decision("a").incident, title="Scan of 10.0.0.1")
    judged = ReflexInContext(Fixed(), context).decide(incident)
    assert judged.incident.assets == {"10.0.0.1": Asset("10.0.0.1", "gate", "Net")}
    assert judged.incident.title == "Scan of 10.0.0.1 (gate)"
