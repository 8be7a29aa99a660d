"""Names: questions to the site's name server."""

from __future__ import annotations

from collections.abc import Sequence

from infraspectre.simulation.hosts import Host
from infraspectre.simulation.protocols import dns
from infraspectre.simulation.site import Site

LOCAL = ".corp.example"
"""Names that the site's name server knows by itself."""
REMEMBERED_S = 3600.0


def ask(
    site: Site, client: Host, server: Host, name: str, at: float,
    answers: Sequence[dns.Answer] = (), kind: int = dns.A, code: int = dns.NOERROR, pause_s: float = 0.0,
) -> float:  # fmt: skip
    """Ask a name server one question; return when the answer was seen."""
    if len(client.address) != len(server.address):
        server = site.twin(server)
    talk = site.udp(client, server, 53, at)
    question = dns.query(site.rng.getrandbits(16), name, kind)
    talk.request(question)
    if server is site.dns and site.upstream and not name.endswith(LOCAL):
        _forward(site, site.upstream, name, question, dns.response(question, answers, code), talk.now)
    talk.wait(pause_s)
    talk.respond(dns.response(question, answers, code))
    return talk.now


def _forward(site: Site, upstream: Host, name: str, question: bytes, answer: bytes, at: float) -> None:
    """Let the name server ask in turn, from a port drawn at random (RFC 5452, 9.2), unless it remembers the answer."""
    hour = name, int(at // REMEMBERED_S)
    port = site.rng.randrange(1024, 65536)
    if hour in site.forwarded or not site.capture.is_free(site.dns, upstream, "udp", port, 53):
        return
    site.forwarded.add(hour)
    number = site.rng.randbytes(2)
    talk = site.udp(site.dns, upstream, 53, at + 0.0002, port)
    talk.request(number + question[2:])
    talk.respond(number + answer[2:])


def resolve(site: Site, client: Host, target: Host, at: float) -> float:
    """Look up a host's address at the site's name server; names of the internet take it longer."""
    pause_s = site.rng.uniform(0.004, 0.04) if target.hops else 0.0
    answers = [dns.address(target.ip, site.rng.choice((60, 300, 3600)))]
    return ask(site, client, site.dns, target.name, at, answers, answers[0][0], pause_s=pause_s)


def miss(site: Site, client: Host, name: str, at: float) -> float:
    """Look up a name that does not exist."""
    return ask(site, client, site.dns, name, at, code=dns.NXDOMAIN, pause_s=site.rng.uniform(0.004, 0.03))
