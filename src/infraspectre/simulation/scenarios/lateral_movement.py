"""Lateral movement: from one machine inside to the others."""

from __future__ import annotations

from typing import Literal

from infraspectre.simulation.activities import remote, shares
from infraspectre.simulation.capture import Behaviour
from infraspectre.simulation.hosts import Host
from infraspectre.simulation.protocols import kerberos
from infraspectre.simulation.scenarios.background import lively_site
from infraspectre.simulation.site import Site

Kind = Literal["all", "psexec", "winrm", "rdp", "kerberoasting"]
TECHNIQUES = {
    "psexec": ("T1021.002", "T1569.002", "T1570"),
    "winrm": ("T1021.006",),
    "rdp": ("T1021.001",),
    "kerberoasting": ("T1558.003",),
}
SERVICES = tuple(f"MSSQLSvc/sql{number:02}.corp.example:1433" for number in range(1, 13))


def lateral_movement(
    seed: str,
    *,
    kind: Kind = "all",
    targets: int = 8,
    hosts: int = 12,
    duration_s: float = 600.0,
    background: bool = True,
) -> Site:
    """Reach other machines from an infected one by admin shares, WinRM and RDP, and collect service tickets."""
    site = lively_site(seed, hosts, duration_s, background)
    kinds = tuple(TECHNIQUES) if kind == "all" else (kind,)
    share_s = duration_s * 0.8 / len(kinds)
    for number, each in enumerate(kinds):
        spread(site, site.clients[0], each, targets, duration_s * 0.1 + number * share_s, share_s * 0.9)
    return site


def spread(site: Site, attacker: Host, kind: str, targets: int, at: float, seconds: float) -> None:
    """Reach one target after the other within some time."""
    candidates = [host for host in (*site.clients, site.files) if host is not attacker]
    victims = [site.dns] if kind == "kerberoasting" else candidates[:targets]
    behaviour = Behaviour(
        _NAMES[kind], "lateral-movement", TECHNIQUES[kind], [attacker.ip], [each.ip for each in victims]
    )
    with site.behaving(behaviour):
        if kind == "kerberoasting":
            _roast(site, attacker, at, seconds)
        for number, victim in enumerate(victims if kind != "kerberoasting" else ()):
            _reach(site, attacker, victim, kind, at + (number + site.rng.random() * 0.3) * seconds / len(victims))


_NAMES = {"psexec": "psexec", "winrm": "winrm fan-out", "rdp": "rdp fan-out", "kerberoasting": "kerberoasting"}


def _reach(site: Site, attacker: Host, victim: Host, kind: str, at: float) -> None:
    match kind:
        case "psexec":
            shares.run_service(site, attacker, victim, at, "administrator")
        case "winrm":
            remote.run_winrm(site, attacker, victim, at)
        case "rdp":
            remote.use_rdp(site, attacker, victim, at, "administrator", 12.0)


def _roast(site: Site, attacker: Host, at: float, seconds: float) -> None:
    """Ask for RC4 tickets of many services within seconds."""
    for number, service in enumerate(SERVICES):
        shares.get_ticket(site, attacker, service, at + number * min(0.4, seconds / len(SERVICES)), kerberos.RC4)
