"""Domain generation: malware that tries many names until one exists, beside content networks whose names look alike."""

from __future__ import annotations

import random
import string
from typing import Literal

from infraspectre.simulation.activities import names
from infraspectre.simulation.capture import Behaviour
from infraspectre.simulation.hosts import Host
from infraspectre.simulation.protocols import dns
from infraspectre.simulation.scenarios.background import lively_site
from infraspectre.simulation.site import Site

Kind = Literal["letters", "hex", "none"]
ENDINGS = ("com", "net", "org", "info", "biz")
CONTENT = ("cloudfront.net", "akamaiedge.net", "azureedge.net", "fastly.net")
"""Networks that name each object of their customers by letters and digits drawn at random."""
ANSWER = "198.51.100.7"


def domain_generation(
    seed: str, *, kind: Kind = "letters", tries: int = 80, hosts: int = 8, duration_s: float = 300.0,
    background: bool = True,
) -> Site:  # fmt: skip
    """Try generated domains on one workstation, of which the last exists; others ask for hosts of content networks."""
    site = lively_site(seed, hosts, duration_s, background)
    use_content(site, site.clients[-1], tries, duration_s)
    if kind != "none":
        search(site, site.clients[0], kind, tries, duration_s * 0.1, duration_s * 0.8)
    return site


def search(site: Site, victim: Host, kind: Kind, tries: int, start: float, seconds: float) -> None:
    """Ask for one generated domain after another; all but the last do not exist."""
    behaviour = Behaviour("domain generation", "domain-generation", ("T1568.002",), [victim.ip], [victim.ip])
    draw = site.derived("domain generation")
    with site.behaving(behaviour):
        for number in range(tries - 1):
            names.miss(site, victim, generated(draw, kind), start + number * seconds / tries)
        answer = dns.address(ANSWER, 60)
        names.ask(site, victim, site.dns, generated(draw, kind), start + seconds, [answer], answer[0])


def use_content(site: Site, client: Host, count: int, seconds: float) -> None:
    """Ask for hosts of content networks; some are gone."""
    draw = site.derived("content networks")
    with site.behaving(site.behaviour("content networks")):
        for number in range(count):
            token = "".join(draw.choices(string.ascii_lowercase + string.digits, k=13))
            name, at = f"d{token}.{draw.choice(CONTENT)}", number * seconds / count
            if draw.random() < 0.3:
                names.miss(site, client, name, at)
            else:
                answer = dns.address(ANSWER, 60)
                names.ask(site, client, site.dns, name, at, [answer], answer[0])


def generated(draw: random.Random, kind: Kind) -> str:
    """Return a domain of 14 letters, or of 16 hexadecimal digits."""
    alphabet, size = (string.ascii_lowercase, 14) if kind == "letters" else ("0123456789abcdef", 16)
    return "".join(draw.choices(alphabet, k=size)) + "." + draw.choice(ENDINGS)
