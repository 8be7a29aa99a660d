"""Beacons: an infected machine asks its master for orders, again and again."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from infraspectre.simulation.activities import names, secure
from infraspectre.simulation.capture import Behaviour
from infraspectre.simulation.drawing import log_count, word
from infraspectre.simulation.hosts import Host
from infraspectre.simulation.protocols import dns, http, tls
from infraspectre.simulation.scenarios.background import lively_site
from infraspectre.simulation.site import Site

Channel = Literal["http", "tls", "dns", "icmp", "tcp"]
Look = Literal["implant", "own", "system", "fronted"]
TECHNIQUES = {
    "http": ("T1071.001",),
    "tls": ("T1071.001", "T1573.002"),
    "dns": ("T1071.004",),
    "icmp": ("T1095",),
    "tcp": ("T1095", "T1571"),
}
PORTS = {"http": 80, "tls": 443, "dns": 53, "icmp": 0, "tcp": 4444}
CONTROL_SERVER = "status.k4vq9x.example"
FRONT = "ajax.content-network.example"
"""What a fronted beacon says it wants: a site of a large content network (T1090.004)."""
PIXEL = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")
"""A transparent GIF of one pixel."""
AGENTS = (
    "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 5.1; Trident/4.0)",
    "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko",
    "Go-http-client/1.1",
    "python-requests/2.28.1",
    http.BROWSER,
)
DAY_S, HOUR_S = 86_400, 3600
NAME_LIFE_S = 300.0
"""How long a machine remembers an address before it asks again."""
LEAST_GAP = 0.02
"""Least share of the period between two calls, so that a jitter of 1 does not become a flood."""

Call = Callable[[float], None]
"""Calls the master once, at a time."""


@dataclass(frozen=True)
class Rhythm:
    """Says when a beacon calls."""

    period_s: float = 30.0
    jitter: float = 0.1
    """Largest share of the period by which a call comes earlier or later."""
    skip: float = 0.0
    """Share of calls that are left out."""
    awake: tuple[float, float] = (0.0, 24.0)
    """Hours of the day (UTC) between which it calls; at other times it sleeps."""

    def times(self, rng: random.Random, begin_s: float, end_s: float, midnight_s: float) -> Iterator[float]:
        """Yield times of calls in a span; `midnight_s` is a midnight on the same clock."""
        at = begin_s
        while at < end_s:
            hour = (at - midnight_s) % DAY_S / HOUR_S
            if self.awake[0] <= hour < self.awake[1] and rng.random() >= self.skip:
                yield at
            at += self.period_s * max(LEAST_GAP, 1.0 + rng.uniform(-self.jitter, self.jitter))


@dataclass(frozen=True)
class Beacon:
    """Says how a beacon calls home."""

    channel: Channel = "tls"
    rhythm: Rhythm = Rhythm()
    port: int = 0
    """Port of the master; 0 for the usual one of the channel."""
    look: Look = "implant"
    """Whose hello it says in TLS: an implant's, one of its own, the system's, or the system's for another name."""
    master: str = CONTROL_SERVER
    is_named: bool = True
    """Whether it looks its master up by name."""

    @property
    def techniques(self) -> tuple[str, ...]:
        """Return what the channel shows."""
        odd = ("T1571",) if self.port not in (0, PORTS[self.channel]) and self.channel in ("http", "tls") else ()
        return TECHNIQUES[self.channel] + odd + (("T1090.004",) if self._is_fronted else ())

    @property
    def _is_fronted(self) -> bool:
        return self.channel == "tls" and self.look == "fronted"


def beacon(
    seed: str, *, channel: Channel = "tls", period_s: float = 30.0, jitter: float = 0.1, skip: float = 0.0,
    look: Look = "implant", hosts: int = 8, duration_s: float = 1800.0, background: bool = True,
) -> Site:  # fmt: skip
    """Call a control server from one infected workstation, at a period with jitter, over one of five channels."""
    site = lively_site(seed, hosts, duration_s, background)
    kind = Beacon(channel, Rhythm(period_s, jitter, skip), look=look)
    call_home(site, site.derived(f"beacon/{channel}"), site.clients[0], kind, duration_s * 0.02, duration_s)
    return site


def call_home(site: Site, rng: random.Random, victim: Host, kind: Beacon, begin_s: float, end_s: float) -> Behaviour:
    """Call the master whenever the rhythm says so."""
    master = site.outside(kind.master, "control server")
    behaviour = Behaviour(
        f"{kind.channel} beacon", "beacon", kind.techniques, [victim.ip], [victim.ip], [master.ip],
        parameters={"period_s": kind.rhythm.period_s, "jitter": kind.rhythm.jitter, "skip": kind.rhythm.skip},
    )  # fmt: skip
    with site.behaving(behaviour):
        call = _CALLERS[kind.channel](site, rng, victim, master, kind)
        resolve = _resolver(site, victim, master, kind)
        for at in kind.rhythm.times(rng, begin_s, end_s, -(site.now_s(0.0) % DAY_S)):
            call(resolve(at))
    return behaviour


