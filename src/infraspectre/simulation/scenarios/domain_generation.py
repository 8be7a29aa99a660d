"""Domain generation: malware that tries many names until one exists, beside content networks whose names look alike."""

from __future__ import annotations

import random
import string
from typing import Literal

from infraspectre.simulation.activities import names, web
from infraspectre.simulation.capture import Behaviour
from infraspectre.simulation.hosts import Host
from infraspectre.simulation.protocols import dns
from infraspectre.simulation.scenarios.background import lively_site
from infraspectre.simulation.site import Site

Kind = Literal["letters", "hex", "arithmetic", "words", "none"]
ENDINGS = ("com", "net", "org", "info", "biz")
CONTENT = ("cloudfront.net", "akamaiedge.net", "azureedge.net", "fastly.net")
"""Networks that name each object of their customers by letters and digits drawn at random."""
ANSWER = "198.51.100.7"
WORDS = (
    "above", "action", "advance", "afraid", "bridge", "button", "captain", "center", "circle", "cotton", "daughter",
    "degree", "desert", "differ", "doctor", "either", "english", "evening", "famous", "father", "figure", "flower",
    "follow", "forest", "garden", "gather", "glass", "heavy", "history", "husband", "increase", "journey", "language",
    "laughter", "leader", "letter", "machine", "market", "method", "middle", "modern", "mountain", "narrow", "nature",
    "nothing", "object", "offer", "orange", "people", "picture", "pleasant", "pretty", "quarter", "reason", "result",
    "school", "season", "silver", "simple", "spring", "strange", "summer", "thought", "thousand", "through", "trouble",
    "uncle", "valley", "village", "water", "weather", "window", "winter", "yellow",
)  # fmt: skip
"""Words of a dictionary, as families such as Suppobox and Matsnu join them."""


def domain_generation(
    seed: str, *, kind: Kind = "letters", tries: int = 80, hosts: int = 8, duration_s: float = 300.0,
    background: bool = True,
) -> Site:  # fmt: skip
    """Try generated domains on one workstation, of which the last exists; others ask for hosts of content networks."""
    site = lively_site(seed, hosts, duration_s, background)
    use_content(site, site.clients[-1], tries, duration_s)
    if kind != "none":
        draw = site.derived("domain generation")
        search(site, draw, site.clients[0], kind, tries, duration_s * 0.1, duration_s * 0.9)
    return site


def search(
    site: Site, rng: random.Random, victim: Host, kind: Kind, tries: int, begin_s: float, end_s: float,
    is_called: bool = False,
) -> Behaviour:  # fmt: skip
    """Ask for one generated domain after another; all but the last do not exist, and that one may be called."""
    gap_s = (end_s - begin_s) / tries
    behaviour = Behaviour(
        "domain generation", "domain-generation", ("T1568.002",), [victim.ip], [victim.ip],
        parameters={"tries": tries, "gap_s": gap_s, "kind": kind},
    )  # fmt: skip
    with site.behaving(behaviour):
        for number in range(tries - 1):
            names.miss(site, victim, generated(rng, kind), begin_s + number * gap_s)
        last = generated(rng, kind)
        if is_called:
            master = site.outside(last, "control server")
            behaviour.control_servers.append(master.ip)
            web.poll(site, victim, master, end_s)
        else:
            answer = dns.address(ANSWER, 60)
            names.ask(site, victim, site.dns, last, end_s, [answer], answer[0])
    return behaviour


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
    """Return a domain of 14 letters, of 16 hexadecimal digits, of letters computed from a number, or of words."""
    ending = "." + draw.choice(ENDINGS)
    match kind:
        case "arithmetic":
            return _computed(draw.getrandbits(32)) + ending
        case "words":
            return "".join(draw.sample(WORDS, draw.choice((2, 2, 3)))) + ending
    alphabet, size = ("0123456789abcdef", 16) if kind == "hex" else (string.ascii_lowercase, 14)
    return "".join(draw.choices(alphabet, k=size)) + ending


def _computed(state: int) -> str:
    """Make 8 to 15 letters of a linear congruential generator, as Conficker and Kraken do."""
    letters = []
    for _ in range(8 + state % 8):
        state = (state * 1_664_525 + 1_013_904_223) & 0xFFFFFFFF
        letters.append(string.ascii_lowercase[(state >> 16) % 26])
    return "".join(letters)
