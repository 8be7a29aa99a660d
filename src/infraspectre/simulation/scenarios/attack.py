"""One attack of any kind, with parameters as the seed draws them."""

from __future__ import annotations

from infraspectre.simulation.attacks import ATTACKS
from infraspectre.simulation.scenarios.background import lively_site
from infraspectre.simulation.site import Site

LEAST_HOSTS = 4
"""Workstations that attacks which involve several need."""


def attack(
    seed: str, *, kind: str = "tls-beacon", hosts: int = 12, duration_s: float = 3600.0, background: bool = True
) -> Site:
    """Play one attack whose rates, sizes, ports and parts the seed draws over wide ranges."""
    if kind not in ATTACKS:
        raise ValueError(f"kind must be one of {', '.join(ATTACKS)}, not {kind!r}")
    if hosts < LEAST_HOSTS:
        raise ValueError(f"hosts must be at least {LEAST_HOSTS}")
    site = lively_site(seed, hosts, duration_s, background)
    ATTACKS[kind](site, site.derived(kind), duration_s * 0.05, duration_s * 0.98)
    return site
