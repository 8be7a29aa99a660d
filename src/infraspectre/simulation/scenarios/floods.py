"""Floods: too much of something, to drown a service."""

from __future__ import annotations

import random
from itertools import cycle
from typing import Literal

from infraspectre.simulation.activities import web
from infraspectre.simulation.capture import Behaviour
from infraspectre.simulation.drawing import word
from infraspectre.simulation.hosts import Host, System
from infraspectre.simulation.protocols import dns, http, memcached, ntp, ssdp
from infraspectre.simulation.scenarios.background import lively_site
from infraspectre.simulation.site import Site

Kind = Literal["syn", "udp", "icmp", "http", "slow-headers", "slow-read"]
Protocol = Literal["dns", "ntp", "ssdp", "memcached"]
BACKLOG = 256
"""Connections a server holds half open before it stops answering."""
TECHNIQUES = {
    "syn": ("T1499.001", "T1498.001"),
    "udp": ("T1498.001",),
    "icmp": ("T1498.001",),
    "http": ("T1499.002",),
    "slow-headers": ("T1499.001", "T1499.002"),
    "slow-read": ("T1499.001", "T1499.002"),
}
SLOW_READER = System("slow reader", 64, 512, 0, b"")
"""A client that takes only a few bytes at a time (slowhttptest's window)."""
HEADER_GAP_S = 10.0
"""Seconds between header lines: below the 20 s that servers such as Apache's mod_reqtimeout give by default."""
REFLECTED_PORTS = {"dns": 53, "ntp": 123, "ssdp": 1900, "memcached": 11211}


def drown(
    site: Site, rng: random.Random, kind: Kind, senders: list[Host], victim: Host, requests: int, begin_s: float,
    end_s: float, port: int = 80,
) -> Behaviour:  # fmt: skip
    """Send so many requests of a kind to one victim, from some machines."""
    rate = requests / (end_s - begin_s)
    behaviour = Behaviour(
        f"{kind} flood", "flood", TECHNIQUES[kind], [each.ip for each in senders], [victim.ip],
        parameters={"per_s": rate, "senders": len(senders)},
    )  # fmt: skip
    moments = sorted(rng.uniform(begin_s, end_s) for _ in range(requests))
    with site.behaving(behaviour):
        if kind in ("slow-headers", "slow-read"):
            slow = _send_headers_slowly if kind == "slow-headers" else _read_slowly
            for at in moments:
                slow(site, rng, rng.choice(senders), victim, at, end_s)
        else:
            _FLOODS[kind](site, rng, senders, victim, moments, port)
    return behaviour


def _syn(site: Site, rng: random.Random, senders: list[Host], victim: Host, moments: list[float], port: int) -> None:
    for number, at in enumerate(moments):
        talk = site.tcp(rng.choice(senders), victim, port, at)
        talk.abandoned() if number < BACKLOG else talk.unanswered(retries=0)


def _udp(site: Site, rng: random.Random, senders: list[Host], victim: Host, moments: list[float], port: int) -> None:
    """Send large datagrams from one source port of each sender."""
    size = rng.choice((64, 512, 1024, 1400))
    talks = [site.udp(sender, victim, port, moments[0]) for sender in senders[: len(moments)]]
    for talk, at in zip(cycle(talks), moments, strict=False):
        talk.now = at
        talk.request(rng.randbytes(size))


def _icmp(site: Site, rng: random.Random, senders: list[Host], victim: Host, moments: list[float], _port: int) -> None:
    """Ask for echoes, of which the victim answers the first ones only."""
    size = rng.choice((56, 512, 1400))
    talks = [site.echo(sender, victim, moments[0]) for sender in senders[: len(moments)]]
    for number, (talk, at) in enumerate(zip(cycle(talks), moments, strict=False)):
        talk.now = at
        talk.ask(bytes(size))
        if number < len(moments) // 3:
            talk.reply(bytes(size))


def _http(site: Site, rng: random.Random, senders: list[Host], victim: Host, moments: list[float], _port: int) -> None:
    """Ask for pages that no cache holds."""
    for at in moments:
        target = f"/search?q={word(rng, 3)}"
        status = 200 if rng.random() < 0.6 else 503
        web.attack(site, rng.choice(senders), victim, at, target, http.BROWSER, status)


_FLOODS = {"syn": _syn, "udp": _udp, "icmp": _icmp, "http": _http}


