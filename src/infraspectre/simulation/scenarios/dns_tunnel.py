"""DNS tunnels: data hidden in questions and answers."""

from __future__ import annotations

import base64
from typing import Literal

from infraspectre.simulation.activities import names
from infraspectre.simulation.capture import Behaviour
from infraspectre.simulation.hosts import Host
from infraspectre.simulation.protocols import dns
from infraspectre.simulation.scenarios.background import lively_site
from infraspectre.simulation.site import Site

Record = Literal["txt", "null", "cname"]
DOMAIN = "t.relay7.example"
LABEL_BYTES, LABELS = 60, 3
UP_BYTES = LABEL_BYTES * LABELS * 5 // 8
"""Data carried by one question: three labels in base 32."""


def dns_tunnel(
    seed: str, *, record: Record = "txt", megabytes: float = 0.15, hosts: int = 8, duration_s: float = 300.0,
    background: bool = True,
) -> Site:  # fmt: skip
    """Move data out of one workstation in questions and answers of one domain."""
    site = lively_site(seed, hosts, duration_s, background)
    tunnel(site, site.clients[0], record, int(megabytes * 1e6), duration_s * 0.1, duration_s * 0.8)
    return site


def tunnel(site: Site, victim: Host, record: Record, size: int, start: float, seconds: float) -> None:
    """Send so many bytes upward, in questions to the site's own name server."""
    behaviour = Behaviour("dns tunnel", "dns-tunnel", ("T1071.004", "T1572", "T1048.003"), [victim.ip], [victim.ip])
    questions = -(-size // UP_BYTES)
    gap_s = seconds / questions
    with site.behaving(behaviour):
        for number in range(questions):
            name = f"{_labels(site.rng.randbytes(UP_BYTES))}.{DOMAIN}"
            kind, answer = _answer(site, record)
            names.ask(site, victim, site.dns, name, start + number * gap_s, [answer], kind, pause_s=0.03)


def _labels(data: bytes) -> str:
    text = base64.b32encode(data).decode().rstrip("=").lower()
    return ".".join(text[start : start + LABEL_BYTES] for start in range(0, len(text), LABEL_BYTES))


def _answer(site: Site, record: Record) -> tuple[int, dns.Answer]:
    if record == "txt":
        return dns.TXT, dns.text(base64.b64encode(site.rng.randbytes(150)), 0)
    if record == "null":
        return dns.NULL, (dns.NULL, 0, site.rng.randbytes(200))
    return dns.CNAME, (dns.CNAME, 0, dns.name(f"{_labels(site.rng.randbytes(60))}.{DOMAIN}"))
