"""Names as algorithms make them: many made-up families of several shapes, so that families never seen look familiar.

The shapes are those that surveys of domain generation describe (Plohmann et al., 2016, A Comprehensive Measurement
Study of Domain Generating Malware): arithmetic, hash, permutation and word list. No known algorithm is rebuilt.
"""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Sequence
from itertools import pairwise

Family = Callable[[], str]
Shape = Callable[[random.Random, Sequence[str]], Family]

VOWELS, CONSONANTS = "aeiou", "bcdfghjklmnpqrstvwxyz"


def generated_names(words: Sequence[str], *, names: int, seed: int) -> list[tuple[str, str]]:
    """Return pairs of a made-up family and a name, at most `names` different ones of each family."""
    result = []
    for shape_name, (shape, families) in SHAPES.items():
        for number in range(families):
            draw = random.Random(f"{seed} {shape_name} {number}")  # noqa: S311 - names to learn from, not secrets
            family = shape(draw, words)
            made = dict.fromkeys(family()[:63] for _ in range(names))
            result += [(f"{shape_name} {number}", name) for name in made]
    return result


def _letters(draw: random.Random, words: Sequence[str]) -> Family:
    """Draw letters alike, sometimes of a part of the alphabet."""
    alphabet = string.ascii_lowercase
    if draw.random() < 0.4:
        alphabet = "".join(draw.sample(alphabet, draw.randint(9, 24)))
    shortest = draw.randint(6, 20)
    longest = shortest + draw.choice((0, 0, 2, 5, 10))
    return lambda: _drawn(draw, alphabet, draw.randint(shortest, longest))


def _digits_and_letters(draw: random.Random, words: Sequence[str]) -> Family:
    """Draw letters and digits, as base 32 or base 36 write numbers."""
    alphabet = string.ascii_lowercase + draw.choice((string.digits, string.digits, "234567", "01", "0123456789" * 2))
    shortest = draw.randint(7, 28)
    longest = shortest + draw.choice((0, 0, 3, 8))
    return lambda: _drawn(draw, alphabet, draw.randint(shortest, longest))


def _hexadecimal(draw: random.Random, words: Sequence[str]) -> Family:
    """Write a hash in hexadecimal digits, sometimes after a letter, or as letters a to p."""
    alphabet = draw.choice(("0123456789abcdef", "0123456789abcdef", "abcdefghijklmnop"))
    prefix = draw.choice(("", "", draw.choice(string.ascii_lowercase)))
    size = draw.choice((8, 10, 12, 13, 14, 16, 20, 24, 32, 33))
    return lambda: prefix + _drawn(draw, alphabet, size)


def _syllables(draw: random.Random, words: Sequence[str]) -> Family:
    """Put syllables of consonant and vowel together, of a part of the letters."""
    vowels = "".join(draw.sample(VOWELS + "y", draw.randint(3, 6)))
    consonants = "".join(draw.sample(CONSONANTS, draw.randint(8, 20)))
    patterns = draw.choice((("cv",), ("cv", "cvc"), ("vc",), ("cv", "vc", "v"), ("cvc",)))
    fewest, more = draw.randint(3, 5), draw.randint(0, 3)

    def name() -> str:
        pattern = "".join(draw.choice(patterns) for _ in range(fewest + draw.randint(0, more)))
        return "".join(draw.choice(vowels if kind == "v" else consonants) for kind in pattern)

    return name


def _chained(draw: random.Random, words: Sequence[str]) -> Family:
    """Draw each letter by the one before it, as in words: names that can nearly be pronounced."""
    followers: dict[str, str] = {}
    for word in draw.sample(list(words), min(len(words), draw.choice((40, 200, 1000)))):
        for before, after in pairwise(word):
            followers[before] = followers.get(before, "") + after
    begins = [word[0] for word in words if word[0] in followers]
    shortest = draw.randint(7, 13)
    longest = shortest + draw.choice((0, 3, 6))

    def name() -> str:
        made = draw.choice(begins)
        for _ in range(draw.randint(shortest, longest) - 1):
            made += draw.choice(followers.get(made[-1]) or begins)
        return made

    return name


def _pieces(draw: random.Random, words: Sequence[str]) -> Family:
    """Put pieces of a small table together: prefixes, middles, ends."""
    table = [_drawn(draw, VOWELS, 1) if draw.random() < 0.2 else _piece(draw) for _ in range(draw.randint(12, 60))]
    fewest, more = draw.randint(3, 5), draw.randint(0, 2)
    return lambda: "".join(draw.choice(table) for _ in range(fewest + draw.randint(0, more)))


def _dictionary(draw: random.Random, words: Sequence[str]) -> Family:
    """Put words of a small list together."""
    table = draw.sample(list(words), min(len(words), draw.choice((50, 150, 400, 1000))))
    fewest, more = draw.choice((2, 2, 3, 3, 4)), draw.choice((0, 0, 1))
    joint = draw.choice(("", "", "", "-"))
    return lambda: joint.join(draw.choice(table) for _ in range(fewest + draw.randint(0, more)))


def _cut_words(draw: random.Random, words: Sequence[str]) -> Family:
    """Put beginnings or ends of words together, or a word and random letters or digits."""
    table = draw.sample(list(words), min(len(words), 300))
    tail = draw.choice((string.ascii_lowercase, string.digits, ""))
    size = draw.randint(3, 7)

    def name() -> str:
        if tail:
            return draw.choice(table) + _drawn(draw, tail, size)
        return "".join(draw.choice(table)[: draw.randint(3, 5)] for _ in range(3))

    return name


def _mutated(draw: random.Random, words: Sequence[str]) -> Family:
    """Change the first letters of one long name and keep its rest."""
    rest = "".join(draw.choice(list(words)) for _ in range(draw.randint(2, 3)))
    size = draw.randint(3, 5)
    return lambda: _drawn(draw, string.ascii_lowercase, size) + rest


SHAPES: dict[str, tuple[Shape, int]] = {
    "letters": (_letters, 6),
    "digits and letters": (_digits_and_letters, 6),
    "hexadecimal": (_hexadecimal, 16),
    "syllables": (_syllables, 4),
    "chained": (_chained, 4),
    "pieces": (_pieces, 4),
    "dictionary": (_dictionary, 4),
    "cut words": (_cut_words, 4),
    "mutated": (_mutated, 4),
}
"""Shapes, and how many families are made up of each: more where families differ most, as hashes do in their length."""


def _drawn(draw: random.Random, alphabet: str, size: int) -> str:
    return "".join(draw.choices(alphabet, k=size))


def _piece(draw: random.Random) -> str:
    """Return a syllable of two to four letters."""
    return (
        draw.choice(CONSONANTS) + draw.choice(VOWELS) + draw.choice(("", draw.choice(CONSONANTS), draw.choice("nrst")))
    )