def _resolver(site: Site, victim: Host, master: Host, kind: Beacon) -> Callable[[float], float]:
    """Return what looks the master up where it was forgotten, and tells when its address is known."""
    known_until = 0.0

    def resolve(at: float) -> float:
        nonlocal known_until
        if not kind.is_named or kind.channel == "dns" or at < known_until:
            return at
        known_until = at + NAME_LIFE_S
        return names.resolve(site, victim, master, at)

    return resolve


def _http(site: Site, rng: random.Random, victim: Host, master: Host, kind: Beacon) -> Call:
    target, agent = f"/{word(rng, 2)}.{rng.choice(('gif', 'php', 'js', 'aspx'))}", rng.choice(AGENTS)
    is_post, host = rng.random() < 0.4, master.name if kind.is_named else master.ip
    upward, downward = log_count(rng, 24, 400), log_count(rng, 32, 3000)

    def call(at: float) -> None:
        talk = site.tcp(victim, master, kind.port or PORTS["http"], at)
        talk.connect()
        state = base64.urlsafe_b64encode(rng.randbytes(upward))
        if is_post:
            talk.request(http.request(host, target, "POST", agent, state))
        else:
            talk.request(http.request(host, target, agent=agent, Cookie=f"sid={state.decode()}"))
        talk.wait(rng.uniform(0.005, 0.1))
        if rng.random() < 0.7:
            talk.respond(http.response(200, PIXEL, "image/gif", "Apache"))
        else:
            talk.respond(http.response(200, rng.randbytes(downward), "application/octet-stream", "Apache"))
        talk.close()

    return call


def _own_client(rng: random.Random) -> tls.Client:
    """Draw a client whose hello nobody else says."""
    ciphers = rng.sample(tls.BROWSER.ciphers + tls.IMPLANT.ciphers, rng.randrange(6, 14))
    return tls.Client("own", tuple(dict.fromkeys(ciphers)), alpn=(), is_tls13=False)


def _tls(site: Site, rng: random.Random, victim: Host, master: Host, kind: Beacon) -> Call:
    clients = {"implant": tls.IMPLANT, "own": _own_client(rng), "system": tls.SYSTEM, "fronted": tls.SYSTEM}
    name = FRONT if kind.look == "fronted" else master.name if kind.is_named else None
    is_self_signed = kind.look in ("implant", "own")
    upward, downward = log_count(rng, 100, 800), log_count(rng, 60, 2000)

    def call(at: float) -> None:
        talk = site.tcp(victim, master, kind.port or PORTS["tls"], at)
        talk.connect()
        session = secure.TlsSession(site, talk, master, clients[kind.look], name, is_self_signed)
        has_task = rng.random() < 0.05
        session.ask(upward + rng.randrange(16), downward + (log_count(rng, 2_000, 60_000) if has_task else 0))
        session.close()

    return call


def _dns(site: Site, rng: random.Random, victim: Host, master: Host, kind: Beacon) -> Call:
    uses_addresses = rng.random() < 0.4

    def call(at: float) -> None:
        asked = f"{rng.randbytes(rng.choice((4, 6, 8))).hex()}.{master.name}"
        answer = dns.address(f"10.0.{rng.randrange(256)}.{rng.randrange(1, 255)}", 1)
        if not uses_addresses:
            answer = dns.text(base64.b64encode(rng.randbytes(rng.randrange(8, 60))), 1)
        names.ask(site, victim, site.dns, asked, at, [answer], answer[0], pause_s=0.04)

    return call


def _icmp(site: Site, rng: random.Random, victim: Host, master: Host, kind: Beacon) -> Call:
    talk = site.echo(victim, master, 0.0)
    size = rng.randrange(40, 200)

    def call(at: float) -> None:
        talk.now = at
        talk.ask(rng.randbytes(size))
        talk.reply(rng.randbytes(size))

    return call


def _tcp(site: Site, rng: random.Random, victim: Host, master: Host, kind: Beacon) -> Call:
    upward, downward = rng.randrange(16, 200), rng.randrange(8, 120)

    def call(at: float) -> None:
        talk = site.tcp(victim, master, kind.port or PORTS["tcp"], at)
        talk.connect()
        talk.request(upward.to_bytes(4, "big") + rng.randbytes(upward))
        talk.wait(rng.uniform(0.01, 0.2))
        talk.respond(downward.to_bytes(4, "big") + rng.randbytes(downward))
        talk.close()

    return call


_CALLERS = {"http": _http, "tls": _tls, "dns": _dns, "icmp": _icmp, "tcp": _tcp}
