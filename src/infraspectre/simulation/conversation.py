"""Conversations: what two hosts say to each other, as packets that obey the protocols."""

from __future__ import annotations

import random
from dataclasses import dataclass

from infraspectre.simulation import packets
from infraspectre.simulation.capture import Capture
from infraspectre.simulation.hosts import Host
from infraspectre.simulation.packets import Flag

MSS_BYTES = {4: 1460, 16: 1440}
"""Largest TCP payload on Ethernet by length of the address (RFC 9293, 3.7.1)."""
FIRST_FLIGHT, LARGEST_FLIGHT = 10, 64
"""Segments sent before waiting for an acknowledgement: the initial window of RFC 6928, doubled up to a bound."""
RETRY_S = (1.0, 2.0, 4.0)
"""Waits before a SYN is sent again (RFC 6298, 2)."""
RETRANSMIT_S = 0.25
LONGEST_PAUSE_S, LONGEST_FLOW_S = 20.0, 1200.0
"""Bounds that keep flows below the usual idle (60 s) and active (1,800 s) timeouts of flow meters."""
RECEIVE_BUFFER_BYTES = 131_072
"""Window advertised after the handshake, larger than the largest flight."""
QUOTED_BYTES = 548
"""Most bytes that an ICMP error quotes, so that it stays below 576 (RFC 1812, 4.3.2.3)."""
MAX_DATAGRAM_BYTES = 1452
"""Largest payload of a datagram that needs no fragments, over IPv6 too."""


@dataclass
class _Side:
    host: Host
    port: int
    seq: int
    identification: int
    fast_window: int

    def next_identification(self) -> int:
        self.identification = (self.identification + 1) & 0xFFFF
        return self.identification


class _Exchange:
    """Sends packets between two hosts as one flow; `now` is the time at the capture point, in seconds."""

    protocol = ""

    def __init__(
        self, capture: Capture, rng: random.Random, ends: tuple[Host, Host], ports: tuple[int, int], at: float
    ) -> None:
        orig, resp = ends
        self.now = at
        self.last_packet = b""
        self._capture = capture
        self._rng = rng
        self._flow = capture.open(orig, resp, self.protocol, *ports)
        self._sides = (self._side(orig, ports[0]), self._side(resp, ports[1]))

    def _side(self, host: Host, port: int) -> _Side:
        window = min(0xFFFF, (RECEIVE_BUFFER_BYTES + self._rng.randrange(4096)) >> host.system.window_scale)
        return _Side(host, port, self._rng.getrandbits(32), self._rng.getrandbits(16), window)

    def _ends(self, from_orig: bool) -> tuple[_Side, _Side]:
        orig, resp = self._sides
        return (orig, resp) if from_orig else (resp, orig)

    def _put(self, at: float, from_orig: bool, payload: bytes) -> None:
        sender, receiver = self._ends(from_orig)
        source, target = sender.host, receiver.host
        number = packets.PROTOCOLS[self.protocol]
        packet = packets.ip(source.address, target.address, number, payload, source.ttl, sender.next_identification())
        self.last_packet = packet
        kind = packets.ETHERTYPE_IPV4 if len(source.address) == 4 else packets.ETHERTYPE_IPV6
        frame = packets.ethernet(target.mac, source.mac, kind, packet)
        self._capture.record(at, frame, self._flow, from_orig, len(payload))

    def wait(self, seconds: float) -> None:
        """Let time pass, but never so long that a meter would take the flow for ended."""
        self.now += min(seconds, LONGEST_PAUSE_S)

    def rest(self, until: float) -> None:
        """Let time pass up to a moment, even so long that a meter takes the flow for ended and counts another."""
        self.now = max(self.now, until)

    def _delay(self, from_orig: bool) -> float:
        """Return how long until an answer of one side is seen: its round trip with jitter."""
        return self._ends(from_orig)[0].host.delay_s * self._rng.lognormvariate(0.05, 0.2)


