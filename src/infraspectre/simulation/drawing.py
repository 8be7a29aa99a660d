"""Drawing: what attackers choose freely, from a generator that is given."""

from __future__ import annotations

import math
import random

_ONSETS = (
    "b",
    "br",
    "c",
    "cl",
    "d",
    "dr",
    "f",
    "g",
    "gl",
    "h",
    "k",
    "l",
    "m",
    "n",
    "p",
    "pr",
    "r",
    "s",
    "st",
    "t",
    "v",
    "z",
)
_VOWELS = ("a", "e", "i", "o", "u", "ai", "ea", "io")
_ENDINGS = ("com", "com", "com", "net", "net", "org", "info", "io", "xyz", "top", "online", "site")
_HOSTS = ("", "", "", "www.", "api.", "cdn.", "update.", "static.", "mail.", "app.")


def log_uniform(rng: random.Random, least: float, most: float) -> float:
    """Draw a positive number whose order of magnitude is uniform."""
    return math.exp(rng.uniform(math.log(least), math.log(most)))


def log_count(rng: random.Random, least: int, most: int) -> int:
    """Draw a positive whole number whose order of magnitude is uniform."""
    return round(log_uniform(rng, least, most))


def span_within(rng: random.Random, begin_s: float, end_s: float, longest_s: float) -> tuple[float, float]:
    """Draw a span of at most some seconds inside another, for what does not last."""
    seconds = min(longest_s, (end_s - begin_s) * 0.95)
    start = rng.uniform(begin_s, end_s - seconds)
    return start, start + seconds


def word(rng: random.Random, syllables: int) -> str:
    """Coin a word that can be spoken."""
    return "".join(rng.choice(_ONSETS) + rng.choice(_VOWELS) for _ in range(syllables))


def domain(rng: random.Random) -> str:
    """Coin a registered domain as attackers choose them: of one or two words, some with a number."""
    first, second = word(rng, rng.choice((2, 3))), rng.choice(("", "", f"-{word(rng, 2)}", word(rng, 1)))
    return f"{first}{second}{rng.choice(('', '', str(rng.randrange(2, 99))))}.{rng.choice(_ENDINGS)}"


def host_name(rng: random.Random) -> str:
    """Coin the name of a server of an attacker."""
    return rng.choice(_HOSTS) + domain(rng)
