"""Calls and QUIC: many datagrams of what cannot be read, most of it harmless."""

from __future__ import annotations

import random
import struct

from infraspectre.simulation.activities import names
from infraspectre.simulation.hosts import Host
from infraspectre.simulation.protocols import rtp
from infraspectre.simulation.site import Site

RELAY_PORT = 3478
"""Port of relays for calls (RFC 8656)."""
QUIC_BYTES = 1_200
"""Least size of a first datagram (RFC 9000, 14.1)."""
_BINDING = struct.pack("!HHI", 0x0001, 0, 0x2112A442)
"""Start of a STUN binding request (RFC 8489, 5)."""


def call(site: Site, rng: random.Random, client: Host, relay: Host, at: float, seconds: float, gap_s: float) -> float:
    """Talk through a relay: a datagram of sound in each direction at a gap, after a binding request."""
    talk = site.udp(client, relay, RELAY_PORT, names.resolve(site, client, relay, at))
    number = rng.randbytes(12)
    talk.request(_BINDING + number)
    talk.respond(b"\x01\x01" + _BINDING[2:] + number)
    until, source = talk.now + seconds, rng.getrandbits(32)
    for index in range(int(seconds / gap_s)):
        at = talk.now
        talk.request(rtp.packet(index, rng.randbytes(rng.randrange(60, 180)), source))
        talk.respond(rtp.packet(index, rng.randbytes(rng.randrange(60, 180)), source ^ 1))
        talk.rest(at + gap_s)
    return until


def browse_by_quic(site: Site, rng: random.Random, client: Host, server: Host, at: float) -> float:
    """Read a page over QUIC (RFC 9000): long headers first, then short ones; all of it sealed."""
    talk = site.udp(client, server, 443, names.resolve(site, client, server, at))
    target, source = rng.randbytes(8), rng.randbytes(8)
    hello = b"\xc3\x00\x00\x00\x01\x08" + target + b"\x08" + source + b"\x00\x44\x9e"
    talk.request(hello + rng.randbytes(QUIC_BYTES - len(hello)))
    talk.respond(b"\xc1\x00\x00\x00\x01\x08" + source + b"\x08" + target + b"\x00\x44\x9e" + rng.randbytes(1_170))
    talk.request(b"\x41" + target + rng.randbytes(rng.randrange(60, 500)))
    for _ in range(rng.randrange(2, 14)):
        talk.respond(b"\x43" + source + rng.randbytes(rng.randrange(400, 1_200)))
        if rng.random() < 0.5:
            talk.request(b"\x42" + target + rng.randbytes(30))
        talk.wait(rng.expovariate(4.0))
    return talk.now