class TcpConversation(_Exchange):
    """Speaks TCP (RFC 9293): handshake, data cut into segments and acknowledged, and an end."""

    protocol = "tcp"

    def __init__(
        self, capture: Capture, rng: random.Random, ends: tuple[Host, Host], ports: tuple[int, int], at: float,
        loss: float = 0.0, gap_s: float = 12e-6,
    ) -> None:  # fmt: skip
        """Prepare a conversation; `loss` is the share of segments sent twice, `gap_s` the time between segments."""
        super().__init__(capture, rng, ends, ports, at)
        self._loss = loss
        self._gap_s = gap_s

    def _segment(self, at: float, from_orig: bool, flags: int, payload: bytes = b"") -> None:
        sender, receiver = self._ends(from_orig)
        ack = receiver.seq if flags & Flag.ACK else 0
        window = 0 if flags & Flag.RST else sender.fast_window
        self._emit(at, from_orig, sender.seq, ack, flags, window, payload)
        sender.seq = (sender.seq + len(payload) + bool(flags & (Flag.SYN | Flag.FIN))) & 0xFFFFFFFF

    def _emit(self, at: float, from_orig: bool, seq: int, ack: int, flags: int, window: int, payload: bytes) -> None:
        sender, receiver = self._ends(from_orig)
        options = b""
        if flags & Flag.SYN:
            window = sender.host.system.window
            options = b"\x02\x04" + self._mss.to_bytes(2, "big") + sender.host.system.options
        addresses = sender.host.address, receiver.host.address
        ports = sender.port, receiver.port
        self._put(at, from_orig, packets.tcp(*addresses, ports, seq, ack, flags, window, payload, options))

    @property
    def _mss(self) -> int:
        return MSS_BYTES[len(self._sides[0].host.address)]

    def connect(self) -> None:
        """Shake hands."""
        self._segment(self.now, True, Flag.SYN)
        self.now += self._delay(False)
        self._segment(self.now, False, Flag.SYN | Flag.ACK)
        self.now += self._delay(True)
        self._segment(self.now, True, Flag.ACK)

    def refused(self) -> None:
        """Knock on a closed port: SYN, then RST."""
        self._segment(self.now, True, Flag.SYN)
        self.now += self._delay(False)
        self._segment(self.now, False, Flag.RST | Flag.ACK)

    def unanswered(self, retries: int = 2) -> None:
        """Knock where nobody answers, again after each wait."""
        sender = self._sides[0]
        for wait in (*RETRY_S[:retries], 0.0):
            self._emit(self.now, True, sender.seq, 0, Flag.SYN, 0, b"")
            self.now += wait

    def half_open(self) -> None:
        """Find an open port and break off: SYN, SYN-ACK, RST."""
        self._segment(self.now, True, Flag.SYN)
        self.now += self._delay(False)
        self._segment(self.now, False, Flag.SYN | Flag.ACK)
        self.now += self._delay(True)
        self._segment(self.now, True, Flag.RST)

    def abandoned(self) -> None:
        """Ask for a connection and never complete it: SYN, SYN-ACK, and the SYN-ACK again."""
        self._segment(self.now, True, Flag.SYN)
        responder = self._sides[1]
        seq, ack = responder.seq, self._sides[0].seq
        self.now += self._delay(False)
        self._segment(self.now, False, Flag.SYN | Flag.ACK)
        self.now += RETRY_S[0]
        self._emit(self.now, False, seq, ack, Flag.SYN | Flag.ACK, 0, b"")

    def advertise(self, window_bytes: int) -> None:
        """Let the originator tell that it takes no more than some bytes from now on."""
        self._sides[0].fast_window = window_bytes >> self._sides[0].host.system.window_scale
        self._segment(self.now, True, Flag.ACK)

    def request(self, data: bytes) -> None:
        """Send bytes from the originator."""
        self._send(True, data)

    def respond(self, data: bytes) -> None:
        """Send bytes from the responder."""
        self._send(False, data)

    def _send(self, from_orig: bool, data: bytes) -> None:
        position, flight = 0, FIRST_FLIGHT
        while position < len(data):
            end = min(position + flight * self._mss, len(data))
            self._flight(from_orig, data[position:end], is_last=end == len(data))
            position, flight = end, min(flight * 2, LARGEST_FLIGHT)

    def _flight(self, from_orig: bool, data: bytes, is_last: bool) -> None:
        """Send segments back to back; the receiver acknowledges every second one and the last (RFC 9293, 3.8.6.3)."""
        acked_at = self.now
        starts = range(0, len(data), self._mss)
        for index, start in enumerate(starts):
            is_end = index == len(starts) - 1
            push = Flag.PSH if is_end and is_last else 0
            self._data(from_orig, Flag.ACK | push, data[start : start + self._mss])
            if index % 2 or is_end:
                acked_at = max(acked_at + 1e-6, self.now + self._delay(not from_orig))
                self._segment(acked_at, not from_orig, Flag.ACK)
            self.now += self._gap_s
        self.now = max(self.now, acked_at) + 1e-6

    def _data(self, from_orig: bool, flags: int, payload: bytes) -> None:
        sender, receiver = self._ends(from_orig)
        seq = sender.seq
        self._segment(self.now, from_orig, flags, payload)
        if self._loss and self._rng.random() < self._loss:
            self.now += RETRANSMIT_S
            self._emit(self.now, from_orig, seq, receiver.seq, flags, sender.fast_window, payload)

    def close(self, by_orig: bool = True) -> None:
        """End in order: FIN, FIN, ACK."""
        self._segment(self.now, by_orig, Flag.FIN | Flag.ACK)
        self.now += self._delay(not by_orig)
        self._segment(self.now, not by_orig, Flag.FIN | Flag.ACK)
        self.now += self._delay(by_orig)
        self._segment(self.now, by_orig, Flag.ACK)

    def reset(self, by_orig: bool = True) -> None:
        """End at once with RST."""
        self._segment(self.now, by_orig, Flag.RST | Flag.ACK)


