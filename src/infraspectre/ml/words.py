"""Words: a vocabulary learnt from texts written without spaces, and the likeliest way to cut a text into its words."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from infraspectre.ml.detector import State

LONGEST = 14
"""Letters of the longest word kept; longer ones are put together of shorter ones."""
SHORTEST = 2
FILLER_BITS = 9.0
"""Cost of a character that belongs to no word: more than 4.7 bits, so that words win over chance."""


class Cut(NamedTuple):
    """Tells how a text falls into words."""

    words: list[str]
    """In their order; characters that belong to no word are left out."""
    bits: float
    """Cost of the whole text."""


class Vocabulary:
    """Knows words and how frequent they are."""

    kind = "words"

    def __init__(self, counts: dict[str, int]) -> None:
        """Take over words and how often each was seen."""
        self._counts = counts
        total = math.log2(sum(counts.values()) + 1)
        bits = {word: total - math.log2(count) for word, count in counts.items()}
        beginnings = {word[:size] for word in counts for size in range(SHORTEST, len(word))}
        self._bits = dict.fromkeys(sorted(beginnings), math.inf) | bits
        """Cost of each word, and infinity for what is only the beginning of one."""

    @classmethod
    def learn(
        cls, texts: Sequence[str], known: Iterable[str] = (), *, size: int = 20_000, rounds: int = 3
    ) -> Vocabulary:
        """Learn at most `size` words: parts that many texts share, pruned by cutting the texts with them.

        Viterbi training of a unigram model (Kudo, 2018, Subword Regularization), begun with frequent parts and words
        that are `known`.
        """
        counts = _frequent_parts(texts, 6 * size)
        for word in known:
            counts[word] = max(counts.get(word, 0), 8)
        for remaining in range(rounds, 0, -1):
            vocabulary, used = cls(counts), Counter[str]()
            for text in texts:
                used.update(vocabulary.cut(text).words)
            for word in known:
                used[word] += 1
            counts = dict(sorted(used.items(), key=lambda item: (-item[1], item[0]))[: size * remaining])
        return cls(counts)

    def cut(self, text: str) -> Cut:
        """Return the likeliest cut of a text into words."""
        size, known = len(text), self._bits
        best, step = [0.0] + [math.inf] * size, [0] * (size + 1)
        for begin in range(size):
            if best[begin] + FILLER_BITS <= best[begin + 1]:
                best[begin + 1], step[begin + 1] = best[begin] + FILLER_BITS, 0
            for end in range(begin + SHORTEST, min(size, begin + LONGEST) + 1):
                bits = known.get(text[begin:end])
                if bits is None:
                    break
                if best[begin] + bits < best[end]:
                    best[end], step[end] = best[begin] + bits, end - begin
        words, end = [], len(text)
        while end:
            if step[end]:
                words.append(text[end - step[end] : end])
            end -= step[end] or 1
        return Cut(words[::-1], best[-1])

    def state(self) -> State:
        """Return words and counts."""
        return State(self.kind, {"words": " ".join(self._counts), "counts": list(self._counts.values())})

    @classmethod
    def restore(cls, state: State) -> Vocabulary:
        """Return the vocabulary of a state."""
        return cls(dict(zip(state.values["words"].split(), state.values["counts"], strict=True)))


def _frequent_parts(texts: Sequence[str], size: int) -> dict[str, int]:
    """Return the parts of 2 to 14 letters that most texts share, by how many characters they explain."""
    parts: Counter[str] = Counter()
    for text in texts:
        for run in text.split("-"):
            parts.update(
                run[a : a + width] for width in range(SHORTEST, LONGEST + 1) for a in range(len(run) - width + 1)
            )
    frequent = [(count * (len(part) - 1), part) for part, count in parts.items() if count >= 4]
    return {part: parts[part] for _, part in sorted(frequent, key=lambda item: (-item[0], item[1]))[:size]}
