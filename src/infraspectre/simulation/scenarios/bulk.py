"""Bulk captures for benchmarks: many packets with known counts, stamped from a few real conversations."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from infraspectre.simulation.activities import names, secure, web
from infraspectre.simulation.capture import STARTED_AT, Behaviour, Flow
from infraspectre.simulation.community import community_id
from infraspectre.simulation.conversation import MSS_BYTES
from infraspectre.simulation.packets import PROTOCOLS
from infraspectre.simulation.protocols import rtp
from infraspectre.simulation.results import label
from infraspectre.simulation.site import Site
from infraspectre.simulation.stamps import (
    ACKNOWLEDGEMENT,
    DST,
    DST_PORT,
    IDENTIFICATION,
    SEQUENCE,
    SRC,
    SRC_PORT,
    split,
    stamp,
)
from infraspectre.simulation.waves import Block, Bulk, Row, Times, Wave

Kind = Literal["mixed", "scan", "elephant"]

WAVE_PACKETS = 50_000
"""Packets made and sorted at a time, which bounds memory."""
CLIENTS = 4096
FIRST_CLIENT = 0x0A40_0000
"""10.64.0.0, the first of the clients in mixed captures."""
FIRST_TARGET, TARGETS = 0xC612_0000, 1 << 17
"""198.18.0.0/15, the network for benchmarks (RFC 2544)."""
SCATTER = 40_503
"""Odd factor that visits all targets in an order that looks random."""
PACKET_GAP_NS = 10_000
GROUP = 3
"""Packets of a group: two segments and the acknowledgement of both."""
GROUP_BYTES = 2 * MSS_BYTES[4]
UPLOAD_PORT = 9000


@dataclass(frozen=True)
class Template:
    """Holds one real conversation to be copied: its flow and its packets."""

    flow: Flow
    packets: list[tuple[int, bytes]]

    @property
    def duration_ns(self) -> int:
        """Return the time from the first packet to the last."""
        return self.flow.ended_at - self.flow.started_at


def bulk(seed: str, *, kind: Kind = "mixed", packets: int = 100_000) -> Bulk:
    """Make many packets for benchmarks: mixed conversations, a scan of one-packet flows, or one elephant flow."""
    return _KINDS[kind](seed, packets)


def _template(play: Callable[[Site], object], seed: str, behaviour: Behaviour) -> Template:
    site = Site(seed, clients=1)
    with site.behaving(behaviour):
        play(site)
    (flow,) = site.capture.flows
    return Template(flow, list(site.capture.packets()))


def _lookup(site: Site) -> None:
    names.resolve(site, site.clients[0], site.outside("www.shop.example"), 0.0)


def _page(site: Site) -> None:
    web.fetch(site, site.clients[0], site.outside("www.news.example"), 0.0, ("/", "/style.css", "/story/1"))


def _secure(site: Site) -> None:
    session = secure.connect(site, site.clients[0], site.outside("www.bank.example"), 0.0)
    for size in (3_000, 12_000, 900):
        session.ask(500, size)
    session.close()


def _download(site: Site) -> None:
    session = secure.connect(site, site.clients[0], site.outside("files.vendor.example"), 0.0)
    session.ask(400, site.size(100_000, 1.2, most=600_000))
    session.close()


def _silence(site: Site) -> None:
    site.tcp(site.clients[0], site.files, 8444, 0.0).unanswered(retries=0)


def _refusal(site: Site) -> None:
    site.tcp(site.clients[0], site.files, 8443, 0.0).refused()


def _stream(site: Site) -> None:
    talk = site.udp(site.clients[0], site.outside("call.voice.example"), 3478, 0.0)
    for number in range(40):
        talk.request(rtp.packet(number, site.rng.randbytes(160)))
        talk.respond(rtp.packet(number, site.rng.randbytes(160), source=2))
        talk.wait(0.02)


_MIX: tuple[tuple[Callable[[Site], object], int], ...] = (
    (_lookup, 8),
    (_page, 2),
    (_secure, 3),
    (_download, 1),
    (_refusal, 1),
    (_silence, 1),
    (_stream, 1),
)
"""Conversations of a mixed capture, with how often each occurs."""
_VARIANTS = 3


def mixed(seed: str, packets: int) -> Bulk:
    """Copy a mix of conversations, each copy with a client and port of its own."""
    behaviour = Behaviour("mixed traffic")
    return Bulk(behaviour, [], _mixed_waves(seed, packets, behaviour))


def _mixed_waves(seed: str, packets: int, behaviour: Behaviour) -> Iterator[Wave]:
    plays = [(play, times, f"{seed}/{variant}") for variant in range(_VARIANTS) for play, times in _MIX]
    templates = [(_template(play, name, behaviour), times) for play, times, name in plays]
    per_round = sum(len(template.packets) * times for template, times in templates)
    rounds_left, start, first = -(-packets // per_round), STARTED_AT, 0
    rng = np.random.default_rng(list(seed.encode()))
    longest_ns = max(template.duration_ns for template, _ in templates)
    while rounds_left:
        rounds = min(rounds_left, max(1, WAVE_PACKETS // per_round))
        window_ns = rounds * per_round * PACKET_GAP_NS
        blocks, rows = [], []
        for template, times in templates:
            copies = rounds * times
            starts = start + rng.integers(0, window_ns, copies)
            clients = np.arange(first, first + copies)
            blocks += _copy(template, starts, clients)
            rows += _copied_rows(template, starts, clients)
            first += copies
        yield Wave(blocks, rows)
        start += window_ns + longest_ns
        rounds_left -= rounds


def _copy(template: Template, starts: Times, clients: Times) -> list[Block]:
    addresses = (FIRST_CLIENT + clients % CLIENTS).astype(np.uint32)
    ports = (1024 + clients // CLIENTS).astype(np.uint16)
    orig = template.flow.orig.address
    blocks = []
    for at, frame in template.packets:
        is_from_orig = frame[SRC : SRC + 4] == orig
        words = split(addresses, SRC if is_from_orig else DST) | {SRC_PORT if is_from_orig else DST_PORT: ports}
        blocks.append((starts + (at - template.flow.started_at), stamp(frame, len(starts), words)))
    return blocks


def _copied_rows(template: Template, starts: Times, clients: Times) -> list[Row]:
    ends = zip(starts.tolist(), clients.tolist(), strict=True)
    return [
        _row(template.flow, FIRST_CLIENT + client % CLIENTS, 1024 + client // CLIENTS, at, at + template.duration_ns)
        for at, client in ends
    ]


def _row(flow: Flow, client: int, port: int, started_at: int, ended_at: int) -> Row:
    address = client.to_bytes(4, "big")
    name = community_id(address, flow.resp.address, PROTOCOLS[flow.protocol], port, flow.resp_port)
    counts = flow.orig_packets, flow.resp_packets, flow.orig_bytes, flow.resp_bytes
    ends = _text(client), port, flow.resp.ip, flow.resp_port
    return (name, *ends, flow.protocol, started_at, ended_at, *counts, *label(flow.behaviour))


def _text(address: int) -> str:
    return ".".join(map(str, struct.pack("!I", address)))


def scan(seed: str, packets: int) -> Bulk:
    """Send one SYN to each of many end points; every packet is a flow."""
    behaviour = Behaviour("bulk scan", "scan", ("T1046",))
    probe = _template(lambda site: site.tcp(site.clients[0], site.files, 80, 0.0).unanswered(0), seed, behaviour)
    behaviour.attackers.append(probe.flow.orig.ip)
    return Bulk(behaviour, [probe.flow.orig], _scan_waves(seed, packets, probe))


def _scan_waves(seed: str, packets: int, template: Template) -> Iterator[Wave]:
    _, frame = template.packets[0]
    rng = np.random.default_rng(list(seed.encode()))
    for first in range(0, packets, WAVE_PACKETS):
        index = np.arange(first, min(first + WAVE_PACKETS, packets), dtype=np.int64)
        targets = (FIRST_TARGET + index * SCATTER % TARGETS).astype(np.uint32)
        ports = (1 + index // TARGETS).astype(np.uint16)
        sequence = rng.integers(0, 1 << 32, len(index), np.uint32)
        words = split(targets, DST) | {DST_PORT: ports} | split(sequence, SEQUENCE)
        times = STARTED_AT + index * PACKET_GAP_NS
        ends = zip(targets.tolist(), ports.tolist(), times.tolist(), strict=True)
        yield Wave([(times, stamp(frame, len(index), words))], [_probe_row(template.flow, *end) for end in ends])


def _probe_row(flow: Flow, target: int, port: int, at: int) -> Row:
    address = target.to_bytes(4, "big")
    name = community_id(flow.orig.address, address, PROTOCOLS["tcp"], flow.orig_port, port)
    ends = flow.orig.ip, flow.orig_port, _text(target), port
    return (name, *ends, "tcp", at, at, 1, 0, flow.orig_bytes, 0, *label(flow.behaviour))


def elephant(seed: str, packets: int) -> Bulk:
    """Send one long upload: handshake, groups of two full segments and an acknowledgement, and an end."""
    template = _template(_upload, seed, Behaviour("large upload"))
    flow = template.flow
    return Bulk(flow.behaviour, [flow.orig, flow.resp], _elephant_waves(packets, template))


def _elephant_waves(packets: int, template: Template) -> Iterator[Wave]:
    groups = max(1, -(-(packets - len(template.packets) + GROUP) // GROUP))
    body_ns = groups * GROUP * PACKET_GAP_NS
    start, body, end = template.packets[:3], template.packets[3:6], template.packets[6:]
    yield Wave([_shifted([at], frame, np.zeros(1, np.int64)) for at, frame in start], [])
    for first in range(0, groups, WAVE_PACKETS // GROUP):
        index = np.arange(first, min(first + WAVE_PACKETS // GROUP, groups), dtype=np.int64)
        times = body[0][0] + index * GROUP * PACKET_GAP_NS
        yield Wave([_shifted(times + n * PACKET_GAP_NS, frame, index) for n, (_, frame) in enumerate(body)], [])
    last = np.array([groups - 1])
    yield Wave([_shifted([at + body_ns], frame, last) for at, frame in end], [_elephant_row(template, groups, body_ns)])


def _upload(site: Site) -> None:
    talk = site.tcp(site.clients[0], site.files, UPLOAD_PORT, 0.0)
    talk.connect()
    talk.request(site.rng.randbytes(GROUP_BYTES))
    talk.close()


def _shifted(times: npt.ArrayLike, frame: bytes, groups: Times) -> Block:
    """Copy a frame as it would look that many groups later."""
    is_upload = frame[DST_PORT : DST_PORT + 2] == UPLOAD_PORT.to_bytes(2, "big")
    offset = SEQUENCE if is_upload else ACKNOWLEDGEMENT
    number = int.from_bytes(frame[offset : offset + 4], "big")
    words = split(((number + groups * GROUP_BYTES) & 0xFFFFFFFF).astype(np.uint32), offset)
    words[IDENTIFICATION] = (
        int.from_bytes(frame[IDENTIFICATION : IDENTIFICATION + 2], "big") + groups & 0xFFFF
    ).astype(np.uint16)
    return np.asarray(times, np.int64), stamp(frame, len(groups), words)


def _elephant_row(template: Template, groups: int, body_ns: int) -> Row:
    flow, more = template.flow, groups - 1
    name = flow.community_id
    ends = flow.orig.ip, flow.orig_port, flow.resp.ip, flow.resp_port, flow.protocol
    orig_bytes = flow.orig_bytes + more * (GROUP_BYTES + 2 * 20)
    counts = flow.orig_packets + 2 * more, flow.resp_packets + more, orig_bytes, flow.resp_bytes + 20 * more
    return (name, *ends, flow.started_at, flow.ended_at + body_ns, *counts, *label(flow.behaviour))


_KINDS: dict[Kind, Callable[[str, int], Bulk]] = {"mixed": mixed, "scan": scan, "elephant": elephant}
