"""Beacons: an infected machine asks its master for orders, again and again."""

from __future__ import annotations

import base64
from typing import Literal

from infraspectre.simulation.activities import names, secure
from infraspectre.simulation.capture import Behaviour
from infraspectre.simulation.hosts import Host
from infraspectre.simulation.protocols import dns, http, tls
from infraspectre.simulation.scenarios.background import lively_site
from infraspectre.simulation.site import Site

Channel = Literal["http", "tls", "dns"]
TECHNIQUES = {"http": ("T1071.001",), "tls": ("T1071.001", "T1573"), "dns": ("T1071.004",)}
CONTROL_SERVER = "status.k4vq9x.example"
PIXEL = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")
"""A transparent GIF of one pixel."""
AGENT = "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 5.1; Trident/4.0)"


def beacon(
    seed: str, *, channel: Channel = "tls", period_s: float = 30.0, jitter: float = 0.1, hosts: int = 8,
    duration_s: float = 1800.0, background: bool = True,
) -> Site:  # fmt: skip
    """Call a control server from one infected workstation, at a period with jitter, over HTTP, TLS or DNS."""
    site = lively_site(seed, hosts, duration_s, background)
    call_home(site, site.clients[0], channel, period_s, jitter, duration_s * 0.02, duration_s)
    return site


def call_home(
    site: Site, victim: Host, channel: Channel, period_s: float, jitter: float, start: float, end: float
) -> None:
    """Call at each period, shifted by up to a share of it."""
    master = site.outside(CONTROL_SERVER, "control server")
    behaviour = Behaviour(f"{channel} beacon", "beacon", TECHNIQUES[channel], [victim.ip], [victim.ip], [master.ip])
    call = {"http": _call_http, "tls": _call_tls, "dns": _call_dns}[channel]
    rng = site.derived(f"beacon/{channel}")
    with site.behaving(behaviour):
        at = start
        if channel != "dns":
            at = names.resolve(site, victim, master, start)
        while at < end:
            call(site, victim, master, at)
            at += period_s * (1.0 + rng.uniform(-jitter, jitter))


def _call_http(site: Site, victim: Host, master: Host, at: float) -> None:
    talk = site.tcp(victim, master, 80, at)
    talk.connect()
    state = base64.urlsafe_b64encode(site.rng.randbytes(36)).decode()
    talk.request(http.request(master.name, "/pixel.gif", agent=AGENT, Cookie=f"sid={state}"))
    talk.wait(0.01)
    talk.respond(http.response(200, PIXEL, "image/gif", "Apache"))
    talk.close()


def _call_tls(site: Site, victim: Host, master: Host, at: float) -> None:
    talk = site.tcp(victim, master, 443, at)
    talk.connect()
    session = secure.TlsSession(site, talk, master, tls.IMPLANT, master.name, is_self_signed=True)
    session.ask(220, 96)
    session.close()


def _call_dns(site: Site, victim: Host, master: Host, at: float) -> None:
    name = f"{site.rng.randbytes(4).hex()}.{master.name}"
    names.ask(
        site, victim, site.dns, name, at, [dns.text(site.rng.randbytes(12).hex().encode())], dns.TXT, pause_s=0.04
    )
