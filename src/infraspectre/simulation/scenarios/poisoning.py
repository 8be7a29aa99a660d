"""Poisoning: a machine inside claims addresses and names that belong to others."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Literal

from infraspectre.simulation.activities import shares
from infraspectre.simulation.activities.services import ANYONE, MDNS_GROUP
from infraspectre.simulation.capture import Behaviour
from infraspectre.simulation.conversation import UdpConversation
from infraspectre.simulation.drawing import word
from infraspectre.simulation.hosts import LINUX, Host
from infraspectre.simulation.packets import BROADCAST_MAC
from infraspectre.simulation.protocols import dhcp, dns, local_names, smb
from infraspectre.simulation.scenarios.background import lively_site
from infraspectre.simulation.site import Site

Kind = Literal["arp", "llmnr", "netbios", "mdns", "dhcp"]
TECHNIQUES = {
    "arp": ("T1557.002",),
    "llmnr": ("T1557.001",),
    "netbios": ("T1557.001",),
    "mdns": ("T1557.001",),
    "dhcp": ("T1557.003",),
}
LLMNR_GROUP = Host("llmnr", "224.0.0.252", bytes.fromhex("01005e0000fc"), "multicast group")


def poison(
    site: Site, rng: random.Random, kind: Kind, rogue: Host, victims: list[Host], gap_s: float, begin_s: float,
    end_s: float,
) -> Behaviour:  # fmt: skip
    """Deceive some machines, a time apart, for the whole span."""
    behaviour = Behaviour(
        f"{kind} poisoning", "poisoning", TECHNIQUES[kind], [rogue.ip], [each.ip for each in victims],
        parameters={"gap_s": gap_s},
    )  # fmt: skip
    with site.behaving(behaviour):
        match kind:
            case "arp":
                _claim_the_gateway(site, rng, rogue, victims, gap_s, begin_s, end_s)
            case "dhcp":
                _give_addresses(site, rogue, victims, begin_s, end_s)
            case _:
                _answer_for_others(site, rng, kind, rogue, victims, gap_s, begin_s, end_s)
    return behaviour


def _claim_the_gateway(
    site: Site, rng: random.Random, rogue: Host, victims: list[Host], gap_s: float, begin_s: float, end_s: float
) -> None:
    """Tell victims that the gateway is here, and the gateway that the victims are (arpspoof, Ettercap)."""
    at, gateway = begin_s, replace(site.router, ip=f"{rogue.ip.rpartition('.')[0]}.1")
    while at < end_s:
        for victim in victims:
            site.claim(rogue, gateway, victim, at)
            site.claim(rogue, victim, gateway, at + 0.0001)
        at += gap_s * rng.uniform(0.98, 1.02)


def _give_addresses(site: Site, rogue: Host, victims: list[Host], begin_s: float, end_s: float) -> None:
    """Answer machines that look for any server, and name itself as gateway and name server."""
    gap_s = (end_s - begin_s) / len(victims)
    for number, victim in enumerate(victims):
        if not site.capture.is_free(victim, ANYONE, "udp", 68, 67):
            continue
        at, lease = begin_s + number * gap_s, site.rng.getrandbits(32)
        asking = site.udp(victim, ANYONE, 67, at, 68)
        asking.request(
            dhcp.message(dhcp.REQUEST, lease, victim.mac, victim.address, name=victim.name.partition(".")[0])
        )
        giving = site.udp(rogue, victim, 68, at + 0.001, 67)
        given, ours = victim.address, rogue.address
        giving.request(dhcp.message(dhcp.ACK, lease, victim.mac, given, given, server=ours, router=ours))


def _answer_for_others(
    site: Site, rng: random.Random, kind: str, rogue: Host, victims: list[Host], gap_s: float, begin_s: float,
    end_s: float,
) -> None:  # fmt: skip
    """Answer whenever a victim looks for a name that nobody has, and take the password hash that it then sends."""
    netbios, at = _Netbios(site, rogue), begin_s
    while at < end_s:
        victim, name = rng.choice(victims), word(rng, 3)
        answer = netbios.answer if kind == "netbios" else _ANSWERS[kind]
        known_at = answer(site, victim, rogue, name, at)
        session = shares.SmbSession(site, victim, rogue, known_at + 0.002)
        session.log_on(shares.user_of(victim), smb.LOGON_FAILURE if rng.random() < 0.8 else smb.SUCCESS)
        session.talk.close()
        at += gap_s * rng.expovariate(1.0)


def _answer_llmnr(site: Site, victim: Host, rogue: Host, name: str, at: float) -> float:
    question = local_names.llmnr_query(site.rng, name)
    return _answer_group(
        site, victim, rogue, LLMNR_GROUP, 5355, question, local_names.llmnr_answer(question, rogue.address), at
    )


def _answer_mdns(site: Site, victim: Host, rogue: Host, name: str, at: float) -> float:
    """Answer a question asked from a port of its own, which wants the answer there (RFC 6762, 6.7)."""
    question = dns.query(site.rng.getrandbits(16), f"{name}.local")
    answer = dns.response(question, [dns.address(rogue.ip, 10)])
    return _answer_group(site, victim, rogue, MDNS_GROUP, 5353, question, answer, at)


_ANSWERS = {"llmnr": _answer_llmnr, "mdns": _answer_mdns}


def _answer_group(
    site: Site, victim: Host, rogue: Host, group: Host, port: int, question: bytes, answer: bytes, at: float
) -> float:
    asker = site.port(victim, group, "udp", port)
    site.udp(victim, group, port, at, asker).request(question)
    answering = site.udp(rogue, victim, asker, at + rogue.delay_s, port)
    answering.request(answer)
    return answering.now


class _Netbios:
    """Answers questions for NetBIOS names, whose ports never change, so that each pair has one conversation."""

    def __init__(self, site: Site, rogue: Host) -> None:
        self._everybody = Host("broadcast", rogue.ip.rpartition(".")[0] + ".255", BROADCAST_MAC, "broadcast")
        self._talks: dict[str, tuple[UdpConversation, UdpConversation]] = {}

    def answer(self, site: Site, victim: Host, rogue: Host, name: str, at: float) -> float:
        if victim.ip not in self._talks:
            self._talks[victim.ip] = self._begin(site, victim, rogue, at)
        asking, answering = self._talks[victim.ip]
        question = local_names.netbios_query(site.rng, name)
        asking.now, answering.now = at, at + rogue.delay_s
        asking.request(question)
        answering.request(local_names.netbios_answer(question, rogue.address))
        return answering.now

    def _begin(self, site: Site, victim: Host, rogue: Host, at: float) -> tuple[UdpConversation, UdpConversation]:
        is_free = site.capture.is_free(victim, self._everybody, "udp", 137, 137)
        port = 137 if is_free else site.port(victim, self._everybody, "udp", 137)
        return site.udp(victim, self._everybody, 137, at, port), site.udp(rogue, victim, port, at, 137)


def poisoning(
    seed: str, *, kind: Kind = "llmnr", period_s: float = 10.0, targets: int = 3, hosts: int = 8,
    duration_s: float = 300.0, background: bool = True,
) -> Site:  # fmt: skip
    """Claim addresses or names of others from one machine inside, by ARP, LLMNR, NetBIOS, mDNS or DHCP."""
    site = lively_site(seed, hosts, duration_s, background)
    rogue, rng = site.guest("laptop.corp.example", 251, system=LINUX), site.derived("poisoning")
    poison(site, rng, kind, rogue, site.clients[:targets], period_s, duration_s * 0.1, duration_s * 0.9)
    return site
