"""The day: a whole office over hours, with attacks of every kind hidden in it, or none."""

from __future__ import annotations

import random

from infraspectre.simulation.activities import services, web
from infraspectre.simulation.capture import Behaviour
from infraspectre.simulation.scenarios import (
    beacon,
    brute_force,
    dns_tunnel,
    domain_generation,
    exfiltration,
    lateral_movement,
    port_scan,
)
from infraspectre.simulation.scenarios.background import ticks
from infraspectre.simulation.scenarios.calendar import Calendar
from infraspectre.simulation.scenarios.internet import Internet
from infraspectre.simulation.scenarios.people import Person
from infraspectre.simulation.site import Networks, Site

LEAST_HOSTS, LEAST_S = 40, 3600.0
SCALE = 0.1
"""Transfers are a tenth of what they would be, so that a day of 300 hosts is about two million packets."""


def day(seed: str, *, hosts: int = 100, duration_s: float = 86_400.0, attacks: int = 12) -> Site:
    """Play a day of an office of 40 to 300 hosts, with that many attacks of all kinds hidden in it."""
    if hosts < LEAST_HOSTS or duration_s < LEAST_S:
        raise ValueError(f"a day has at least {LEAST_HOSTS} hosts and {LEAST_S:,.0f} seconds")
    rng = random.Random(f"{seed}/day")  # noqa: S311 - repeatable on purpose; keeps no secret
    calendar = Calendar.drawn(rng, duration_s)
    site = Site(seed, hosts - 10, SCALE, _networks(rng), calendar.started_at)
    internet = Internet(rng)
    for client in site.clients:
        Person(site, client, calendar, internet).work()
        _run_by_itself(site, site.derived(f"machine/{client.name}"), duration_s, client)
    for number in range(attacks):
        _attack(site, site.derived(f"attack/{number}"), duration_s)
    return site


def _networks(rng: random.Random) -> Networks:
    """Draw private networks (RFC 1918) for servers, clients, devices and guests."""
    block = rng.choice((f"10.{rng.randrange(1, 255)}", f"172.{rng.randrange(16, 32)}", "192.168"))
    thirds = rng.sample(range(1, 255), 5)
    servers, one, other, devices, guests = (f"{block}.{third}" for third in thirds)
    return Networks(servers, (one, other), devices, guests, has_wide_internet=True)


def _run_by_itself(site: Site, rng: random.Random, duration_s: float, client: object) -> None:
    with site.behaving(site.behaviour("time")):
        for at in ticks(rng, duration_s, 1024.0):
            services.ask_time(site, client, site.outside("time.example"), at)
    with site.behaving(site.behaviour("software updates")):
        for at in ticks(rng, duration_s, 3600.0, 0.2):
            web.poll(site, client, site.outside("updates.example"), at)


def _attack(site: Site, rng: random.Random, duration_s: float) -> None:
    rng.choice(_ATTACKS)(site, rng, duration_s * rng.uniform(0.02, 0.8), duration_s)


def log_uniform(rng: random.Random, least: float, most: float) -> float:
    """Draw a number whose logarithm is uniform."""
    return float(least * (most / least) ** rng.random())


def _scan(site: Site, rng: random.Random, begin_s: float, end_s: float) -> None:
    scanner = rng.choice(site.clients)
    scan = Behaviour("port scan", "scan", ("T1046",), [scanner.ip])
    ports = int(log_uniform(rng, 20, 1000))
    seconds = min(log_uniform(rng, 0.02, 60) * ports, end_s - begin_s)
    with site.behaving(scan):
        port_scan.knock_on(site, scan, scanner, rng.choice(site.servers), ports, begin_s, seconds)


def _guess(site: Site, rng: random.Random, begin_s: float, end_s: float) -> None:
    attacker = rng.choice((site.outside(f"host{rng.randrange(999)}.provider.example"), rng.choice(site.clients)))
    attempts = int(log_uniform(rng, 20, 400))
    seconds = min(log_uniform(rng, 0.5, 60) * attempts, end_s - begin_s)
    service = rng.choice(("ssh", "ftp", "http", "rdp", "smb"))
    brute_force.guess(site, attacker, service, attempts, rng.random() < 0.3, begin_s, seconds)


def _beacon(site: Site, rng: random.Random, begin_s: float, end_s: float) -> None:
    period_s = log_uniform(rng, 10, min(21_600, (end_s - begin_s) / 4))
    channel = rng.choice(("http", "tls", "dns"))
    beacon.call_home(site, rng.choice(site.clients), channel, period_s, rng.uniform(0, 0.95), begin_s, end_s)


def _tunnel(site: Site, rng: random.Random, begin_s: float, end_s: float) -> None:
    rate = log_uniform(rng, 0.5, 5000)
    seconds = min(end_s - begin_s, log_uniform(rng, 300, 40_000))
    size = int(min(rate * seconds, 500_000)) + 1
    record = rng.choice(("txt", "null", "cname"))
    dns_tunnel.tunnel(site, rng.choice(site.clients), record, size, begin_s, seconds)


def _generate(site: Site, rng: random.Random, begin_s: float, end_s: float) -> None:
    tries = int(log_uniform(rng, 20, 500))
    kind = rng.choice(("letters", "hex"))
    domain_generation.search(site, rng.choice(site.clients), kind, tries, begin_s, min(tries * 2, end_s - begin_s))


def _steal(site: Site, rng: random.Random, begin_s: float, end_s: float) -> None:
    size = int(log_uniform(rng, 300_000, 10_000_000))
    exfiltration.carry_off(site, rng.choice(site.clients), rng.choice(("https", "ftp")), size, begin_s)


def _spread(site: Site, rng: random.Random, begin_s: float, end_s: float) -> None:
    kind = rng.choice(("psexec", "winrm", "rdp", "kerberoasting"))
    seconds = min(log_uniform(rng, 60, 10_000), end_s - begin_s)
    lateral_movement.spread(site, rng.choice(site.clients), kind, rng.randrange(3, 20), begin_s, seconds)


_ATTACKS = (_scan, _guess, _beacon, _tunnel, _generate, _steal, _spread)
