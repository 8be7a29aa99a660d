"""Exfiltration: data leaves the site."""

from __future__ import annotations

from typing import Literal

from infraspectre.simulation.activities import files, web
from infraspectre.simulation.capture import Behaviour
from infraspectre.simulation.hosts import Host
from infraspectre.simulation.protocols import tls
from infraspectre.simulation.scenarios.background import lively_site
from infraspectre.simulation.site import Site

Channel = Literal["https", "ftp", "icmp"]
TECHNIQUES = {"https": ("T1048.002",), "ftp": ("T1048.003",), "icmp": ("T1048.003", "T1095")}
DROP_SERVER = "drop.files77.example"
ECHO_BYTES = 1400
ECHO_GAP_S = 0.02
MAX_ECHO_MEGABYTES = 10.0


def exfiltration(
    seed: str, *, channel: Channel = "https", megabytes: float = 5.0, hosts: int = 8, duration_s: float = 300.0,
    background: bool = True,
) -> Site:  # fmt: skip
    """Send megabytes from one workstation to a new server outside, by HTTPS, FTP or ICMP."""
    if channel == "icmp" and megabytes > MAX_ECHO_MEGABYTES:
        raise ValueError(f"megabytes must be at most {MAX_ECHO_MEGABYTES:g} by icmp, whose echoes are one flow")
    site = lively_site(seed, hosts, duration_s, background)
    carry_off(site, site.clients[0], channel, int(megabytes * 1e6), duration_s * 0.5)
    return site


def carry_off(site: Site, victim: Host, channel: Channel, size: int, at: float) -> None:
    """Send so many bytes to the drop server."""
    drop = site.outside(DROP_SERVER, "drop server")
    behaviour = Behaviour(
        f"{channel} exfiltration", "exfiltration", TECHNIQUES[channel], [victim.ip], [victim.ip], [drop.ip]
    )
    with site.behaving(behaviour):
        match channel:
            case "https":
                web.upload(site, victim, drop, at, size, tls.SCRIPT)
            case "ftp":
                files.send(site, victim, drop, at, "anonymous", "archive.7z", site.rng.randbytes(size))
            case "icmp":
                _echo_away(site, victim, drop, size, at)


def _echo_away(site: Site, victim: Host, drop: Host, size: int, at: float) -> None:
    talk = site.echo(victim, drop, at)
    for _ in range(-(-size // ECHO_BYTES)):
        data = site.rng.randbytes(ECHO_BYTES)
        talk.ask(data)
        talk.reply(data)
        talk.wait(ECHO_GAP_S)
