"""Port scans: many doors of one host, one door of many hosts, datagrams, banners, or very slowly."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from infraspectre.simulation.activities import scans
from infraspectre.simulation.capture import Behaviour
from infraspectre.simulation.hosts import SCANNER, Host
from infraspectre.simulation.scenarios.background import lively_site
from infraspectre.simulation.site import Site

Kind = Literal["vertical", "horizontal", "udp", "slow", "services"]
Origin = Literal["inside", "outside"]
SERVICES = (445, 3389, 22)
"""Ports that a horizontal scan looks for."""
SLOW_PORTS = 60
LIKELY_PORTS = (
    21, 22, 23, 25, 53, 80, 81, 88, 110, 111, 135, 139, 143, 389, 443, 445, 465, 512, 587, 593, 631, 636, 873, 993, 995,
    1080, 1433, 1521, 1723, 2049, 2375, 3000, 3128, 3268, 3306, 3389, 5060, 5432, 5672, 5900, 5985, 6379, 6443, 7001,
    8000, 8008, 8080, 8081, 8443, 8888, 9000, 9090, 9100, 9200, 10000, 11211, 15672, 27017, 50000,
)  # fmt: skip
"""Ports that scanners try first."""
LIKELY_UDP_PORTS = (
    53,
    67,
    69,
    111,
    123,
    137,
    138,
    161,
    162,
    389,
    500,
    514,
    520,
    623,
    1194,
    1434,
    1900,
    4500,
    5353,
    11211,
)


@dataclass(frozen=True)
class Scan:
    """Says who scans what, and by which kind of knock."""

    kind: Kind
    scanner: Host
    targets: Sequence[Host]
    ports: Sequence[int]

    @property
    def techniques(self) -> tuple[str, ...]:
        """Return what it shows: reconnaissance from outside, discovery from inside."""
        many = len(self.targets) > 1
        if self.scanner.hops:
            return ("T1595.001", "T1046") if many else ("T1046", "T1595.001")
        return ("T1046", "T1018") if many else ("T1046",)

    def play(self, site: Site, rng: random.Random, begin_s: float, end_s: float) -> Behaviour:
        """Knock on each port of each target in random order, evenly over the span."""
        ends = [(target, port) for target in self.targets for port in self.ports]
        if self.kind != "horizontal":
            rng.shuffle(ends)
        gap_s = (end_s - begin_s) / len(ends)
        scan = Behaviour(
            f"{self.kind} port scan", "scan", self.techniques, [self.scanner.ip], [each.ip for each in self.targets],
            parameters={"targets": len(self.targets), "ports": len(self.ports), "gap_s": gap_s},
        )  # fmt: skip
        knock = _KNOCKS[self.kind](site, rng, self.scanner)
        with site.behaving(scan):
            for index, (target, port) in enumerate(ends):
                knock(target, port, begin_s + (index + rng.random() * 0.99) * gap_s)
        return scan


Knock = Callable[[Host, int, float], None]


def _half_open(site: Site, rng: random.Random, scanner: Host) -> Knock:
    source = rng.randrange(40000, 49000)

    def knock(target: Host, port: int, at: float) -> None:
        free = site.capture.is_free(scanner, target, "tcp", source, port)
        scans.knock(site, scanner, target, port, at, source if free else site.port(scanner, target, "tcp", port))

    return knock


def _sweep(site: Site, rng: random.Random, scanner: Host) -> Knock:
    """Ask who is there before the first knock, as scanners do where they can."""
    met: set[str] = set()
    half_open, pings = _half_open(site, rng, scanner), rng.random() < 0.7

    def knock(target: Host, port: int, at: float) -> None:
        if target.ip not in met:
            met.add(target.ip)
            if network_of(scanner) == network_of(target):
                site.arp(scanner, target, at - 0.001, is_answered=target.role != "unused")
            if pings and site.capture.is_free(scanner, target, "icmp", 8, 0):
                scans.sweep(site, scanner, target, at - 0.0005)
        half_open(target, port, at)

    return knock


def _datagram(site: Site, _rng: random.Random, scanner: Host) -> Knock:
    probes = {}

    def knock(target: Host, port: int, at: float) -> None:
        if target.ip not in probes:
            probes[target.ip] = scans.UdpProbe(site, scanner, target)
        probes[target.ip].send(port, at)

    return knock


def _banner(site: Site, _rng: random.Random, scanner: Host) -> Knock:
    def knock(target: Host, port: int, at: float) -> None:
        scans.grab_banner(site, scanner, target, port, at)

    return knock


_KNOCKS = {"vertical": _half_open, "slow": _half_open, "horizontal": _sweep, "udp": _datagram, "services": _banner}


def port_scan(
    seed: str, *, kind: Kind = "vertical", origin: Origin = "inside", ports: int = 1000, hosts: int = 8,
    duration_s: float = 120.0, background: bool = True,
) -> Site:  # fmt: skip
    """Scan ports: many of one server, one of all hosts, by UDP, for banners, or very slowly."""
    site = lively_site(seed, hosts, duration_s, background)
    rng = site.derived("scan")
    if origin == "inside":
        scanner = site.guest("kali.corp.example", 250, system=SCANNER)
    else:
        scanner = site.outside("host-9.provider.example", "attacker", SCANNER)
    targets, numbers = [site.files], chosen_ports(rng, kind, ports)
    if kind == "horizontal":
        targets = addresses(site, network_of(site.files), scanner)
    share = 0.85 if kind in ("slow", "udp") else 0.2
    Scan(kind, scanner, targets, numbers).play(site, rng, duration_s * 0.1, duration_s * (0.1 + share))
    return site


def network_of(host: Host) -> str:
    """Return the first three bytes of a host's address, by which networks of the site are told apart."""
    return host.ip.rpartition(".")[0]


def addresses(site: Site, network: str, scanner: Host) -> list[Host]:
    """Return every address of a network but the scanner's, whether or not a host lives there."""
    known = {host.ip: host for host in site.hosts}
    every = (f"{network}.{number}" for number in range(1, 255))
    return [known.get(ip) or Host(ip, ip, site.router.mac, "unused") for ip in every if ip != scanner.ip]


def chosen_ports(rng: random.Random, kind: Kind, count: int) -> list[int]:
    """Return the ports that a kind of scan tries."""
    match kind:
        case "horizontal":
            return list(SERVICES[:count])
        case "udp":
            return rng.sample(range(1, 65536), count)
        case "slow":
            return list(range(1, min(count, SLOW_PORTS) + 1))
        case "services":
            return list(LIKELY_PORTS[:count])
        case _:
            return list(range(1, count + 1))
