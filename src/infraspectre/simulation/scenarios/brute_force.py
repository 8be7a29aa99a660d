"""Brute force: one password after the other."""

from __future__ import annotations

import base64
from typing import Literal

from infraspectre.simulation.activities import files, remote, shares, web
from infraspectre.simulation.capture import Behaviour
from infraspectre.simulation.hosts import Host
from infraspectre.simulation.protocols import ssh
from infraspectre.simulation.scenarios.background import lively_site
from infraspectre.simulation.site import Site

Service = Literal["ssh", "ftp", "http", "rdp", "smb"]
USERS = ("root", "admin", "administrator", "test", "oracle", "backup", "guest", "postgres")


def brute_force(
    seed: str, *, service: Service = "ssh", attempts: int = 150, success: bool = True, hosts: int = 8,
    duration_s: float = 300.0, background: bool = True,
) -> Site:  # fmt: skip
    """Guess passwords of one service from outside, and find the right one at last."""
    site = lively_site(seed, hosts, duration_s, background)
    attacker = site.outside("host-17.provider.example", "attacker")
    guess(site, attacker, service, attempts, success, duration_s * 0.1, duration_s * 0.8)
    return site


def target_of(site: Site, service: Service) -> Host:
    """Return the server that offers a service."""
    return {"ssh": site.intranet, "ftp": site.backup, "http": site.intranet, "rdp": site.files, "smb": site.files}[
        service
    ]


def guess(
    site: Site, attacker: Host, service: Service, attempts: int, success: bool, at: float, seconds: float
) -> None:
    """Spread attempts over some time; the last one may be right."""
    target = target_of(site, service)
    behaviour = Behaviour(f"{service} brute force", "brute-force", ("T1110.001",), [attacker.ip], [target.ip])
    gap_s = seconds / attempts
    with site.behaving(behaviour):
        for number in range(attempts):
            _fail(site, attacker, target, service, at + (number + site.rng.random() * 0.5) * gap_s)
        if success:
            _succeed(site, attacker, target, service, at + seconds)


def _fail(site: Site, attacker: Host, target: Host, service: Service, at: float) -> None:
    user = site.rng.choice(USERS)
    match service:
        case "ssh":
            remote.fail_ssh(site, attacker, target, at)
        case "ftp":
            files.fail(site, attacker, target, at, user, [_password(site) for _ in range(3)])
        case "http":
            web.basic_login(site, attacker, target, at, [_token(site, user) for _ in range(5)])
        case "rdp":
            remote.fail_rdp(site, attacker, target, at, user)
        case "smb":
            shares.fail_logon(site, attacker, target, at, user)


def _succeed(site: Site, attacker: Host, target: Host, service: Service, at: float) -> None:
    match service:
        case "ssh":
            remote.use_ssh(site, attacker, target, at, 6, ssh.SCRIPT_CLIENT)
        case "ftp":
            files.send(site, attacker, target, at, "backup", "tool.bin", site.rng.randbytes(30_000))
        case "http":
            web.basic_login(site, attacker, target, at, [_token(site, "admin")], is_last_right=True)
        case "rdp":
            remote.use_rdp(site, attacker, target, at, "administrator", 20.0)
        case "smb":
            shares.run_service(site, attacker, target, at, "administrator")


def _password(site: Site) -> str:
    return site.rng.choice(("password", "123456", "letmein", "qwerty", "summer")) + str(site.rng.randrange(2027))


def _token(site: Site, user: str) -> str:
    return base64.b64encode(f"{user}:{_password(site)}".encode()).decode()
