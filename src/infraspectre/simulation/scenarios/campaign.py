"""A campaign: from the first knock to the last stolen byte."""

from __future__ import annotations

from infraspectre.simulation.capture import Behaviour
from infraspectre.simulation.scenarios import beacon, brute_force, exfiltration, lateral_movement, port_scan
from infraspectre.simulation.scenarios.background import lively_site
from infraspectre.simulation.site import Site


def campaign(
    seed: str, *, hosts: int = 12, duration_s: float = 7200.0, megabytes: float = 8.0, background: bool = True
) -> Site:
    """Break in step by step: scan, guessed password, beacon, lateral movement, theft; duration_s compresses it."""
    site = lively_site(seed, hosts, duration_s, background, 0.1)
    invade(site, duration_s, int(megabytes * 1e6))
    return site


def sample(seed: str, *, hosts: int = 8, duration_s: float = 480.0) -> Site:
    """Play eight minutes of a small office with a whole campaign in it; small enough to be bundled."""
    site = lively_site(seed, hosts, duration_s, scale=0.025)
    invade(site, duration_s, 300_000, ports=120, guesses=25, period_s=10.0)
    return site


def invade(
    site: Site, duration_s: float, size: int, ports: int = 400, guesses: int = 80, period_s: float = 30.0
) -> list[Behaviour]:
    """Play the stages one after the other; each begins where the one before made it possible."""
    attacker = site.outside("host-41.provider.example", "attacker")
    foothold, rng = site.intranet, site.derived("campaign")
    scan = port_scan.Scan("vertical", attacker, [foothold], range(1, ports + 1))
    guessing = brute_force.Guessing(attacker, foothold, "ssh", guesses)
    kind = beacon.Beacon("tls", beacon.Rhythm(period_s, 0.15))
    first, second = lateral_movement.Spread("psexec"), lateral_movement.Spread("rdp")
    victims = lateral_movement.others(site, foothold)
    return joined(site.seed, [
        scan.play(site, rng, duration_s * 0.08, duration_s * 0.16),
        guessing.play(site, rng, duration_s * 0.18, duration_s * 0.32),
        beacon.call_home(site, rng, foothold, kind, duration_s * 0.36, duration_s * 0.98),
        first.play(site, rng, foothold, victims[:4], duration_s * 0.55, duration_s * 0.65),
        second.play(site, rng, foothold, victims[:3], duration_s * 0.66, duration_s * 0.74),
        exfiltration.Theft().play(site, rng, site.files, [size], duration_s * 0.82, duration_s),
    ])  # fmt: skip


def joined(campaign: str, stages: list[Behaviour]) -> list[Behaviour]:
    """Say of behaviours that they are stages of one campaign."""
    for stage in stages:
        stage.campaign = campaign
    return stages
