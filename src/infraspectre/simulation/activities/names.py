"""Names: questions to the site's name server."""

from __future__ import annotations

from collections.abc import Sequence

from infraspectre.simulation.hosts import Host
from infraspectre.simulation.protocols import dns
from infraspectre.simulation.site import Site


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
    talk.wait(pause_s)
    talk.respond(dns.response(question, answers, code))
    return talk.now


def resolve(site: Site, client: Host, target: Host, at: float) -> float:
    """Look up a host's address at the site's name server; names of the internet take it longer."""
    pause_s = site.rng.uniform(0.004, 0.04) if target.hops else 0.0
    answers = [dns.address(target.ip, site.rng.choice((60, 300, 3600)))]
    return ask(site, client, site.dns, target.name, at, answers, answers[0][0], pause_s=pause_s)


def miss(site: Site, client: Host, name: str, at: float) -> float:
    """Look up a name that does not exist."""
    return ask(site, client, site.dns, name, at, code=dns.NXDOMAIN, pause_s=site.rng.uniform(0.004, 0.03))