class UdpConversation(_Exchange):
    """Speaks UDP (RFC 768): whole messages, none longer than a packet."""

    protocol = "udp"

    def request(self, payload: bytes) -> None:
        """Send a datagram from the originator."""
        self._send(True, payload)

    def respond(self, payload: bytes) -> None:
        """Send a datagram from the responder, a round trip later."""
        self.now += self._delay(False)
        self._send(False, payload)

    def _send(self, from_orig: bool, payload: bytes) -> None:
        if len(payload) > MAX_DATAGRAM_BYTES:
            raise ValueError(f"a datagram of {len(payload)} bytes would need fragments")
        sender, receiver = self._ends(from_orig)
        addresses = sender.host.address, receiver.host.address
        self._put(self.now, from_orig, packets.udp(*addresses, (sender.port, receiver.port), payload))


class EchoConversation(_Exchange):
    """Speaks ICMP echo (RFC 792, RFC 4443): replies repeat the data; all echoes of a pair are one flow."""

    def __init__(self, capture: Capture, rng: random.Random, ends: tuple[Host, Host], at: float) -> None:
        """Prepare echoes of one identifier."""
        is_ipv4 = len(ends[0].address) == 4
        self.protocol = "icmp" if is_ipv4 else "icmp6"
        self._kinds = (packets.ECHO, packets.ECHO_REPLY) if is_ipv4 else (packets.ECHO6, packets.ECHO6_REPLY)
        super().__init__(capture, rng, ends, self._kinds, at)
        self._identifier = rng.getrandbits(16)
        self._sequence = 0

    def ask(self, payload: bytes) -> None:
        """Send one echo request."""
        self._sequence += 1
        self._echo(True, payload)

    def reply(self, payload: bytes) -> None:
        """Answer the last request, a round trip later."""
        self.now += self._delay(False)
        self._echo(False, payload)

    def _echo(self, from_orig: bool, payload: bytes) -> None:
        kind = self._kinds[0 if from_orig else 1]
        rest = self._identifier.to_bytes(2, "big") + (self._sequence & 0xFFFF).to_bytes(2, "big")
        if self.protocol == "icmp":
            message = packets.icmp(kind, 0, rest, payload)
        else:
            sender, receiver = self._ends(from_orig)
            message = packets.icmp6(sender.host.address, receiver.host.address, kind, 0, rest, payload)
        self._put(self.now, from_orig, message)


class UnreachableConversation(_Exchange):
    """Reports closed ports (RFC 792): all reports from one host to another are one flow in one direction."""

    protocol = "icmp"

    def __init__(self, capture: Capture, rng: random.Random, ends: tuple[Host, Host], at: float) -> None:
        """Prepare reports from a host to the one that knocked."""
        super().__init__(capture, rng, ends, (packets.UNREACHABLE, packets.PORT_UNREACHABLE), at)

    def report(self, at: float, packet: bytes) -> None:
        """Answer a packet sent to a closed port, quoting its beginning."""
        self.now = at + self._delay(True)
        message = packets.icmp(packets.UNREACHABLE, packets.PORT_UNREACHABLE, bytes(4), packet[:QUOTED_BYTES])
        self._put(self.now, True, message)
