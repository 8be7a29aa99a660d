"""Port scans: many doors of one host, one door of many hosts, datagrams, or very slowly."""

from __future__ import annotations

from typing import Literal

from infraspectre.simulation.activities import scans
from infraspectre.simulation.capture import Behaviour
from infraspectre.simulation.conversation import LONGEST_FLOW_S, LONGEST_PAUSE_S
from infraspectre.simulation.hosts import SCANNER, Host
from infraspectre.simulation.scenarios.background import lively_site
from infraspectre.simulation.site import Site

Kind = Literal["vertical", "horizontal", "udp", "slow"]
SERVICES = (445, 3389, 22)
"""Ports that a horizontal scan looks for."""
SLOW_PORTS = 60


def port_scan(
    seed: str, *, kind: Kind = "vertical", ports: int = 1000, hosts: int = 8, duration_s: float = 120.0,
    background: bool = True,
) -> Site:  # fmt: skip
    """Scan ports from one machine inside: many of one server, one of all hosts, by UDP, or very slowly."""
    site = lively_site(seed, hosts, duration_s, background)
    scanner = site.guest("kali.corp.example", 250, system=SCANNER)
    scan = Behaviour(
        f"{kind} port scan", "scan", ("T1046", "T1018") if kind == "horizontal" else ("T1046",), attackers=[scanner.ip]
    )
    with site.behaving(scan):
        _KINDS[kind](site, scan, scanner, ports, duration_s)
    return site


def vertical(site: Site, scan: Behaviour, scanner: Host, ports: int, duration_s: float) -> None:
    """Knock on many ports of the file server within a fifth of the time."""
    knock_on(site, scan, scanner, site.files, ports, duration_s * 0.1, duration_s * 0.2)


def slow(site: Site, scan: Behaviour, scanner: Host, ports: int, duration_s: float) -> None:
    """Knock on a few ports of the file server, spread over the whole capture."""
    knock_on(site, scan, scanner, site.files, min(ports, SLOW_PORTS), duration_s * 0.1, duration_s * 0.85)


def knock_on(site: Site, scan: Behaviour, scanner: Host, target: Host, ports: int, at: float, seconds: float) -> None:
    """Knock on the lowest ports of a host in random order, evenly over some time, from one source port."""
    rng = site.derived("scan")
    numbers = list(range(1, ports + 1))
    rng.shuffle(numbers)
    gap_s = seconds / len(numbers)
    source = rng.randrange(40000, 49000)
    scan.victims.append(target.ip)
    for index, port in enumerate(numbers):
        scans.knock(site, scanner, target, port, at + (index + rng.random()) * gap_s, source)


def horizontal(site: Site, scan: Behaviour, scanner: Host, ports: int, duration_s: float) -> None:
    """Ask who is there, then knock on a few service ports of every address."""
    rng = site.derived("scan")
    source = rng.randrange(40000, 49000)
    gap_s = duration_s * 0.2 / 254
    for number in range(1, 255):
        target = site.address_without_host(number)
        if target is scanner:
            continue
        at = duration_s * 0.1 + number * gap_s
        site.arp(scanner, target, at - 0.001, is_answered=target.role != "unused")
        scans.sweep(site, scanner, target, at - 0.0005)
        scan.victims.append(target.ip)
        for port in SERVICES[:ports]:
            scans.knock(site, scanner, target, port, at + rng.uniform(0.0, gap_s), source)


def by_udp(site: Site, scan: Behaviour, scanner: Host, ports: int, duration_s: float) -> None:
    """Send empty datagrams to many ports of the file server."""
    numbers = site.derived("scan").sample(range(1, 65536), ports)
    scan.victims.append(site.files.ip)
    gap_s = min(LONGEST_PAUSE_S, min(duration_s * 0.7, LONGEST_FLOW_S) / len(numbers))
    scans.probe_udp(site, scanner, site.files, numbers, duration_s * 0.1, gap_s)


_KINDS = {"vertical": vertical, "horizontal": horizontal, "udp": by_udp, "slow": slow}
