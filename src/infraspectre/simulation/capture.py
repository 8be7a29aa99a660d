"""The capture in the making: every packet, and the truth about every flow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from infraspectre.simulation.community import COUNTERPARTS, community_id
from infraspectre.simulation.hosts import Host
from infraspectre.simulation.packets import PROTOCOLS

STARTED_AT = 1_767_600_000_000_000_000
"""Default time of the first packet: 2026-01-05T08:00:00Z, a Monday, in nanoseconds since the epoch."""


@dataclass(eq=False)
class Behaviour:
    """Says what some flows were made to show, and who played which part."""

    name: str
    category: str = "benign"
    techniques: tuple[str, ...] = ()
    """ATT&CK techniques shown."""
    attackers: list[str] = field(default_factory=list)
    victims: list[str] = field(default_factory=list)
    control_servers: list[str] = field(default_factory=list)
    campaign: str = ""
    """What ties the stages of one intrusion together; empty for an attack by itself."""
    parameters: dict[str, float | str] = field(default_factory=dict)
    """What decides how hard it is to see, such as period_s, jitter or bytes_per_s."""

    @property
    def attack(self) -> bool:
        """Tell whether this is hostile."""
        return self.category != "benign"


@dataclass(slots=True)
class Flow:
    """Holds the truth about one flow; byte counts are IP payload lengths."""

    orig: Host
    resp: Host
    protocol: str
    orig_port: int
    """For ICMP the message type."""
    resp_port: int
    """For ICMP the type that answers it, or the code where none does (Community ID specification)."""
    behaviour: Behaviour
    started_at: int = 0
    ended_at: int = 0
    orig_packets: int = 0
    resp_packets: int = 0
    orig_bytes: int = 0
    resp_bytes: int = 0

    def count(self, at: int, from_orig: bool, ip_payload_bytes: int) -> None:
        """Count one packet seen at a time in nanoseconds."""
        self.started_at = min(self.started_at or at, at)
        self.ended_at = max(self.ended_at, at)
        if from_orig:
            self.orig_packets += 1
            self.orig_bytes += ip_payload_bytes
        else:
            self.resp_packets += 1
            self.resp_bytes += ip_payload_bytes

    @property
    def community_id(self) -> str:
        """Return the flow's Community ID with seed 0."""
        one_way = self.protocol in COUNTERPARTS and self.orig_port not in COUNTERPARTS[self.protocol]
        ports = self.orig_port, self.resp_port
        return community_id(self.orig.address, self.resp.address, PROTOCOLS[self.protocol], *ports, one_way)


class Capture:
    """Collects frames and flows; times are seconds since the start of the capture."""

    def __init__(self, started_at: int = STARTED_AT) -> None:
        """Start with nothing, at a time in nanoseconds since the epoch."""
        self.started_at = started_at
        self.flows: list[Flow] = []
        self.behaviours: list[Behaviour] = []
        self._frames: list[tuple[int, int, bytes]] = []
        self._ends: set[frozenset[tuple[str, int] | str]] = set()
        self._current: list[Behaviour] = []

    @property
    def behaviour(self) -> Behaviour:
        """Return what new flows are made to show."""
        return self._current[-1]

    @contextmanager
    def behaving(self, behaviour: Behaviour) -> Iterator[Behaviour]:
        """Let flows opened inside belong to a behaviour."""
        if behaviour not in self.behaviours:
            self.behaviours.append(behaviour)
        self._current.append(behaviour)
        yield behaviour
        self._current.pop()

    def is_free(self, orig: Host, resp: Host, protocol: str, orig_port: int, resp_port: int) -> bool:
        """Tell whether no flow has used these end points, in either direction."""
        return self._key(orig, resp, protocol, orig_port, resp_port) not in self._ends

    def open(self, orig: Host, resp: Host, protocol: str, orig_port: int, resp_port: int) -> Flow:
        """Start a flow; end points are never used twice, so that no timeout can change the truth."""
        key = self._key(orig, resp, protocol, orig_port, resp_port)
        if key in self._ends:
            raise ValueError(f"{protocol} {orig.ip}:{orig_port} -> {resp.ip}:{resp_port} was used before")
        self._ends.add(key)
        flow = Flow(orig, resp, protocol, orig_port, resp_port, self.behaviour)
        self.flows.append(flow)
        return flow

    @staticmethod
    def _key(orig: Host, resp: Host, protocol: str, orig_port: int, resp_port: int) -> frozenset[tuple[str, int] | str]:
        return frozenset((protocol, (orig.ip, orig_port), (resp.ip, resp_port)))

    def record(self, at: float, frame: bytes, flow: Flow | None = None, from_orig: bool = True, size: int = 0) -> None:
        """Keep a frame; one that belongs to a flow is counted there with its IP payload length."""
        time = self.started_at + round(at * 1e9)
        self._frames.append((time, len(self._frames), frame))
        if flow is not None:
            flow.count(time, from_orig, size)

    def packets(self) -> list[tuple[int, bytes]]:
        """Return times and frames in order of time."""
        return [(at, frame) for at, _, frame in sorted(self._frames)]
