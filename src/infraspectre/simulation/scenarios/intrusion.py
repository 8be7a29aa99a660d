"""Intrusions: campaigns over hours, each stage of which makes the next one possible."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from infraspectre.simulation.activities import names, shares
from infraspectre.simulation.attacks import drawn_beacon
from infraspectre.simulation.capture import Behaviour
from infraspectre.simulation.drawing import host_name, log_count, log_uniform
from infraspectre.simulation.hosts import Host
from infraspectre.simulation.protocols import http
from infraspectre.simulation.scenarios import (
    beacon,
    brute_force,
    campaign,
    dns_tunnel,
    exfiltration,
    lateral_movement,
    port_scan,
    web_attack,
)
from infraspectre.simulation.site import Site

LEAST_S = 2 * 3600.0
"""An intrusion takes at least this long; people sit behind it."""
CHANNELS: tuple[beacon.Channel, ...] = ("http", "tls", "tls", "dns")
WAYS: tuple[lateral_movement.Way, ...] = ("psexec", "winrm", "rdp", "ssh", "wmi")
LOGONS: tuple[brute_force.Service, ...] = ("ssh", "rdp")
EXPLOITATION: tuple[tuple[web_attack.Kind, int, tuple[float, float]], ...] = (
    ("injection", 300, (0.02, 0.06)),
    ("shell", 60, (0.08, 0.13)),
)
"""Kinds of hostile requests, most of them, and when they come as shares of the whole time."""
DISCOVERED_PORTS = (445, 3389, 22, 5985, 135, 80, 443)


@dataclass
class Intrusion:
    """Holds how far an intruder has come."""

    site: Site
    rng: random.Random
    begin_s: float
    end_s: float
    foothold: Host
    held: list[Host] = field(default_factory=list)
    """Machines reached from the foothold."""
    stages: list[Behaviour] = field(default_factory=list)

    def span(self, begin: float, end: float) -> tuple[float, float]:
        """Return the span between two shares of the whole time, moved a little."""
        whole, shift = self.end_s - self.begin_s, self.rng.uniform(-0.02, 0.02)
        return self.begin_s + (begin + shift) * whole, self.begin_s + (end + shift) * whole

    @property
    def hand(self) -> Host:
        """Return a machine that the intruder holds."""
        return self.rng.choice((self.foothold, *self.held))


def intrude(site: Site, rng: random.Random, begin_s: float, end_s: float) -> list[Behaviour]:
    """Get in, call home, look around, collect passwords, move on, gather files and carry them off."""
    intrusion = Intrusion(site, rng, begin_s, end_s, rng.choice(site.clients))
    for stage in (_get_in, _call_home, _look_around, _collect_tickets, _move_on, _settle, _gather, _carry_off):
        stage(intrusion)
    return campaign.joined(f"intrusion {rng.getrandbits(32):08x}", intrusion.stages)


def _get_in(intrusion: Intrusion) -> None:
    """Guess a password from outside, find a hole in the web server, or let somebody fetch a program."""
    intrusion.rng.choice((_guess, _exploit, _deliver, _deliver))(intrusion)


def _guess(intrusion: Intrusion) -> None:
    site, rng = intrusion.site, intrusion.rng
    service = rng.choice(LOGONS)
    intrusion.foothold = rng.choice(brute_force.targets_of(site, service))
    attacker = site.outside(host_name(rng), "attacker")
    guessing = brute_force.Guessing(attacker, intrusion.foothold, service, log_count(rng, 40, 400))
    intrusion.stages.append(guessing.play(site, rng, *intrusion.span(0.02, 0.1)))


def _exploit(intrusion: Intrusion) -> None:
    """Try holes of the web server, then give orders through what was put there."""
    site, rng, attacker = intrusion.site, intrusion.rng, intrusion.site.outside(host_name(intrusion.rng), "attacker")
    intrusion.foothold = site.intranet
    for kind, most, span in EXPLOITATION:
        requests = log_count(rng, 10, most)
        strike = web_attack.strike(site, rng, kind, attacker, site.intranet, requests, *intrusion.span(*span))
        intrusion.stages.append(strike)


def _deliver(intrusion: Intrusion) -> None:
    """Fetch a program over HTTP from a server that nobody knows (T1204.002), as after a letter with a link."""
    site, rng, victim = intrusion.site, intrusion.rng, intrusion.foothold
    server, (at, _) = site.outside(host_name(rng), "attacker"), intrusion.span(0.04, 0.1)
    behaviour = Behaviour(
        "delivered program", "malware-download", ("T1204.002", "T1105"), [server.ip], [victim.ip], [server.ip]
    )
    with site.behaving(behaviour):
        talk = site.tcp(victim, server, 80, names.resolve(site, victim, server, at))
        talk.connect()
        talk.request(http.request(server.name, f"/{rng.choice(('invoice', 'setup', 'scan_0042', 'update'))}.exe"))
        program = shares.PROGRAM_START + rng.randbytes(log_count(rng, 40_000, 900_000))
        talk.respond(http.response(200, program, "application/x-msdownload", "nginx"))
        talk.close()
    intrusion.stages.append(behaviour)


def _call_home(intrusion: Intrusion) -> None:
    begin_s, end_s = intrusion.span(0.14, 0.97)
    kind = drawn_beacon(intrusion.rng, intrusion.rng.choice(CHANNELS), end_s - begin_s)
    intrusion.stages.append(
        beacon.call_home(intrusion.site, intrusion.rng, intrusion.foothold, kind, begin_s, intrusion.end_s)
    )


def _look_around(intrusion: Intrusion) -> None:
    """Look for machines and what they offer, from the foothold."""
    site, rng = intrusion.site, intrusion.rng
    network = port_scan.network_of(rng.choice((site.dns, rng.choice(site.clients))))
    targets = port_scan.addresses(site, network, intrusion.foothold)[: log_count(rng, 60, 253)]
    ports = rng.sample(DISCOVERED_PORTS, rng.randrange(1, 4))
    begin_s, end_s = intrusion.span(0.22, 0.3)
    needed_s = len(targets) * len(ports) / log_uniform(rng, 0.5, 100)
    scan = port_scan.Scan("horizontal", intrusion.foothold, targets, ports)
    intrusion.stages.append(scan.play(site, rng, begin_s, min(end_s, begin_s + needed_s)))


def _collect_tickets(intrusion: Intrusion) -> None:
    """Collect tickets to crack, in half of all intrusions."""
    if intrusion.rng.random() < 0.5:
        begin_s, end_s = intrusion.span(0.34, 0.42)
        count = log_count(intrusion.rng, 5, 30)
        end_s = min(end_s, begin_s + count * log_uniform(intrusion.rng, 0.2, 20))
        roast = lateral_movement.roast(
            intrusion.site, intrusion.rng, "kerberoasting", intrusion.foothold, count, begin_s, end_s
        )
        intrusion.stages.append(roast)


def _move_on(intrusion: Intrusion) -> None:
    """Log on to other machines, one after the other."""
    site, rng = intrusion.site, intrusion.rng
    candidates = lateral_movement.others(site, intrusion.foothold)
    intrusion.held = rng.sample(candidates, min(len(candidates), rng.randrange(3, 9)))
    spread = lateral_movement.Spread(rng.choice(WAYS))
    intrusion.stages.append(spread.play(site, rng, intrusion.foothold, intrusion.held, *intrusion.span(0.46, 0.6)))


def _settle(intrusion: Intrusion) -> None:
    """Let another machine call home too, in a third of all intrusions."""
    if intrusion.rng.random() < 1 / 3:
        begin_s, end_s = intrusion.span(0.62, 0.97)
        kind = drawn_beacon(intrusion.rng, intrusion.rng.choice(CHANNELS), end_s - begin_s)
        victim = intrusion.rng.choice(intrusion.held)
        intrusion.stages.append(beacon.call_home(intrusion.site, intrusion.rng, victim, kind, begin_s, intrusion.end_s))


def _gather(intrusion: Intrusion) -> None:
    """Read many files of the file server within minutes (T1039)."""
    site, rng, thief = intrusion.site, intrusion.rng, intrusion.hand
    if thief is site.files:
        return
    begin_s, _ = intrusion.span(0.66, 0.7)
    behaviour = Behaviour("collection from a share", "collection", ("T1039",), [thief.ip], [site.files.ip])
    with site.behaving(behaviour):
        session = shares.SmbSession(site, thief, site.files, begin_s)
        session.log_on("administrator")
        session.connect("Projects")
        for number in range(log_count(rng, 20, 150)):
            session.read(f"finance\\contract-{number:03}.pdf", log_count(rng, 2_000, 60_000))
            session.talk.wait(rng.uniform(0.05, 0.8))
        session.log_off()
    intrusion.stages.append(behaviour)


def _carry_off(intrusion: Intrusion) -> None:
    """Carry the files off, by an upload or hidden in names."""
    rng: random.Random = intrusion.rng
    way: Callable[[Intrusion, tuple[float, float]], Behaviour] = rng.choice((_upload, _upload, _hide_in_names))
    intrusion.stages.append(way(intrusion, intrusion.span(0.76, 0.95)))


def _upload(intrusion: Intrusion, span: tuple[float, float]) -> Behaviour:
    rng, pieces = intrusion.rng, intrusion.rng.randrange(1, 5)
    channel: exfiltration.Channel = rng.choice(("https", "https", "ftp", "cloud"))
    drop = rng.choice(exfiltration.CLOUD_SERVERS) if channel == "cloud" else host_name(rng)
    sizes = [int(log_uniform(rng, 1e6, 2e7) / pieces)] * pieces
    return exfiltration.Theft(channel, drop).play(intrusion.site, rng, intrusion.hand, sizes, *span)


def _hide_in_names(intrusion: Intrusion, span: tuple[float, float]) -> Behaviour:
    rng, (begin_s, end_s) = intrusion.rng, span
    tunnel = dns_tunnel.Tunnel("txt", "base32", host_name(rng), 100)
    size = int(min(log_uniform(rng, 1, 200) * (end_s - begin_s), tunnel.upward_bytes * 3_000))
    return tunnel.play(intrusion.site, rng, intrusion.hand, max(size, 1_000), begin_s, end_s)
