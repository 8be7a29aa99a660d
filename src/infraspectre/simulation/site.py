"""The site: the hosts of a simulated company, the internet around it, and the ports they speak from."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from ipaddress import ip_address
from itertools import chain, islice
from pathlib import Path

from infraspectre.simulation import packets
from infraspectre.simulation.capture import STARTED_AT, Behaviour, Capture
from infraspectre.simulation.conversation import (
    EchoConversation,
    TcpConversation,
    UdpConversation,
    UnreachableConversation,
)
from infraspectre.simulation.hosts import EMBEDDED, LINUX, MACOS, WINDOWS, Host, System
from infraspectre.simulation.results import SimulationResult, write_result

LAN = "10.20.0"
FIRST_CLIENT, CLIENTS_PER_NETWORK = 50, 200
"""Clients have the addresses .50 to .249 of their network."""
INTERNET = ("192.0.2", "198.51.100", "203.0.113")
"""Documentation networks (RFC 5737) that stand for the internet."""
BENCHMARK_NETWORK = 198 << 24 | 18 << 16
"""198.18.0.0/15 (RFC 2544), which stands for the rest of the internet where 762 addresses are too few."""
EPHEMERAL_PORTS = range(49152, 65536)
"""Dynamic ports (RFC 6335, 6)."""
FIRST_FREE_PORT = 1024
"""Ports below are those of the system (RFC 6335, 6); the others are used once the dynamic ones are used up."""
_ROUTER_MAC = bytes.fromhex("02005e000001")
_CLIENT_SYSTEMS = (WINDOWS, WINDOWS, WINDOWS, MACOS, LINUX)


@dataclass(frozen=True)
class Networks:
    """Names the networks of a site, each by the first three bytes of its addresses."""

    servers: str = LAN
    clients: tuple[str, ...] = (LAN, "10.20.1")
    devices: str = LAN
    guests: str = LAN
    has_wide_internet: bool = False
    """Whether hosts outside are spread over more than the documentation networks."""


class Site:
    """Holds the hosts, hands out addresses and ports, and opens conversations between hosts."""

    def __init__(
        self, seed: str, clients: int = 12, scale: float = 1.0, networks: Networks = Networks(),
        started_at: int = STARTED_AT, duration_s: float | None = None,
    ) -> None:  # fmt: skip
        """Build a site; `scale` multiplies the sizes of its transfers, and the seed decides everything else."""
        self.seed = seed
        self.rng = random.Random(seed)  # noqa: S311 - repeatable on purpose; keeps no secret
        self.capture = Capture(started_at, duration_s)
        self.scale = scale
        self.networks = networks
        self.upstream: Host | None = None
        """Whom the site's name server asks; None where the capture does not show it."""
        self.forwarded: set[tuple[str, int]] = set()
        """Names that the name server asked for, and the hour in which it did: it remembers answers that long."""
        self._benign: dict[str, Behaviour] = {}
        self._outside: set[str] = set()
        self._hosts: dict[str, Host] = {}
        self._twins: dict[str, Host] = {}
        self._ports: dict[str, Iterator[int]] = {}
        self.router = self.plug_in("router", 1, "router", EMBEDDED, networks.clients[0])
        self.dns = self._server("dc1", 10, "domain controller and name server", WINDOWS)
        self.files = self._server("files", 11, "file server", WINDOWS)
        self.mail = self._server("mail", 12, "mail server", LINUX)
        self.intranet = self._server("intranet", 13, "web server", LINUX)
        self.monitor = self._server("monitor", 14, "monitoring", LINUX)
        self.backup = self._server("backup", 15, "backup server", LINUX)
        self.printers = [self._device(f"printer{n}", 19 + n, "printer") for n in (1, 2)]
        self.clients = [self._client(number) for number in range(1, clients + 1)]

    @property
    def hosts(self) -> list[Host]:
        """Return every host that exists, in order of creation."""
        return [*self._hosts.values(), *self._twins.values()]

    @property
    def servers(self) -> list[Host]:
        """Return the servers of the site."""
        return [self.dns, self.files, self.mail, self.intranet, self.backup]

    def now_s(self, at: float) -> int:
        """Return the time of day in whole seconds since the epoch, as hosts write it into messages."""
        return self.capture.started_at // 1_000_000_000 + int(at)

    def derived(self, purpose: str) -> random.Random:
        """Return a generator of its own for a purpose, so that one activity does not disturb another."""
        return random.Random(f"{self.seed}/{purpose}")  # noqa: S311

    def _server(self, name: str, number: int, role: str, system: System) -> Host:
        return self.plug_in(name, number, role, system, self.networks.servers)

    def _device(self, name: str, number: int, role: str) -> Host:
        return self.plug_in(name, number, role, EMBEDDED, self.networks.devices)

    def _client(self, number: int) -> Host:
        system = _CLIENT_SYSTEMS[self.rng.randrange(len(_CLIENT_SYSTEMS))]
        delay = self.rng.uniform(0.0002, 0.0006)
        place, offset = divmod(number - 1, CLIENTS_PER_NETWORK)
        network = self.networks.clients[place]
        return self.plug_in(f"pc{number:03}", FIRST_CLIENT + offset, "workstation", system, network, delay)

    def plug_in(self, name: str, number: int, role: str, system: System, network: str, delay_s: float = 0.0003) -> Host:
        """Plug a machine of the site into one of its networks."""
        ip = f"{network}.{number}"
        return self._add(Host(f"{name}.corp.example", ip, _mac(ip), role, system, delay_s))

    def _add(self, host: Host) -> Host:
        self._hosts[host.name] = host
        return host

    def gateway(self, host: Host) -> Host:
        """Return the router as a host of some network sees it."""
        ip = f"{host.ip.rpartition('.')[0]}.1"
        return self.router if ip == self.router.ip else replace(self.router, ip=ip, mac=_mac(ip))

    def guest(self, name: str, number: int, role: str = "unknown device", system: System = LINUX) -> Host:
        """Plug another machine into the local network."""
        ip = f"{self.networks.clients[0]}.{number}"
        return self._add(Host(name, ip, _mac(ip), role, system))

    def outside(self, name: str, role: str = "internet server", system: System = LINUX) -> Host:
        """Return the internet host of a name; its address and distance are drawn once."""
        if name not in self._hosts:
            rng = self.derived(f"outside/{name}")
            ip = next(ip for ip in self._addresses_outside(rng) if ip not in self._outside)
            self._outside.add(ip)
            self._add(Host(name, ip, _ROUTER_MAC, role, system, rng.uniform(0.006, 0.09), rng.randrange(5, 18)))
        return self._hosts[name]

    def _addresses_outside(self, rng: random.Random) -> Iterator[str]:
        while self.networks.has_wide_internet:
            yield str(ip_address(BENCHMARK_NETWORK + rng.randrange(1, 1 << 17)))
        taken = self._outside
        yield rng.choice(sorted({f"{net}.{number}" for net in INTERNET for number in range(1, 255)} - taken))

    def twin(self, host: Host) -> Host:
        """Return the same host with its IPv6 address (RFC 3849), made from the IPv4 address."""
        if host.ip not in self._twins:
            self._twins[host.ip] = replace(host, ip=f"2001:db8::{':'.join(host.ip.split('.'))}")
        return self._twins[host.ip]

    def address_without_host(self, number: int) -> Host:
        """Return a local address at which nobody answers, or the host that lives there."""
        return self.nobody(f"{self.networks.clients[0]}.{number}")

    def nobody(self, ip: str) -> Host:
        """Return a host for an address at which nobody answers, or the host that lives there."""
        known = (host for host in self._hosts.values() if host.ip == ip)
        return next(known, Host(ip, ip, _mac(ip), "unused"))

    def behaviour(self, name: str) -> Behaviour:
        """Return the benign behaviour of a name."""
        return self._benign.setdefault(name, Behaviour(name))

    def behaving(self, behaviour: Behaviour) -> AbstractContextManager[Behaviour]:
        """Let conversations opened inside belong to a behaviour."""
        return self.capture.behaving(behaviour)

    def port(self, orig: Host, resp: Host, protocol: str, resp_port: int) -> int:
        """Return the next source port that is new between two ends."""
        usual = islice(self._ports.setdefault(orig.ip, self._port_sequence()), len(EPHEMERAL_PORTS))
        ports = chain(usual, range(FIRST_FREE_PORT, EPHEMERAL_PORTS.start))
        return next(port for port in ports if self.capture.is_free(orig, resp, protocol, port, resp_port))

    def _port_sequence(self) -> Iterator[int]:
        start = self.rng.randrange(len(EPHEMERAL_PORTS))
        while True:
            yield EPHEMERAL_PORTS[start % len(EPHEMERAL_PORTS)]
            start += 1

    def tcp(self, orig: Host, resp: Host, port: int, at: float, orig_port: int | None = None) -> TcpConversation:
        """Prepare a TCP conversation; those with the internet lose a segment now and then."""
        ports = orig_port or self.port(orig, resp, "tcp", port), port
        loss = 0.001 if orig.hops or resp.hops else 0.0
        gap_s = 120e-6 if loss else 12e-6
        return TcpConversation(self.capture, self.rng, (orig, resp), ports, at, loss, gap_s)

    def udp(self, orig: Host, resp: Host, port: int, at: float, orig_port: int | None = None) -> UdpConversation:
        """Prepare a UDP conversation."""
        ports = orig_port or self.port(orig, resp, "udp", port), port
        return UdpConversation(self.capture, self.rng, (orig, resp), ports, at)

    def echo(self, orig: Host, resp: Host, at: float) -> EchoConversation:
        """Prepare an ICMP conversation; each pair can have one."""
        return EchoConversation(self.capture, self.rng, (orig, resp), at)

    def unreachable(self, orig: Host, resp: Host, at: float) -> UnreachableConversation:
        """Prepare reports of closed ports; each pair can have one flow of them."""
        return UnreachableConversation(self.capture, self.rng, (orig, resp), at)

    def size(self, median: float, spread: float = 0.8, most: float = 4e6) -> int:
        """Draw a transfer size: log-normal around a median, times the site's scale."""
        return int(min(most, median * self.rng.lognormvariate(0.0, spread)) * self.scale) + 64

    def arp(self, asker: Host, target: Host, at: float, is_answered: bool = True) -> None:
        """Ask for a hardware address (RFC 826); no flow."""
        question = packets.arp(1, asker.mac, asker.address, bytes(6), target.address)
        frame = packets.ethernet(packets.BROADCAST_MAC, asker.mac, packets.ETHERTYPE_ARP, question)
        self.capture.record(at, frame)
        if is_answered:
            answer = packets.arp(2, target.mac, target.address, asker.mac, asker.address)
            frame = packets.ethernet(asker.mac, target.mac, packets.ETHERTYPE_ARP, answer)
            self.capture.record(at + target.delay_s, frame)

    def claim(self, claimant: Host, ip: Host, told: Host, at: float) -> None:
        """Tell a host, unasked, that an address is at the claimant's hardware address; no flow."""
        answer = packets.arp(2, claimant.mac, ip.address, told.mac, told.address)
        self.capture.record(at, packets.ethernet(told.mac, claimant.mac, packets.ETHERTYPE_ARP, answer))

    def write(self, out: Path, scenario: str, seed: int, options: Mapping[str, object]) -> SimulationResult:
        """Write the capture and its truth into a folder."""
        return write_result(self.capture, self.hosts, out, scenario, seed, options)


def _mac(ip: str) -> bytes:
    """Return the locally administered hardware address of a machine inside, from the last half of its address."""
    return bytes.fromhex("02005e10") + bytes(map(int, ip.split(".")[2:]))
