"""DNS tunnels: data hidden in questions and answers."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from infraspectre.simulation.activities import names
from infraspectre.simulation.capture import Behaviour
from infraspectre.simulation.hosts import Host
from infraspectre.simulation.protocols import dns
from infraspectre.simulation.scenarios.background import lively_site
from infraspectre.simulation.site import Site

Record = Literal["txt", "null", "cname", "mx", "a", "aaaa"]
Encoding = Literal["base32", "base64", "hex"]
DOMAIN = "t.relay7.example"
LABEL_BYTES = 60
"""Bytes of a full label; a label may have 63 (RFC 1035, 2.3.4)."""
NAME_BYTES = 180
"""Bytes of a question that are data, so that it stays below 255 with any domain."""
BURST_SHARE = 0.03
"""Share of the whole time that a burst lasts."""
TECHNIQUES = ("T1071.004", "T1572", "T1048.003")

Encode = Callable[[bytes], str]


def _base64_for_names(data: bytes) -> str:
    """Encode as iodine does: mixed case, with digits, hyphen and underscore."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


ENCODINGS: dict[Encoding, tuple[Encode, float]] = {
    "base32": (lambda data: base64.b32encode(data).decode().rstrip("=").lower(), 5 / 8),
    "base64": (_base64_for_names, 6 / 8),
    "hex": (bytes.hex, 4 / 8),
}
"""What makes text of bytes, and how many bytes a character carries."""


@dataclass(frozen=True)
class Tunnel:
    """Says how a tunnel hides what it carries."""

    record: Record = "txt"
    encoding: Encoding = "base32"
    domain: str = DOMAIN
    name_bytes: int = NAME_BYTES
    """Most characters of data in one question."""
    server: Host | None = None
    """The attacker's own name server, asked directly; otherwise the site's."""
    bursts: int = 0
    """Number of short bursts, between which nothing is said; 0 for an even pace."""

    @property
    def upward_bytes(self) -> int:
        """Return the data carried by one question."""
        return int(self.name_bytes * ENCODINGS[self.encoding][1])

    def play(self, site: Site, rng: random.Random, victim: Host, size: int, begin_s: float, end_s: float) -> Behaviour:
        """Send so many bytes upward, evenly over the span."""
        behaviour = Behaviour(
            "dns tunnel", "dns-tunnel", TECHNIQUES, [victim.ip], [victim.ip],
            [self.server.ip] if self.server else [],
            parameters={"bytes_per_s": size / (end_s - begin_s), "encoding": self.encoding, "record": self.record},
        )  # fmt: skip
        with site.behaving(behaviour):
            for number, at in enumerate(self._moments(rng, -(-size // self.upward_bytes), begin_s, end_s)):
                data = rng.randbytes(min(self.upward_bytes, size - number * self.upward_bytes))
                self._ask(site, rng, victim, data, at)
        return behaviour

    def _moments(self, rng: random.Random, count: int, begin_s: float, end_s: float) -> list[float]:
        """Return the times of some questions, at an even pace or in bursts."""
        seconds = end_s - begin_s
        if not self.bursts:
            return [begin_s + (number + rng.random() * 0.5) * seconds / count for number in range(count)]
        starts = [begin_s + rng.uniform(0, 1 - BURST_SHARE) * seconds for _ in range(self.bursts)]
        return sorted(rng.choice(starts) + rng.random() * BURST_SHARE * seconds for _ in range(count))

    def _ask(self, site: Site, rng: random.Random, victim: Host, data: bytes, at: float) -> None:
        name, answer = f"{self._labels(data)}.{self.domain}", self._answer(rng)
        server = self.server or site.dns
        names.ask(site, victim, server, name, at, [answer], answer[0], pause_s=0.0 if self.server else 0.03)

    def _labels(self, data: bytes) -> str:
        text = ENCODINGS[self.encoding][0](data)
        return ".".join(text[start : start + LABEL_BYTES] for start in range(0, len(text), LABEL_BYTES))

    def _answer(self, rng: random.Random) -> dns.Answer:
        match self.record:
            case "txt":
                return dns.text(base64.b64encode(rng.randbytes(rng.randrange(60, 150))), 0)
            case "null":
                return dns.NULL, 0, rng.randbytes(rng.randrange(80, 200))
            case "a":
                return dns.address(f"{rng.randrange(1, 224)}.{rng.randrange(256)}.{rng.randrange(256)}.1", 0)
            case "aaaa":
                return dns.AAAA, 0, rng.randbytes(16)
            case "mx":
                return dns.MX, 0, b"\x00\x0a" + dns.name(f"{self._labels(rng.randbytes(45))}.{self.domain}")
        return dns.CNAME, 0, dns.name(f"{self._labels(rng.randbytes(60))}.{self.domain}")


def dns_tunnel(
    seed: str, *, record: Record = "txt", encoding: Encoding = "base32", direct: bool = False, megabytes: float = 0.15,
    hosts: int = 8, duration_s: float = 300.0, background: bool = True,
) -> Site:  # fmt: skip
    """Move data out of one workstation in questions of one domain, through the site's name server or directly."""
    site = lively_site(seed, hosts, duration_s, background)
    server = site.outside("ns1.relay7.example", "control server") if direct else None
    tunnel = Tunnel(record, encoding, server=server)
    rng = site.derived("tunnel")
    tunnel.play(site, rng, site.clients[0], int(megabytes * 1e6), duration_s * 0.1, duration_s * 0.9)
    return site
