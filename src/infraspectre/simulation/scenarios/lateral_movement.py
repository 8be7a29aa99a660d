"""Lateral movement: from one machine inside to the others, and the tickets and passwords that open them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from infraspectre.simulation.activities import remote, shares
from infraspectre.simulation.capture import Behaviour
from infraspectre.simulation.hosts import Host
from infraspectre.simulation.protocols import kerberos, ssh
from infraspectre.simulation.scenarios.background import lively_site
from infraspectre.simulation.scenarios.brute_force import accounts
from infraspectre.simulation.site import Site

Way = Literal["psexec", "winrm", "winrm-tls", "rdp", "ssh", "wmi"]
Roast = Literal["kerberoasting", "asrep-roasting"]
Kind = Literal["all", "psexec", "winrm", "winrm-tls", "rdp", "ssh", "wmi", "kerberoasting", "asrep-roasting"]
TECHNIQUES: dict[str, tuple[str, ...]] = {
    "psexec": ("T1021.002", "T1569.002", "T1570"),
    "winrm": ("T1021.006",),
    "winrm-tls": ("T1021.006",),
    "rdp": ("T1021.001",),
    "ssh": ("T1021.004",),
    "wmi": ("T1047", "T1021.003"),
    "kerberoasting": ("T1558.003",),
    "asrep-roasting": ("T1558.004",),
}
_NAMES = {
    "psexec": "psexec", "winrm": "winrm fan-out", "winrm-tls": "winrm fan-out in tls", "rdp": "rdp fan-out",
    "ssh": "ssh fan-out", "wmi": "wmi fan-out",
}  # fmt: skip
TICKETS = 12
_SERVICES = ("MSSQLSvc/sql{:02}.corp.example:1433", "HTTP/app{:02}.corp.example", "ftp/share{:02}.corp.example")


def service_name(number: int) -> str:
    """Return the name of a service that runs under an account of a person, a different one for each number."""
    return _SERVICES[number % len(_SERVICES)].format(number // len(_SERVICES) + 1)


@dataclass(frozen=True)
class Spread:
    """Says how one machine reaches others."""

    way: Way
    user: str = "administrator"
    session_s: float = 12.0
    """How long the attacker stays on each desktop."""
    service: str = "PSEXESVC"
    """Name of the service that is started through admin shares; other tools than PsExec draw one."""

    def play(
        self, site: Site, rng: random.Random, attacker: Host, victims: list[Host], begin_s: float, end_s: float
    ) -> Behaviour:
        """Reach one victim after the other within the span."""
        gap_s = (end_s - begin_s) / len(victims)
        behaviour = Behaviour(
            _NAMES[self.way], "lateral-movement", TECHNIQUES[self.way], [attacker.ip], [each.ip for each in victims],
            parameters={"targets": len(victims), "gap_s": gap_s},
        )  # fmt: skip
        with site.behaving(behaviour):
            for number, victim in enumerate(victims):
                self._reach(site, rng, attacker, victim, begin_s + (number + rng.random() * 0.3) * gap_s)
        return behaviour

    def _reach(self, site: Site, rng: random.Random, attacker: Host, victim: Host, at: float) -> None:
        match self.way:
            case "psexec":
                shares.run_service(site, attacker, victim, at, self.user, self.service)
            case "winrm":
                remote.run_winrm(site, attacker, victim, at, rng.randrange(1, 6))
            case "winrm-tls":
                remote.run_winrm_in_tls(site, attacker, victim, at, rng.randrange(1, 6))
            case "rdp":
                remote.use_rdp(site, attacker, victim, at, self.user, self.session_s)
            case "ssh":
                remote.use_ssh(site, attacker, victim, at, rng.randrange(1, 5), ssh.SCRIPT_CLIENT)
            case "wmi":
                remote.run_wmi(site, attacker, victim, at)


def roast(
    site: Site, rng: random.Random, kind: Roast, attacker: Host, count: int, begin_s: float, end_s: float,
    cipher: int = kerberos.RC4,
) -> Behaviour:  # fmt: skip
    """Collect tickets that can be cracked elsewhere: of services, or of accounts that need no proof first."""
    behaviour = Behaviour(
        kind.replace("-", " "), "ticket-theft", TECHNIQUES[kind], [attacker.ip], [site.dns.ip],
        parameters={"tickets": count, "gap_s": (end_s - begin_s) / count},
    )  # fmt: skip
    users = accounts(rng, count)
    with site.behaving(behaviour):
        for number in range(count):
            at = begin_s + (number + rng.random() * 0.5) * (end_s - begin_s) / count
            if kind == "kerberoasting":
                shares.get_ticket(site, attacker, service_name(number), at, cipher)
            else:
                shares.ask_without_proof(site, attacker, users[number], at, is_given=rng.random() < 0.2)
    return behaviour


def lateral_movement(
    seed: str,
    *,
    kind: Kind = "all",
    targets: int = 8,
    hosts: int = 12,
    duration_s: float = 600.0,
    background: bool = True,
) -> Site:
    """Reach other machines from an infected one by admin shares, WinRM, RDP, SSH or WMI, or collect tickets."""
    site = lively_site(seed, hosts, duration_s, background)
    kinds: tuple[Kind, ...] = ("psexec", "winrm", "rdp", "kerberoasting") if kind == "all" else (kind,)
    share_s = duration_s * 0.8 / len(kinds)
    for number, each in enumerate(kinds):
        begin_s = duration_s * 0.1 + number * share_s
        _move(site, each, targets, begin_s, begin_s + share_s * 0.9)
    return site


def _move(site: Site, kind: Kind, targets: int, begin_s: float, end_s: float) -> None:
    rng, attacker = site.derived(f"movement/{kind}"), site.clients[0]
    match kind:
        case "kerberoasting" | "asrep-roasting":
            roast(site, rng, kind, attacker, TICKETS, begin_s, min(begin_s + 5.0, end_s))
        case "psexec" | "winrm" | "winrm-tls" | "rdp" | "ssh" | "wmi":
            Spread(kind).play(site, rng, attacker, others(site, attacker)[:targets], begin_s, end_s)


def others(site: Site, attacker: Host) -> list[Host]:
    """Return the machines that an intruder would like to reach."""
    return [host for host in (*site.clients, site.files) if host is not attacker]
