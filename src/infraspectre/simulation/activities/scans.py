"""Scans: knocking on doors, as port scanners do."""

from __future__ import annotations

from collections.abc import Iterable

from infraspectre.simulation.hosts import Host
from infraspectre.simulation.site import Site

REPORT_INTERVAL_S = 1.0
"""Least time between two ICMP errors to one host, the usual limit of operating systems (RFC 1812, 4.3.2.8)."""


def knock(site: Site, scanner: Host, target: Host, port: int, at: float, orig_port: int) -> None:
    """Send one SYN; the target refuses, accepts or, where nobody lives, stays silent."""
    talk = site.tcp(scanner, target, port, at, orig_port)
    if target.role == "unused":
        talk.unanswered(retries=1)
    elif port in open_ports(target):
        talk.half_open()
    else:
        talk.refused()


_OPEN_PORTS = {
    "domain controller and name server": (53, 88, 135, 389, 445, 3389, 5985),
    "file server": (135, 445, 3389, 5985),
    "mail server": (22, 25, 143, 587, 993),
    "web server": (22, 80, 443),
    "backup server": (21, 22),
    "printer": (80, 631, 9100),
    "workstation": (135, 445, 3389),
}


def open_ports(host: Host) -> tuple[int, ...]:
    """Return the TCP ports on which a host of some role listens."""
    return _OPEN_PORTS.get(host.role, ())


def probe_udp(site: Site, scanner: Host, target: Host, ports: Iterable[int], at: float, gap_s: float) -> None:
    """Send an empty datagram to each port; a host that lives there says at most once a second that it is closed."""
    reports, next_report = None, at
    for port in ports:
        talk = site.udp(scanner, target, port, at)
        talk.request(b"")
        if target.role != "unused" and at >= next_report:
            reports = reports or site.unreachable(target, scanner, at)
            reports.report(at, talk.last_packet)
            next_report = at + REPORT_INTERVAL_S
        at += gap_s * site.rng.uniform(0.7, 1.3)


def sweep(site: Site, scanner: Host, target: Host, at: float) -> None:
    """Ping one address."""
    talk = site.echo(scanner, target, at)
    talk.ask(bytes(32))
    if target.role != "unused":
        talk.reply(bytes(32))
