"""The day: a whole office over hours, with attacks of every kind hidden in it, or none."""

from __future__ import annotations

import random

from infraspectre.simulation.attacks import ATTACKS, Attack
from infraspectre.simulation.hosts import EMBEDDED, LINUX, MACOS, WINDOWS
from infraspectre.simulation.scenarios import intrusion
from infraspectre.simulation.scenarios.calendar import Calendar
from infraspectre.simulation.scenarios.internet import Internet
from infraspectre.simulation.scenarios.machines import CATALOGUE, Program, Software, run_devices, run_servers
from infraspectre.simulation.scenarios.oddities import play_oddities
from infraspectre.simulation.scenarios.people import Person
from infraspectre.simulation.scenarios.scene import Scene
from infraspectre.simulation.site import Networks, Site

LEAST_HOSTS, LEAST_S = 40, 3600.0
SCALE = 0.1
"""Transfers are a tenth of what they would be, so that a day of 300 hosts is about two million packets."""
UPSTREAM_SHARE = 0.3
"""Share of days that show what the site's name server asks in turn: sensors stand in different places."""
EXTRA = {
    "app": ("application server", LINUX),
    "database": ("database server", LINUX),
    "git": ("web server", LINUX),
    "balancer": ("load balancer", LINUX),
    "deploy": ("software deployment", WINDOWS),
    "vulnscan": ("authorised scanner", LINUX),
    "vpn": ("vpn gateway", LINUX),
    "recorder": ("video recorder", EMBEDDED),
}
"""Servers of a whole company beside those of every site: role and system by name."""
DEVICES = ("camera", "telephone", "thermostat", "door reader", "television", "sensor")
FIXED = 9
"""Hosts of every site that are not clients."""
FAMILIES = (
    ("web-",), ("scan", "probing"), ("brute", "spray"), ("flood", "slow-headers", "slow-read", "amplification"),
    ("beacon",), ("exfiltration",), ("psexec", "winrm", "rdp", "ssh", "wmi"), ("roasting",), ("-bot",), ("poisoning",),
    ("rare-service", "reverse-shell"),
)  # fmt: skip
"""Words by which attacks belong together, so that a family with many ways is not drawn more often than others."""


def day(seed: str, *, hosts: int = 100, duration_s: float = 86_400.0, attacks: int = 12) -> Site:
    """Play a day of an office of 40 to 300 hosts, with that many attacks of all kinds hidden in it."""
    if hosts < LEAST_HOSTS or duration_s < LEAST_S:
        raise ValueError(f"a day has at least {LEAST_HOSTS} hosts and {LEAST_S:,.0f} seconds")
    scene = _scene(seed, hosts, duration_s)
    site, rng = scene.site, scene.site.derived("catalogue")
    catalogue = [Program.common(rng) for _ in range(CATALOGUE)]
    for client in site.clients:
        person = Person(scene, client)
        person.work()
        Software(scene, person, catalogue).run()
    run_devices(scene)
    run_servers(scene)
    play_oddities(scene)
    _attack(site, site.derived("attacks"), duration_s, attacks)
    return site


def _scene(seed: str, hosts: int, duration_s: float) -> Scene:
    """Draw where and when the day takes place, and plug in all machines."""
    rng = random.Random(f"{seed}/day")  # noqa: S311 - repeatable on purpose; keeps no secret
    calendar = Calendar.drawn(rng, duration_s)
    devices, guests = hosts // 12, hosts // 15
    clients = hosts - FIXED - len(EXTRA) - devices - guests
    site = Site(seed, clients, SCALE, _networks(rng), calendar.started_at, duration_s)
    scene = Scene(site, calendar, Internet(rng))
    if rng.random() < UPSTREAM_SHARE:
        site.upstream = site.outside("dns1.accessprovider.net")
    for number, (name, (role, system)) in enumerate(EXTRA.items(), 30):
        scene.extra[name] = site.plug_in(name, number, role, system, site.networks.servers)
    for number in range(devices):
        role = rng.choice(DEVICES)
        name = f"{role.replace(' ', '-')}{number}"
        scene.devices.append(site.plug_in(name, 40 + number, role, EMBEDDED, site.networks.devices))
    for number in range(guests):
        system = rng.choice((LINUX, MACOS))
        scene.guests.append(site.plug_in(f"guest{number}", 20 + number, "guest", system, site.networks.guests))
    return scene


def _networks(rng: random.Random) -> Networks:
    """Draw private networks (RFC 1918) for servers, clients, devices and guests."""
    block = rng.choice((f"10.{rng.randrange(1, 255)}", f"172.{rng.randrange(16, 32)}", "192.168"))
    thirds = rng.sample(range(1, 255), 5)
    servers, one, other, devices, guests = (f"{block}.{third}" for third in thirds)
    return Networks(servers, (one, other), devices, guests, has_wide_internet=True)


def _attack(site: Site, rng: random.Random, duration_s: float, count: int) -> None:
    """Play attacks of one family after the other, each within a span of its own; an intrusion is one attack."""
    families = _families(duration_s)
    order: list[list[Attack]] = []
    while len(order) < count:
        order += rng.sample(families, len(families))
    for family in order[:count]:
        begin_s = duration_s * rng.uniform(0.01, 0.5)
        end_s = min(duration_s, begin_s + duration_s * rng.uniform(0.3, 1.0))
        rng.choice(family)(site, rng, begin_s, end_s)


def _families(duration_s: float) -> list[list[Attack]]:
    """Group attacks by family, and intrusions where there is time for them."""
    families: dict[str, list[Attack]] = {}
    for name, attack in ATTACKS.items():
        words = next((words for words in FAMILIES if any(word in name for word in words)), (name,))
        families.setdefault(words[0], []).append(attack)
    if duration_s >= intrusion.LEAST_S:
        families["intrusion"] = [intrusion.intrude]
    return list(families.values())
