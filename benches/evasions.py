"""Makes captures that hide one attack from whoever reassembles otherwise than its receiver, each with a benign twin.

The ways are those of Ptacek and Newsham, "Insertion, Evasion, and Denial of Service" (1998), and of Novak and Sturges,
"Target-Based TCP Stream Reassembly" (2007): overlaps in every relation, packets that the receiver drops and others do
not, and streams cut to pieces. A case counts as an attack where any plausible receiver gets the attack's text.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, product

from infraspectre.simulation import packets
from infraspectre.simulation.packets import Flag

ATTACK, HARMLESS = b"EVASION", b"QUIETLY"
"""No byte of the one stands at the same place in the other, so that no mixture of a twin's bytes is an attack."""
URGENT = 0x20
MACS = bytes.fromhex("020000000002"), bytes.fromhex("020000000001")
ADDRESSES = {
    4: (bytes((10, 1, 0, 2)), bytes((10, 2, 0, 80))),
    6: (bytes.fromhex("20010db8000000010000000000000002"), bytes.fromhex("20010db8000000020000000000000080")),
}
CLIENT_PORT, RAW_PORT, HTTP_PORT = 40_000, 7_777, 80
TTL, HOPS = 64, 10
"""The receiver is so many hops away; what has fewer left does not reach it."""
WINDOW = 65_535
UNIT = 8
"""Fragments begin at multiples of so many bytes (RFC 791)."""
STARTED_AT, STEP_NS = 1_700_000_000_000_000_000, 1_000_000
SEED = 7

Frames = list[tuple[int, bytes]]
Piece = tuple[int, bytes]
Span = tuple[int, int]


@dataclass(frozen=True)
class Case:
    """Holds a capture; `carrier` says what the attack is in, `receivers` which kinds of receivers get it."""

    way: str
    name: str
    carrier: str
    frames: Frames
    receivers: tuple[str, ...]

    @property
    def is_attack(self) -> bool:
        """Tell whether anybody gets the attack."""
        return bool(self.receivers)


# What receivers make of pieces that overlap.

POLICIES: dict[str, Callable[[Span, Span], bool]] = {
    "first": lambda new, old: False,
    "last": lambda new, old: True,
    "bsd": lambda new, old: new[0] < old[0],
    "windows": lambda new, old: new[0] < old[0] and new[1] > old[1],
    "bsd-right": lambda new, old: new[1] >= old[1],
}
"""Whether a piece that comes later replaces the bytes of an earlier one, by the beginnings and ends of both."""


def reassembled(pieces: Sequence[Piece], replaces: Callable[[Span, Span], bool]) -> bytes:
    """Return the bytes that a receiver gets from pieces in the order of their arrival."""
    held: dict[int, tuple[Span, int]] = {}
    for start, data in pieces:
        span = (start, start + len(data))
        for place, byte in enumerate(data, start):
            if place not in held or replaces(span, held[place][0]):
                held[place] = span, byte
    return bytes(held[place][1] for place in sorted(held))


def receivers_of(pieces: Sequence[Piece]) -> tuple[str, ...]:
    """Return the policies under which the attack arrives."""
    return tuple(name for name, replaces in POLICIES.items() if ATTACK in reassembled(pieces, replaces))


# Packets, with every fault that a case needs.


@dataclass(frozen=True)
class Odd:
    """Says what is odd about a packet."""

    ttl: int = TTL
    bad_checksum: bool = False
    bad_ip_checksum: bool = False
    flags: int = Flag.ACK | Flag.PSH
    ack_shift: int = 0
    urgent: int = 0
    timestamp: int | None = None
    extension: bytes = b""
    """IPv4 options, or IPv6 extension headers whose first is hop-by-hop options."""


PLAIN = Odd()


