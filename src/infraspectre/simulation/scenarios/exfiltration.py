"""Exfiltration: data leaves the site, at once or a little at a time."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from infraspectre.simulation.activities import files, names, remote, web
from infraspectre.simulation.capture import Behaviour
from infraspectre.simulation.hosts import Host
from infraspectre.simulation.protocols import tls
from infraspectre.simulation.scenarios.background import lively_site
from infraspectre.simulation.site import Site

Channel = Literal["https", "http", "ftp", "ssh", "icmp", "cloud"]
TECHNIQUES = {
    "https": ("T1048.002",),
    "http": ("T1048.003",),
    "ftp": ("T1048.003",),
    "ssh": ("T1048.002",),
    "icmp": ("T1048.003", "T1095"),
    "cloud": ("T1567.002",),
}
DROP_SERVER = "drop.files77.example"
CLOUD_SERVERS = ("storage.cloud.example", "content.dropbox.example", "upload.files.example", "api.share.example")
"""Names under which data is stored for everybody, so that the name alone says nothing."""
ECHO_BYTES = 1400
ECHO_GAP_S = 0.02
MAX_ECHO_MEGABYTES = 10.0
LIMITED = "T1030"
"""Technique of keeping each transfer small."""


@dataclass(frozen=True)
class Theft:
    """Says which way data leaves."""

    channel: Channel = "https"
    drop: str = DROP_SERVER
    library: tls.Client = tls.SCRIPT

    def play(
        self, site: Site, rng: random.Random, victim: Host, sizes: list[int], begin_s: float, end_s: float
    ) -> Behaviour:
        """Send pieces of some sizes, spread over the span."""
        drop = site.outside(self.drop, "drop server")
        techniques = TECHNIQUES[self.channel] + ((LIMITED,) if len(sizes) > 1 else ())
        behaviour = Behaviour(
            f"{self.channel} exfiltration", "exfiltration", techniques, [victim.ip], [victim.ip], [drop.ip],
            parameters={"bytes": sum(sizes), "pieces": len(sizes), "bytes_per_s": sum(sizes) / (end_s - begin_s)},
        )  # fmt: skip
        gap_s = (end_s - begin_s) / len(sizes)
        with site.behaving(behaviour):
            send = _Echoes(site, rng, victim, drop).send if self.channel == "icmp" else self._sender(site, victim, drop)
            for number, size in enumerate(sizes):
                send(begin_s + number * gap_s + (rng.uniform(0, 0.8) * gap_s if number else 0.0), size)
        return behaviour

    def _sender(self, site: Site, victim: Host, drop: Host) -> Callable[[float, int], None]:
        def send(at: float, size: int) -> None:
            match self.channel:
                case "https" | "cloud":
                    web.upload(site, victim, drop, at, size, self.library)
                case "http":
                    web.post(site, victim, drop, names.resolve(site, victim, drop, at), size)
                case "ftp":
                    files.send(site, victim, drop, at, "anonymous", "archive.7z", site.rng.randbytes(size))
                case "ssh":
                    remote.copy_over_ssh(site, victim, drop, at, size)

        return send


class _Echoes:
    """Carries data in echo requests of one conversation."""

    def __init__(self, site: Site, rng: random.Random, victim: Host, drop: Host) -> None:
        self._rng = rng
        self._talk = site.echo(victim, drop, 0.0)

    def send(self, at: float, size: int) -> None:
        self._talk.now = max(at, self._talk.now)
        for start in range(0, size, ECHO_BYTES):
            data = self._rng.randbytes(min(ECHO_BYTES, size - start))
            self._talk.ask(data)
            self._talk.reply(data)
            self._talk.wait(ECHO_GAP_S)


def exfiltration(
    seed: str, *, channel: Channel = "https", megabytes: float = 5.0, pieces: int = 1, hosts: int = 8,
    duration_s: float = 300.0, background: bool = True,
) -> Site:  # fmt: skip
    """Send megabytes from one workstation to a server outside, in one piece or in many, over one of six channels."""
    if channel == "icmp" and megabytes > MAX_ECHO_MEGABYTES:
        raise ValueError(f"megabytes must be at most {MAX_ECHO_MEGABYTES:g} by icmp, whose echoes are one flow")
    site = lively_site(seed, hosts, duration_s, background)
    theft = Theft(channel, CLOUD_SERVERS[0] if channel == "cloud" else DROP_SERVER)
    rng, sizes = site.derived("theft"), [int(megabytes * 1e6) // pieces] * pieces
    theft.play(site, rng, site.clients[0], sizes, duration_s * (0.5 if pieces == 1 else 0.1), duration_s * 0.9)
    return site
