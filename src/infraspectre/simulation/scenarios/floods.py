"""Floods: too much of something, to drown a service."""

from __future__ import annotations

from typing import Literal

from infraspectre.simulation.capture import Behaviour
from infraspectre.simulation.conversation import LONGEST_FLOW_S
from infraspectre.simulation.hosts import Host
from infraspectre.simulation.protocols import dns, ntp
from infraspectre.simulation.scenarios.background import lively_site
from infraspectre.simulation.site import Site

Protocol = Literal["dns", "ntp"]
BACKLOG = 256
"""Connections a server holds half open before it stops answering."""


def syn_flood(
    seed: str,
    *,
    requests: int = 10_000,
    bots: int = 20,
    hosts: int = 6,
    duration_s: float = 120.0,
    background: bool = True,
) -> Site:
    """Ask one web server for more connections than it can hold, from many machines outside."""
    site = lively_site(seed, hosts, duration_s, background)
    senders = [site.outside(f"bot{number}.provider.example", "bot") for number in range(bots)]
    ips = [bot.ip for bot in senders]
    with site.behaving(Behaviour("syn flood", "flood", ("T1499.001", "T1498.001"), ips, [site.intranet.ip])):
        for number in range(requests):
            at = duration_s * (0.3 + 0.3 * (number + site.rng.random()) / requests)
            talk = site.tcp(site.rng.choice(senders), site.intranet, 80, at)
            talk.abandoned() if number < BACKLOG else talk.unanswered(retries=0)
    return site


def amplification(
    seed: str, *, protocol: Protocol = "ntp", answers: int = 6_000, reflectors: int = 20, hosts: int = 6,
    duration_s: float = 120.0, background: bool = True,
) -> Site:  # fmt: skip
    """Drown one server in large answers to questions that it never asked."""
    site = lively_site(seed, hosts, duration_s, background)
    senders = [site.outside(f"{protocol}{number}.isp.example", "reflector") for number in range(reflectors)]
    victim, ips = site.mail, [sender.ip for sender in senders]
    with site.behaving(Behaviour(f"{protocol} amplification", "flood", ("T1498.002",), ips, [victim.ip])):
        for number, sender in enumerate(senders):
            share = answers // reflectors + (number < answers % reflectors)
            _reflect(site, sender, victim, protocol, share, duration_s)
    return site


def _reflect(site: Site, sender: Host, victim: Host, protocol: Protocol, answers: int, duration_s: float) -> None:
    if not answers:
        return
    source = 123 if protocol == "ntp" else 53
    talk = site.udp(sender, victim, site.rng.randrange(1024, 65536), duration_s * 0.3, source)
    for _ in range(answers):
        talk.request(_large_answer(site, protocol))
        talk.wait(min(duration_s * 0.3, LONGEST_FLOW_S) / answers * site.rng.uniform(0.6, 1.4))


def _large_answer(site: Site, protocol: Protocol) -> bytes:
    if protocol == "ntp":
        return ntp.monitor_list(site.rng, 6)
    question = dns.query(site.rng.getrandbits(16), "any.isp.example", dns.ANY)
    return dns.response(question, [dns.text(site.rng.randbytes(120).hex().encode()) for _ in range(5)])