def ip_packet(version: int, from_client: bool, protocol: int, payload: bytes, odd: Odd, fragment: bytes = b"") -> bytes:
    """Build an IP packet; `fragment` is the second word of an IPv4 header, or the body of an IPv6 fragment header."""
    client, server = ADDRESSES[version]
    source, target = (client, server) if from_client else (server, client)
    if version == 4:
        options = odd.extension
        size = 20 + len(options)
        first = struct.pack("!BBH", 0x40 | size // 4, 0, size + len(payload))
        start = first + (fragment or struct.pack("!HH", 7, 0)) + bytes((odd.ttl, protocol))
        total = packets.checksum(start + source + target + options) ^ (0x5555 if odd.bad_ip_checksum else 0)
        return start + total.to_bytes(2, "big") + source + target + options + payload
    kind, body = protocol, payload
    if fragment:
        kind, body = 44, bytes((protocol, 0)) + fragment + payload
    if odd.extension:
        kind, body = 0, bytes((kind,)) + odd.extension[1:] + body
    return struct.pack("!IHBB", 6 << 28, len(body), kind, odd.ttl) + source + target + body


def framed(version: int, from_client: bool, packet: bytes) -> bytes:
    """Return an Ethernet frame."""
    client, server = MACS
    kind = packets.ETHERTYPE_IPV4 if version == 4 else packets.ETHERTYPE_IPV6
    return packets.ethernet(*((server, client) if from_client else (client, server)), kind, packet)


class Talk:
    """Collects the frames of one connection or exchange of datagrams."""

    def __init__(self, version: int, carrier: str, isn: int = 1_000_000, has_timestamps: bool = False) -> None:
        """Begin with nothing; `isn` is the client's initial sequence number."""
        self.version = version
        self.carrier = carrier
        self.isn = isn
        self.has_timestamps = has_timestamps
        self.frames: Frames = []
        self.ports = (CLIENT_PORT, HTTP_PORT if carrier == "http" else RAW_PORT)
        self.server_isn = 5_000_000
        self.server_sent = 1
        self.clock = 1_000

    def put(self, packet: bytes, from_client: bool = True) -> None:
        """Append a packet, a moment after the one before."""
        self.frames.append((STARTED_AT + STEP_NS * len(self.frames), framed(self.version, from_client, packet)))

    def tcp(self, seq: int, data: bytes, odd: Odd = PLAIN, from_client: bool = True, ack: int = 0) -> bytes:
        """Build a TCP segment; numbers are relative to the initial ones."""
        client, server = ADDRESSES[self.version]
        source, target = (client, server) if from_client else (server, client)
        ports = self.ports if from_client else self.ports[::-1]
        mine, theirs = (self.isn, self.server_isn) if from_client else (self.server_isn, self.isn)
        number = (theirs + ack + odd.ack_shift) % 2**32 if odd.flags & Flag.ACK else 0
        segment = packets.tcp(
            source, target, ports, (mine + seq) % 2**32, number, odd.flags, WINDOW, data, self._options(odd)
        )
        if odd.urgent:
            segment = with_urgent(segment, odd.urgent, source, target)
        return spoiled(segment, 16) if odd.bad_checksum else segment

    def _options(self, odd: Odd) -> bytes:
        options = b"\x02\x04\x05\xa0" if odd.flags & Flag.SYN else b""
        if self.has_timestamps:
            self.clock += 1
            mine = self.clock if odd.timestamp is None else odd.timestamp
            options += b"\x01\x01\x08\x0a" + struct.pack("!II", mine, 0 if odd.flags == Flag.SYN else 900)
        return options

    def send(self, offset: int, data: bytes, odd: Odd = PLAIN) -> None:
        """Send bytes of the client's stream."""
        segment = self.tcp(1 + offset, data, odd, ack=self.server_sent)
        self.put(ip_packet(self.version, True, packets.PROTOCOLS["tcp"], segment, odd))

    def answer(self, data: bytes, acknowledged: int, odd: Odd = PLAIN) -> None:
        """Send bytes of the server's stream, which acknowledge so many of the client's."""
        segment = self.tcp(self.server_sent, data, odd, from_client=False, ack=1 + acknowledged)
        self.server_sent += len(data)
        self.put(ip_packet(self.version, False, packets.PROTOCOLS["tcp"], segment, odd), from_client=False)

    def open(self) -> None:
        """Shake hands."""
        self.syn()
        self.syn_ack()
        self.send(0, b"", Odd(flags=Flag.ACK))

    def syn(self, data: bytes = b"") -> None:
        """Ask for the connection."""
        odd = Odd(flags=Flag.SYN)
        self.put(ip_packet(self.version, True, packets.PROTOCOLS["tcp"], self.tcp(0, data, odd), odd))

    def syn_ack(self) -> None:
        """Grant it."""
        odd = Odd(flags=Flag.SYN | Flag.ACK)
        segment = self.tcp(0, b"", odd, from_client=False, ack=1)
        self.put(ip_packet(self.version, False, packets.PROTOCOLS["tcp"], segment, odd), from_client=False)

    def close(self, length: int) -> None:
        """Let the server answer and both sides end, once so many bytes were sent."""
        self.answer(b"", length, Odd(flags=Flag.ACK))
        self.answer(RESPONSES.get(self.carrier, b"thanks\r\n"), length)
        self.send(length, b"", Odd(flags=Flag.FIN | Flag.ACK))
        self.answer(b"", length + 1, Odd(flags=Flag.FIN | Flag.ACK))
        self.server_sent += 1
        self.send(length + 1, b"", Odd(flags=Flag.ACK))


RESPONSES = {"http": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"}


def with_urgent(segment: bytes, pointer: int, source: bytes, target: bytes) -> bytes:
    """Return a segment with the urgent flag and pointer (RFC 9293, 3.8.5)."""
    body = bytearray(segment)
    body[13] |= URGENT
    body[16:18] = bytes(2)
    body[18:20] = pointer.to_bytes(2, "big")
    pseudo = source + target + struct.pack("!IHH", len(body), 0, packets.PROTOCOLS["tcp"])
    body[16:18] = packets.checksum(pseudo + bytes(body)).to_bytes(2, "big")
    return bytes(body)


def spoiled(message: bytes, place: int) -> bytes:
    """Return a message whose checksum, at a place, is wrong."""
    wrong = bytes(byte ^ 0x55 for byte in message[place : place + 2])
    return message[:place] + wrong + message[place + 2 :]


# The stream in which the attack is, and what stands in its place in the decoys.


@dataclass(frozen=True)
class Text:
    """Holds a stream with the text of interest, and the same stream with other bytes in its place."""

    carrier: str
    real: bytes
    decoy: bytes
    span: Span

    @property
    def length(self) -> int:
        """Return the length of the stream."""
        return len(self.real)

    def part(self, start: int, end: int, is_real: bool = True) -> Piece:
        """Return a piece of the real stream or of the decoy."""
        return start, (self.real if is_real else self.decoy)[start:end]


FRAMES_OF_TEXT = {
    "tcp": (b"first words, then ", b" and the last words\r\n"),
    "http": (b"GET /index/", b"/page HTTP/1.1\r\nHost: www.example.com\r\nAccept: */*\r\n\r\n"),
    "udp": (b"some twenty bytes of text: ", b" and as many after it, too"),
}


def text_of(carrier: str, word: bytes) -> Text:
    """Return the stream of a carrier with a word in it; in the decoy, letters stand where the word is."""
    before, after = FRAMES_OF_TEXT[carrier]
    span = (len(before), len(before) + len(word))
    return Text(carrier, before + word + after, before + b"x" * len(word) + after, span)


Builder = Callable[[bytes], Iterator[Case]]
"""Makes the cases of one way around a word: the attack, or for the twins a harmless one."""


def case(way: str, name: str, talk: Talk, receivers: Sequence[str]) -> Case:
    """Return a finished case."""
    return Case(way, f"{name}, {talk.carrier} over IPv{talk.version}", talk.carrier, talk.frames, tuple(receivers))


def receivers_if(word: bytes, *names: str) -> tuple[str, ...]:
    """Return who gets the attack, nobody where the word is harmless."""
    return (names or ("all",)) if word == ATTACK else ()


# Overlapping segments and fragments.

RELATIONS: dict[str, tuple[int, int]] = {
    "equal": (0, 0), "before": (-3, -2), "after": (2, 3), "inside": (2, -2), "covering": (-2, 2),
    "same start, shorter": (0, -3), "same start, longer": (0, 3), "same end, shorter": (3, 0),
    "same end, longer": (-3, 0),
}  # fmt: skip
"""How the beginning and the end of a second piece lie to those of the first, in bytes."""


def overlapping_pairs(word: bytes) -> Iterator[Case]:
    """Yield pairs of segments with different bytes, in every relation, order and place of the attack."""
    for version, carrier, (relation, shift), real_first, swapped, waits in product(
        (4, 6), ("tcp", "http"), RELATIONS.items(), (True, False), (True, False), (True, False)
    ):
        text = text_of(carrier, word)
        start, end = text.span
        pair = [
            text.part(start, end, real_first),
            text.part(start + shift[0], end + shift[1], not real_first),
        ]
        pieces = around(text, pair[::-1] if swapped else pair, waits)
        kind = "real" if real_first else "decoy"
        order = "reversed" if swapped else "in order"
        name = f"{relation}, first {kind}, {order}{', behind a gap' if waits else ''}"
        yield of_pieces("overlapping segments", name, version, text, pieces)


def overlapping_triplets(word: bytes) -> Iterator[Case]:
    """Yield triplets of segments of which one or two carry the attack's bytes."""
    for (one, shift), (other, second), real in product(RELATIONS.items(), RELATIONS.items(), range(3)):
        text = text_of("tcp", word)
        spans = [text.span, *((text.span[0] + low, text.span[1] + high) for low, high in (shift, second))]
        trio = [text.part(*span, index == real) for index, span in enumerate(spans)]
        yield of_pieces("three segments", f"{one}, {other}, real {real}", 4, text, around(text, trio, True))


def around(text: Text, middle: list[Piece], waits: bool) -> list[Piece]:
    """Return pieces of the whole stream: all before and behind is real; the beginning may come last."""
    low = min(start for start, _ in middle)
    high = max(start + len(data) for start, data in middle)
    head, tail = text.part(0, low), text.part(high, text.length)
    return [*middle, tail, head] if waits else [head, *middle, tail]


def of_pieces(way: str, name: str, version: int, text: Text, pieces: Sequence[Piece]) -> Case:
    """Return a case in which pieces are sent as segments."""
    talk = Talk(version, text.carrier)
    talk.open()
    for start, data in pieces:
        talk.send(start, data)
    talk.close(text.length)
    return case(way, name, talk, receivers_of(pieces))


@dataclass(frozen=True)
class Datagram:
    """Holds the payload of an IP packet, with the attack across two fragments' border, and a decoy of equal sum."""

    protocol: int
    real: bytes
    decoy: bytes
    units: Span

    def part(self, start: int, end: int, is_real: bool = True) -> Piece:
        """Return a piece from unit to unit of the real datagram or of the decoy."""
        return start * UNIT, (self.real if is_real else self.decoy)[start * UNIT : end * UNIT]

    @property
    def end(self) -> int:
        """Return the number of units, the last perhaps shorter."""
        return -(-len(self.real) // UNIT)


def datagram_of(talk: Talk, word: bytes) -> Datagram:
    """Return a datagram around a word, and a decoy whose units have the same sums, so that checksums tell nothing."""
    client, server = ADDRESSES[talk.version]
    head = 8 if talk.carrier == "udp" else 20
    before = b"." * (36 - head)  # the word is at 36: four bytes in the fifth unit, three in the sixth
    payload = before + word + b"," * 33
    is_udp = talk.carrier == "udp"
    whole = packets.udp(client, server, talk.ports, payload) if is_udp else talk.tcp(1, payload, ack=1)
    swapped = b"".join(words_reversed(whole[at : at + UNIT]) for at in (4 * UNIT, 5 * UNIT))
    decoy = whole[: 4 * UNIT] + swapped + whole[6 * UNIT :]
    return Datagram(packets.PROTOCOLS[talk.carrier], whole, decoy, (4, 6))


def words_reversed(unit: bytes) -> bytes:
    """Return eight bytes with their 16-bit words in reverse order, which leaves every Internet checksum as it is."""
    return unit[6:8] + unit[4:6] + unit[2:4] + unit[0:2]


UNIT_RELATIONS: dict[str, tuple[int, int]] = {
    "equal": (0, 0), "before": (-1, -1), "after": (1, 1), "covering": (-1, 1), "same start, shorter": (0, -1),
    "same start, longer": (0, 1), "same end, shorter": (1, 0), "same end, longer": (-1, 0),
}  # fmt: skip
"""The same as for segments, in units; inside a piece of two units there is nothing."""


def overlapping_fragments(word: bytes) -> Iterator[Case]:
    """Yield pairs of IP fragments with different bytes, in every relation, order and place of the attack."""
    for version, carrier, (relation, shift), real_first, swapped, waits in product(
        (4, 6), ("udp", "tcp"), UNIT_RELATIONS.items(), (True, False), (True, False), (True, False)
    ):
        talk = started(version, carrier)
        whole = datagram_of(talk, word)
        start, end = whole.units
        pair = [
            whole.part(start, end, real_first),
            whole.part(start + shift[0], end + shift[1], not real_first),
        ]
        pieces = around_units(whole, pair[::-1] if swapped else pair, waits)
        kind, order = "real" if real_first else "decoy", "reversed" if swapped else "in order"
        name = f"{relation}, first {kind}, {order}{', behind a gap' if waits else ''}"
        yield of_fragments("overlapping fragments", name, talk, whole, pieces)


def around_units(whole: Datagram, middle: list[Piece], waits: bool) -> list[Piece]:
    """Return fragments of the whole datagram; the first may come last."""
    low = min(start for start, _ in middle) // UNIT
    high = max(start + len(data) for start, data in middle) // UNIT
    head, tail = whole.part(0, low), whole.part(high, whole.end)
    return [*middle, tail, head] if waits else [head, *middle, tail]


def started(version: int, carrier: str) -> Talk:
    """Return a talk in which data can be sent."""
    talk = Talk(version, carrier)
    if carrier != "udp":
        talk.open()
    return talk


def of_fragments(
    way: str, name: str, talk: Talk, whole: Datagram, pieces: Sequence[Piece], oddities: Sequence[Odd] = ()
) -> Case:
    """Return a case in which pieces are sent as fragments."""
    send_fragments(talk, whole, pieces, oddities)
    taken = [piece for index, piece in enumerate(pieces) if not oddities or oddities[index] == PLAIN]
    return case(way, name, talk, receivers_of(taken))


def send_fragments(talk: Talk, whole: Datagram, pieces: Sequence[Piece], oddities: Sequence[Odd] = ()) -> None:
    """Send pieces of a datagram as fragments, and end the connection if there is one."""
    for index, (start, data) in enumerate(pieces):
        more = start + len(data) < len(whole.real)
        odd = oddities[index] if oddities else PLAIN
        fragment = fragment_word(talk.version, start, more)
        talk.put(ip_packet(talk.version, True, whole.protocol, data, odd, fragment))
    if talk.carrier != "udp":
        talk.close(len(whole.real) - 20)


def fragment_word(version: int, start: int, more: bool) -> bytes:
    """Return identification, offset and flag of a fragment (RFC 791, 3.1; RFC 8200, 4.5)."""
    if version == 4:
        return struct.pack("!HH", 99, more << 13 | start // UNIT)
    return struct.pack("!HI", start | more, 99)


# Streams cut to pieces, without contradictions.


def cut(length: int, size: int) -> list[Span]:
    """Return spans of at most a size."""
    return [(at, min(at + size, length)) for at in range(0, length, size)]


ORDERS: dict[str, Callable[[list[Piece]], list[Piece]]] = {
    "in order": lambda pieces: pieces,
    "reversed": lambda pieces: pieces[::-1],
    "odd ones first": lambda pieces: pieces[1::2] + pieces[::2],
    "shuffled": lambda pieces: random.Random(SEED).sample(pieces, len(pieces)),
    "each twice": lambda pieces: [piece for piece in pieces for _ in range(2)],
    "all twice, reversed": lambda pieces: pieces + pieces[::-1],
}


def small_segments(word: bytes) -> Iterator[Case]:
    """Yield streams in small segments, in many orders."""
    for version, carrier, size, (order, arrange) in product((4, 6), ("tcp", "http"), (1, 2, 3, 5), ORDERS.items()):
        text = text_of(carrier, word)
        pieces = arrange([text.part(*span) for span in cut(text.length, size)])
        yield of_pieces("small segments", f"{size} bytes, {order}", version, text, pieces)


def small_fragments(word: bytes) -> Iterator[Case]:
    """Yield datagrams in small fragments, in many orders."""
    for version, carrier, units, (order, arrange) in product((4, 6), ("udp", "tcp"), (1, 2, 5), ORDERS.items()):
        talk = started(version, carrier)
        whole = datagram_of(talk, word)
        pieces = arrange([whole.part(*span) for span in cut(whole.end, units)])
        yield of_fragments("small fragments", f"{units * UNIT} bytes, {order}", talk, whole, pieces)


def wrapped_numbers(word: bytes) -> Iterator[Case]:
    """Yield streams in which the sequence numbers pass 2^32 within the attack."""
    for version, carrier, size, (order, arrange) in product((4, 6), ("tcp", "http"), (2, 9), ORDERS.items()):
        text = text_of(carrier, word)
        talk = Talk(version, carrier, isn=2**32 - text.span[0] - 4)
        talk.open()
        for piece in arrange([text.part(*span) for span in cut(text.length, size)]):
            talk.send(*piece)
        talk.close(text.length)
        yield case("sequence numbers that wrap", f"{size} bytes, {order}", talk, receivers_if(word))


# Packets that the receiver does not take.

FUTURE = 1 << 30
REFUSED: dict[str, Odd] = {
    "one hop left": Odd(ttl=1),
    "few hops left": Odd(ttl=3),
    "bad checksum": Odd(bad_checksum=True),
    "no flags": Odd(flags=0),
    "no acknowledgement flag": Odd(flags=Flag.PSH),
    "acknowledges what was never sent": Odd(ack_shift=FUTURE),
}
REFUSED_V4 = {"bad IP checksum": Odd(bad_ip_checksum=True)}


def refused_of(version: int) -> dict[str, Odd]:
    """Return the faults for which a receiver drops a segment."""
    return REFUSED | (REFUSED_V4 if version == 4 else {})


def refused_decoys(word: bytes) -> Iterator[Case]:
    """Yield segments that no receiver takes, with other bytes, before or behind the real ones."""
    for version, carrier in product((4, 6), ("tcp", "http")):
        for (fault, odd), decoy_first, split in product(refused_of(version).items(), (True, False), (True, False)):
            text = text_of(carrier, word)
            middle = text.span[0] + (4 if split else 0)
            talk = started(version, carrier)
            talk.send(*text.part(0, middle))
            parts = [(text.part(middle, text.length), PLAIN), (text.part(middle, text.length, False), odd)]
            for piece, oddity in parts[::-1] if decoy_first else parts:
                talk.send(*piece, oddity)
            talk.close(text.length)
            place = "first" if decoy_first else "behind"
            name = f"{fault}, decoy {place}{', within the word' if split else ''}"
            yield case("decoys that are dropped", name, talk, receivers_if(word))


def refused_fragments(word: bytes) -> Iterator[Case]:
    """Yield decoys among fragments that do not reach the receiver."""
    for version, carrier, decoy_first in product((4, 6), ("udp", "tcp"), (True, False)):
        faults = {name: odd for name, odd in refused_of(version).items() if odd.ttl != TTL or odd.bad_ip_checksum}
        for fault, odd in faults.items():
            talk = started(version, carrier)
            whole = datagram_of(talk, word)
            pair = [(whole.part(*whole.units), PLAIN), (whole.part(*whole.units, False), odd)]
            middle = pair[::-1] if decoy_first else pair
            start, end = whole.units
            parts = [(whole.part(0, start), PLAIN), *middle, (whole.part(end, whole.end), PLAIN)]
            pieces, oddities = [piece for piece, _ in parts], [oddity for _, oddity in parts]
            name = f"{fault}, decoy {'first' if decoy_first else 'behind'}"
            yield of_fragments("fragment decoys that are dropped", name, talk, whole, pieces, oddities)


def outside_window(word: bytes) -> Iterator[Case]:
    """Yield data far outside of the receiver's window, before and between the real ones."""
    for version, carrier, shift, middle in product(
        (4, 6), ("tcp", "http"), (-FUTURE, -WINDOW, -40, 2 * WINDOW, 20 * WINDOW, FUTURE), (0, 4)
    ):
        text = text_of(carrier, word)
        place = text.span[0] + middle
        talk = started(version, carrier)
        talk.send(*text.part(0, place))
        talk.send(place + shift, b"y" * 20)
        talk.send(*text.part(place, text.length))
        talk.close(text.length)
        yield case("data outside of the window", f"by {shift}, {middle} bytes into", talk, receivers_if(word))


def old_timestamps(word: bytes) -> Iterator[Case]:
    """Yield decoys whose timestamps are older than those seen (RFC 7323, 5.3)."""
    for version, carrier, age, middle in product((4, 6), ("tcp", "http"), (1, 500, 1_000, 2**31 - 10), (0, 4)):
        text = text_of(carrier, word)
        place = text.span[0] + middle
        talk = Talk(version, carrier, has_timestamps=True)
        talk.open()
        talk.send(*text.part(0, place))
        talk.send(*text.part(place, text.length, False), Odd(timestamp=(talk.clock - age) % 2**32))
        talk.send(*text.part(place, text.length))
        talk.close(text.length)
        yield case("old timestamps", f"by {age}, {middle} bytes into", talk, receivers_if(word))


def false_endings(word: bytes) -> Iterator[Case]:
    """Yield RST and FIN that the receiver does not take, from either side, and the data behind them."""
    for version, carrier, (kind, flags), from_client, (fault, shift, odd), middle in product(
        (4, 6),
        ("tcp", "http"),
        (("RST", Flag.RST), ("RST-ACK", Flag.RST | Flag.ACK), ("FIN", Flag.FIN | Flag.ACK)),
        (True, False),
        FALSE,
        (0, 4),
    ):
        text = text_of(carrier, word)
        place = text.span[0] + middle
        talk = started(version, carrier)
        talk.send(*text.part(0, place))
        ending = replace(odd, flags=flags)
        if from_client:
            talk.send(place + shift, b"", ending)
        else:
            inject(talk, shift, place, ending)
        talk.send(*text.part(place, text.length))
        talk.close(text.length)
        side = "client" if from_client else "server"
        name = f"{kind} of the {side}, {fault}, {middle} bytes into"
        yield case("false endings", name, talk, receivers_if(word))


FALSE: tuple[tuple[str, int, Odd], ...] = (
    ("beyond the window", FUTURE, PLAIN),
    ("of an old number", -FUTURE, PLAIN),
    ("bad checksum", 0, Odd(bad_checksum=True)),
    ("few hops left", 0, Odd(ttl=2)),
)
"""Faults of an ending: the name, how far its number is off, and what else is odd."""


def inject(talk: Talk, shift: int, acknowledged: int, odd: Odd) -> None:
    """Send an empty segment in the server's name without moving its stream."""
    sent = talk.server_sent
    talk.server_sent = (sent + shift) % 2**32
    talk.answer(b"", acknowledged, odd)
    talk.server_sent = sent


# The beginning of connections, and bytes that are not part of the stream.


def early_data(word: bytes) -> Iterator[Case]:
    """Yield data in the SYN: the beginning of the stream, which some receivers keep, or a decoy, which most drop."""
    for version, carrier, size in product((4, 6), ("tcp", "http"), (5, None)):
        text = text_of(carrier, word)
        end = size or text.length
        for what, is_real, again in (("real", True, False), ("real, sent again", True, True), ("decoy", False, True)):
            if not is_real and end <= text.span[0]:
                continue
            talk = Talk(version, carrier)
            talk.syn(text.part(0, end, is_real)[1])
            talk.syn_ack()
            talk.send(0, b"", Odd(flags=Flag.ACK))
            if again or end < text.length:
                talk.send(*text.part(0 if again else end, text.length))
            talk.close(text.length)
            yield case("data in the SYN", f"{what}, {end} bytes", talk, receivers_if(word))


def other_beginnings(word: bytes) -> Iterator[Case]:
    """Yield connections whose SYN is repeated with another number, or that follow another one on the same ports."""
    for version, carrier, shift in product((4, 6), ("tcp", "http"), (-FUTURE, -50, 50, 100_000, FUTURE)):
        for which, begin in BEGINNINGS.items():
            text = text_of(carrier, word)
            talk = Talk(version, carrier)
            begin(talk, shift, text)
            talk.send(*text.part(0, text.span[0] + 3))
            talk.send(*text.part(text.span[0] + 3, text.length))
            talk.close(text.length)
            yield case("other beginnings", f"{which}, by {shift}", talk, receivers_if(word))


def renumbered(talk: Talk, shift: int) -> None:
    """Go on with another initial number of the client."""
    talk.isn = (talk.isn + shift) % 2**32


def second_syn_answered(talk: Talk, shift: int, _: Text) -> None:
    """Send two SYN; the server answers the second."""
    talk.syn()
    renumbered(talk, shift)
    talk.open()


def first_syn_answered(talk: Talk, shift: int, _: Text) -> None:
    """Send two SYN; the server answers the first."""
    talk.syn()
    renumbered(talk, shift)
    talk.syn()
    renumbered(talk, -shift)
    talk.syn_ack()
    talk.send(0, b"", Odd(flags=Flag.ACK))


def syn_within(talk: Talk, shift: int, _: Text) -> None:
    """Send another SYN in an open connection, which the receiver answers with an acknowledgement alone."""
    talk.open()
    renumbered(talk, shift)
    talk.syn()
    renumbered(talk, -shift)


def ports_again(talk: Talk, shift: int, text: Text) -> None:
    """Open and reset one connection, then another on the same ports."""
    talk.open()
    talk.send(*text.part(0, text.span[0]))
    talk.send(text.span[0], b"", Odd(flags=Flag.RST | Flag.ACK))
    renumbered(talk, shift)
    talk.server_isn += 3_000
    talk.open()


BEGINNINGS: dict[str, Callable[[Talk, int, Text], None]] = {
    "two SYN, the second answered": second_syn_answered,
    "two SYN, the first answered": first_syn_answered,
    "SYN within": syn_within,
    "ports used again": ports_again,
}


def urgent_bytes(word: bytes) -> Iterator[Case]:
    """Yield an urgent byte within the word, which receivers take out of the stream, or a word with an urgent mark."""
    for version, carrier, place in product((4, 6), ("tcp", "http"), range(1, len(ATTACK))):
        text = text_of(carrier, word)
        at = text.span[0] + place
        stream = text.real[:at] + b"!" + text.real[at:]
        talk = started(version, carrier)
        talk.send(0, stream, Odd(urgent=at + 1))
        talk.close(len(stream))
        yield case("urgent bytes", f"one within, at {place}", talk, receivers_if(word, "urgent byte apart"))
        talk = started(version, carrier)
        talk.send(0, text.real, Odd(urgent=at + 1))
        talk.close(text.length)
        yield case("urgent bytes", f"a mark at {place}", talk, receivers_if(word, "urgent byte inline"))


def half_closed(word: bytes) -> Iterator[Case]:
    """Yield data behind the end of the server's side, and behind a probe that keeps the connection alive."""
    for version, carrier in product((4, 6), ("tcp", "http")):
        text = text_of(carrier, word)
        for name in ("the server has ended", "keep-alive"):
            talk = started(version, carrier)
            talk.send(*text.part(0, text.span[0] + 3))
            if name == "keep-alive":
                talk.send(text.span[0] + 2, b"z")
            else:
                talk.answer(b"", text.span[0] + 3, Odd(flags=Flag.FIN | Flag.ACK))
                talk.server_sent += 1
            talk.send(*text.part(text.span[0] + 3, text.length))
            talk.send(text.length, b"", Odd(flags=Flag.FIN | Flag.ACK))
            yield case("half closed", name, talk, receivers_if(word))


NOP_OPTIONS = b"\x01" * 8
HOP_BY_HOP = b"\x00\x00\x01\x04\x00\x00\x00\x00"


def extended_headers(word: bytes) -> Iterator[Case]:
    """Yield packets with IPv4 options or IPv6 extension headers, and datagrams that are one fragment."""
    for version, carrier in product((4, 6), ("tcp", "http", "udp")):
        text = text_of(carrier, word)
        odd = Odd(extension=NOP_OPTIONS if version == 4 else HOP_BY_HOP)
        talk = started(version, carrier)
        if carrier == "udp":
            talk.put(ip_packet(version, True, packets.PROTOCOLS["udp"], udp_of(talk, text.real), odd))
        else:
            talk.send(0, text.real, odd)
            talk.close(text.length)
        yield case("headers", "options", talk, receivers_if(word))
        if carrier != "http":
            talk = started(version, carrier)
            whole = datagram_of(talk, word)
            yield of_fragments("headers", "a fragment that is the whole", talk, whole, [whole.part(0, whole.end)])


def udp_of(talk: Talk, payload: bytes) -> bytes:
    """Return a datagram of the client."""
    return packets.udp(*ADDRESSES[talk.version], talk.ports, payload)


def datagrams(word: bytes) -> Iterator[Case]:
    """Yield datagrams among such as the receiver drops, and without checksum."""
    udp = packets.PROTOCOLS["udp"]
    for version in (4, 6):
        text = text_of("udp", word)
        for name, spoil in (("bad checksum", partial(spoiled, place=6)), ("none", None)):
            talk = Talk(version, "udp")
            if spoil:
                talk.put(ip_packet(version, True, udp, spoil(udp_of(talk, text.decoy)), PLAIN))
            talk.put(ip_packet(version, True, udp, udp_of(talk, text.real), PLAIN))
            yield case("datagrams", f"decoy: {name}", talk, receivers_if(word))
    talk = Talk(4, "udp")
    whole = udp_of(talk, text_of("udp", word).real)
    talk.put(ip_packet(4, True, udp, whole[:6] + bytes(2) + whole[8:], PLAIN))
    yield case("datagrams", "without checksum", talk, receivers_if(word))


def never_taken(word: bytes) -> Iterator[Case]:
    """Yield words in packets alone whose checksums are wrong, which nobody takes: no attack, whatever the word."""
    for version, carrier, split in product((4, 6), ("tcp", "http"), (True, False)):
        for fault, odd in (("bad checksum", Odd(bad_checksum=True)), *(REFUSED_V4.items() if version == 4 else ())):
            text = text_of(carrier, word)
            middle = text.span[0] + (4 if split else 0)
            talk = started(version, carrier)
            talk.send(*text.part(0, middle, False))
            talk.send(*text.part(middle, text.length), odd)
            talk.send(*text.part(middle, text.length, False))
            talk.close(text.length)
            yield case("words that nobody takes", f"{fault}{', split' if split else ''}", talk, ())


BUILDERS: tuple[Builder, ...] = (
    overlapping_pairs, overlapping_triplets, overlapping_fragments, small_segments, small_fragments, wrapped_numbers,
    refused_decoys, refused_fragments, outside_window, old_timestamps, false_endings, early_data, other_beginnings,
    urgent_bytes, half_closed, extended_headers, datagrams, never_taken,
)  # fmt: skip


def attacks() -> list[Case]:
    """Return all cases around the attack; in some, nobody gets it."""
    return distinct(ATTACK)


def twins() -> list[Case]:
    """Return the same cases around a harmless word."""
    return distinct(HARMLESS)


def distinct(word: bytes) -> list[Case]:
    """Return the cases around a word, those that two ways have in common once."""
    cases = chain.from_iterable(build(word) for build in BUILDERS)
    return list({tuple(one.frames): one for one in cases}.values())
