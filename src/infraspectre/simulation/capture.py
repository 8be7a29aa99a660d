"""The capture in the making: every packet, and the truth about every flow."""

from __future__ import annotations

import struct
import tempfile
import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from heapq import merge
from operator import itemgetter
from typing import IO

from infraspectre.simulation.community import COUNTERPARTS, community_id
from infraspectre.simulation.hosts import Host
from infraspectre.simulation.packets import PROTOCOLS

STARTED_AT = 1_767_600_000_000_000_000
"""Default time of the first packet: 2026-01-05T08:00:00Z, a Monday, in nanoseconds since the epoch."""

MOST_FRAMES_HELD = 200_000
"""Frames kept in memory; more are sorted and laid aside in a file until they are written in order."""
Frame = tuple[int, bytes]
"""Time in nanoseconds since the epoch, and the bytes of a frame."""
Ends = tuple[str, str, int, str, int]
"""Protocol, and both ends of a flow in an order that does not depend on who began."""
FOREVER = 2**63
_LAID_ASIDE = struct.Struct("<QI")


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

    def __init__(self, started_at: int = STARTED_AT, duration_s: float | None = None) -> None:
        """Start with nothing, at a time in nanoseconds since the epoch; what comes after the end is not recorded."""
        self.started_at = started_at
        self._ends_at = FOREVER if duration_s is None else started_at + round(duration_s * 1e9)
        self._flows: list[Flow] = []
        self.behaviours: list[Behaviour] = []
        self._names: Counter[str] = Counter()
        self.spans: dict[Behaviour, tuple[int, int]] = {}
        """First and last time of frames without a flow, such as ARP, by what they were made to show."""
        self._frames: list[Frame] = []
        self._runs: list[IO[bytes]] = []
        self._open: dict[Ends, Flow] = {}
        self._current: list[Behaviour] = []
        self.first_at = FOREVER
        self.last_at = 0

    @property
    def flows(self) -> list[Flow]:
        """Return the flows of which something was recorded."""
        return [flow for flow in self._flows if flow.ended_at]

    @property
    def behaviour(self) -> Behaviour:
        """Return what new flows are made to show."""
        return self._current[-1]

    @contextmanager
    def behaving(self, behaviour: Behaviour) -> Iterator[Behaviour]:
        """Let flows opened inside belong to a behaviour; one whose name was given before gets a number too."""
        if behaviour not in self.behaviours:
            self._add(behaviour)
        self._current.append(behaviour)
        yield behaviour
        self._current.pop()

    def _add(self, behaviour: Behaviour) -> None:
        self._names[behaviour.name] += 1
        if self._names[behaviour.name] > 1:
            behaviour.name += f" {self._names[behaviour.name]}"
        self.behaviours.append(behaviour)

    def is_free(self, orig: Host, resp: Host, protocol: str, orig_port: int, resp_port: int) -> bool:
        """Tell whether no flow has used these end points, in either direction."""
        return self._key(orig, resp, protocol, orig_port, resp_port) not in self._open

    def open(self, orig: Host, resp: Host, protocol: str, orig_port: int, resp_port: int) -> Flow:
        """Start a flow; TCP never uses end points twice, other protocols go on with the flow of before."""
        key = self._key(orig, resp, protocol, orig_port, resp_port)
        known = self._open.get(key)
        if known is not None and protocol == "tcp":
            raise ValueError(f"{protocol} {orig.ip}:{orig_port} -> {resp.ip}:{resp_port} was used before")
        if known is not None and known.behaviour is self.behaviour and known.orig.ip == orig.ip:
            return known
        flow = self._open[key] = Flow(orig, resp, protocol, orig_port, resp_port, self.behaviour)
        self._flows.append(flow)
        return flow

    @staticmethod
    def _key(orig: Host, resp: Host, protocol: str, orig_port: int, resp_port: int) -> Ends:
        if (orig.ip, orig_port) > (resp.ip, resp_port):
            return protocol, resp.ip, resp_port, orig.ip, orig_port
        return protocol, orig.ip, orig_port, resp.ip, resp_port

    def record(self, at: float, frame: bytes, flow: Flow | None = None, from_orig: bool = True, size: int = 0) -> None:
        """Keep a frame; one that belongs to a flow is counted there with its IP payload length."""
        time = self.started_at + round(at * 1e9)
        if time > self._ends_at:
            return
        self.first_at, self.last_at = min(self.first_at, time), max(self.last_at, time)
        self._frames.append((time, frame))
        if flow is not None:
            flow.count(time, from_orig, size)
        elif self._current:
            first, last = self.spans.get(self.behaviour, (time, time))
            self.spans[self.behaviour] = min(first, time), max(last, time)
        if len(self._frames) == MOST_FRAMES_HELD:
            self._lay_aside()

    def _lay_aside(self) -> None:
        run = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the capture
        weakref.finalize(self, run.close)
        for at, frame in sorted(self._frames, key=_time):
            run.write(_LAID_ASIDE.pack(at, len(frame)) + frame)
        self._runs.append(run)
        self._frames.clear()

    def packets(self) -> Iterator[Frame]:
        """Yield times and frames in order of time; frames of one time in the order in which they were made."""
        return merge(*map(_taken_up, self._runs), sorted(self._frames, key=_time), key=_time)


_time = itemgetter(0)


def _taken_up(run: IO[bytes]) -> Iterator[Frame]:
    run.seek(0)
    while head := run.read(_LAID_ASIDE.size):
        at, size = _LAID_ASIDE.unpack(head)
        yield at, run.read(size)