def _send_headers_slowly(site: Site, rng: random.Random, sender: Host, victim: Host, at: float, end_s: float) -> None:
    """Begin a request and add a header line now and then, never the empty line (Slowloris)."""
    talk = site.tcp(sender, victim, 80, at)
    talk.connect()
    talk.request(f"GET /?{rng.randrange(10_000)} HTTP/1.1\r\nHost: {victim.name}\r\n".encode())
    while talk.now < end_s:
        talk.now += HEADER_GAP_S * rng.uniform(0.8, 1.5)
        talk.request(f"X-a: {rng.randrange(5_000)}\r\n".encode())
    talk.reset(by_orig=False)


def _read_slowly(site: Site, rng: random.Random, sender: Host, victim: Host, at: float, end_s: float) -> None:
    """Ask for a large page and take it a few bytes at a time."""
    talk = site.tcp(sender, victim, 80, at)
    talk.connect()
    talk.advertise(SLOW_READER.window)
    page = http.response(body=http.page("Archive", 60_000))
    talk.request(http.request(victim.name, "/archive", agent=http.BROWSER))
    for start in range(0, len(page), SLOW_READER.window):
        talk.respond(page[start : start + SLOW_READER.window])
        talk.now += rng.uniform(4.0, 12.0)
        if talk.now > end_s:
            break
    talk.reset(by_orig=False)


def reflect(
    site: Site, rng: random.Random, protocol: Protocol, senders: list[Host], victim: Host, answers: int, begin_s: float,
    end_s: float,
) -> Behaviour:  # fmt: skip
    """Drown a victim in answers of some servers to questions in its name."""
    behaviour = Behaviour(
        f"{protocol} amplification", "flood", ("T1498.002",), [each.ip for each in senders], [victim.ip],
        parameters={"per_s": answers / (end_s - begin_s), "senders": len(senders)},
    )  # fmt: skip
    port = rng.randrange(1024, 65536)
    with site.behaving(behaviour):
        talks = [site.udp(sender, victim, port, begin_s, REFLECTED_PORTS[protocol]) for sender in senders[:answers]]
        for number in range(answers):
            talk = talks[number % len(talks)]
            talk.now = begin_s + (number + rng.random() * 0.9) * (end_s - begin_s) / answers
            talk.request(_large_answer(rng, protocol))
    return behaviour


def _large_answer(rng: random.Random, protocol: Protocol) -> bytes:
    match protocol:
        case "ntp":
            return ntp.monitor_list(rng, 6)
        case "ssdp":
            return ssdp.answer(rng)
        case "memcached":
            return memcached.answer(rng, 1_400)
    question = dns.query(rng.getrandbits(16), "any.isp.example", dns.ANY)
    return dns.response(question, [dns.text(rng.randbytes(120).hex().encode()) for _ in range(5)])


def flood(
    seed: str, *, kind: Kind = "syn", requests: int = 10_000, bots: int = 20, hosts: int = 6, duration_s: float = 120.0,
    background: bool = True,
) -> Site:  # fmt: skip
    """Drown one web server in requests of a kind, fast or slow, from many machines outside."""
    site = lively_site(seed, hosts, duration_s, background)
    system = SLOW_READER if kind == "slow-read" else None
    senders = bots_outside(site, bots, system)
    drown(site, site.derived("flood"), kind, senders, site.intranet, requests, duration_s * 0.3, duration_s * 0.6)
    return site


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
    return flood(seed, requests=requests, bots=bots, hosts=hosts, duration_s=duration_s, background=background)


def bots_outside(site: Site, count: int, system: System | None = None, suffix: str = "provider.example") -> list[Host]:
    """Return machines all over the internet."""
    names = (f"bot{number}.{suffix}" for number in range(count))
    return [site.outside(name, "bot", *([system] if system else [])) for name in names]


def amplification(
    seed: str, *, protocol: Protocol = "ntp", answers: int = 6_000, reflectors: int = 20, hosts: int = 6,
    duration_s: float = 120.0, background: bool = True,
) -> Site:  # fmt: skip
    """Drown one server in large answers to questions that it never asked."""
    site = lively_site(seed, hosts, duration_s, background)
    senders = [site.outside(f"{protocol}{number}.isp.example", "reflector") for number in range(reflectors)]
    rng = site.derived("amplification")
    reflect(site, rng, protocol, senders, site.mail, answers, duration_s * 0.3, duration_s * 0.6)
    return site
