"""The office: nothing but ordinary work."""

from __future__ import annotations

from infraspectre.simulation.activities import remote, web
from infraspectre.simulation.scenarios.background import UPDATE_SERVER, work
from infraspectre.simulation.site import Site


def office(
    seed: str, *, hosts: int = 24, duration_s: float = 1800.0, intensity: float = 1.0, scale: float = 0.3
) -> Site:
    """Spend part of a day in an office: web, mail, files, printing, monitoring, updates, a backup; no attack."""
    site = Site(seed, hosts, scale)
    site.arp(site.clients[0], site.router, 0.0)
    work(site, duration_s, intensity)
    rng = site.derived("office")
    with site.behaving(site.behaviour("backup")):
        for server in (site.files, site.intranet):
            remote.copy_over_ssh(
                site, server, site.backup, duration_s * rng.uniform(0.7, 0.9), site.size(4_000_000, 0.2)
            )
    with site.behaving(site.behaviour("software updates")):
        for client in rng.sample(site.clients, max(1, len(site.clients) // 8)):
            at = duration_s * rng.uniform(0.2, 0.8)
            web.download(site, client, site.outside(UPDATE_SERVER), at, site.size(2_000_000, 0.4))
    return site
