"""Brute force: one password after the other, for one account or for all of them."""

from __future__ import annotations

import base64
import random
from dataclasses import dataclass
from typing import Literal, get_args

from infraspectre.simulation.activities import files, mail, remote, scans, shares, web
from infraspectre.simulation.capture import Behaviour
from infraspectre.simulation.drawing import word
from infraspectre.simulation.hosts import Host
from infraspectre.simulation.protocols import ssh
from infraspectre.simulation.scenarios.background import lively_site
from infraspectre.simulation.site import Site

Service = Literal[
    "ssh", "ftp", "http", "rdp", "smb", "form", "https", "imap", "imaps", "smtp", "smtps", "winrm", "kerberos"
]
SERVICES: tuple[Service, ...] = get_args(Service)
PORTS: dict[Service, int] = {
    "ssh": 22, "ftp": 21, "http": 80, "rdp": 3389, "smb": 445, "form": 80, "https": 443, "imap": 143, "imaps": 993,
    "smtp": 587, "smtps": 465, "winrm": 5985, "kerberos": 88,
}  # fmt: skip
"""Ports by which a host shows that it offers a service."""
USERS = ("root", "admin", "administrator", "test", "oracle", "backup", "guest", "postgres")


@dataclass(frozen=True)
class Guessing:
    """Says who guesses, where, how often, and for which accounts."""

    attacker: Host
    target: Host
    service: Service
    attempts: int
    success: bool = True
    users: tuple[str, ...] = USERS
    is_spray: bool = False
    """Whether every account is tried with the same few passwords (T1110.003), rather than one with many."""
    more_targets: tuple[Host, ...] = ()
    """Other machines on which it guesses in turn."""

    def play(self, site: Site, rng: random.Random, begin_s: float, end_s: float) -> Behaviour:
        """Spread attempts over the span; the last one may be right."""
        kind, technique = ("password spray", "T1110.003") if self.is_spray else ("brute force", "T1110.001")
        gap_s, targets = (end_s - begin_s) / (self.attempts + 1), (self.target, *self.more_targets)
        behaviour = Behaviour(
            f"{self.service} {kind}", "brute-force", (technique,), [self.attacker.ip], [each.ip for each in targets],
            parameters={"attempts": self.attempts, "gap_s": gap_s, "targets": len(targets)},
        )  # fmt: skip
        with site.behaving(behaviour):
            for number in range(self.attempts):
                user = self.users[number % len(self.users)] if self.is_spray else rng.choice(self.users)
                target = targets[number % len(targets)]
                self._fail(site, rng, target, user, begin_s + (number + rng.random() * 0.5) * gap_s)
            if self.success:
                self._succeed(site, rng, end_s - gap_s)
        return behaviour

    def _fail(self, site: Site, rng: random.Random, target: Host, user: str, at: float) -> None:
        ends = site, self.attacker, target, at
        several = [_password(rng) for _ in range(1 if self.is_spray else 3)]
        match self.service:
            case "ssh":
                remote.fail_ssh(*ends, tries=len(several))
            case "ftp":
                files.fail(*ends, user, several)
            case "http":
                web.basic_login(*ends, [_token(user, each) for each in several])
            case "form" | "https":
                web.form_login(*ends, [_form(user, each) for each in several], self.service == "https")
            case "imap" | "imaps" | "smtp" | "smtps":
                mail.fail(*ends, self.service, user, several)
            case "rdp":
                remote.fail_rdp(*ends, user)
            case "smb":
                shares.fail_logon(*ends, user)
            case "winrm":
                remote.fail_winrm(*ends)
            case "kerberos":
                shares.log_on_to_domain(site, self.attacker, at, is_right=False, user=user)

    def _succeed(self, site: Site, rng: random.Random, at: float) -> None:
        ends, password = (site, self.attacker, self.target, at), _password(rng)
        match self.service:
            case "ssh":
                remote.use_ssh(*ends, 6, ssh.SCRIPT_CLIENT)
            case "ftp":
                files.send(*ends, "backup", "tool.bin", rng.randbytes(30_000))
            case "http":
                web.basic_login(*ends, [_token("admin", password)], is_last_right=True)
            case "form" | "https":
                web.form_login(*ends, [_form("admin", password)], self.service == "https", is_last_right=True)
            case "imap" | "imaps" | "smtp" | "smtps":
                mail.read_new(*ends)
            case "rdp":
                remote.use_rdp(*ends, "administrator", 20.0)
            case "smb":
                shares.run_service(*ends, "administrator")
            case "winrm":
                remote.run_winrm(*ends)
            case "kerberos":
                shares.log_on_to_domain(site, self.attacker, at, user=self.users[-1])


def brute_force(
    seed: str, *, service: Service = "ssh", attempts: int = 150, success: bool = True, spray: bool = False,
    hosts: int = 8, duration_s: float = 300.0, background: bool = True,
) -> Site:  # fmt: skip
    """Guess passwords of one service, of one account or of many, and find the right one at last."""
    site = lively_site(seed, hosts, duration_s, background)
    rng, target = site.derived("guesses"), targets_of(site, service)[0]
    inside = service in ("kerberos", "winrm")
    attacker = site.clients[0] if inside else site.outside("host-17.provider.example", "attacker")
    users = accounts(rng, 40) if spray else USERS
    guessing = Guessing(attacker, target, service, attempts, success, users, spray)
    guessing.play(site, rng, duration_s * 0.1, duration_s * 0.9)
    return site


def accounts(rng: random.Random, count: int) -> tuple[str, ...]:
    """Coin names of accounts."""
    return tuple(f"{word(rng, 1)}.{word(rng, 2)}" for _ in range(count))


def targets_of(site: Site, service: Service) -> list[Host]:
    """Return the servers that offer a service."""
    if service == "kerberos":
        return [site.dns]
    return [each for each in site.servers if PORTS[service] in scans.open_ports(each)]


def _password(rng: random.Random) -> str:
    return rng.choice(("password", "123456", "letmein", "qwerty", "summer")) + str(rng.randrange(2027))


def _form(user: str, password: str) -> str:
    return f"username={user}&password={password}"


def _token(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()
