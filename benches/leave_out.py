"""Validation of the model of generated domains on what it never saw.

`python -m benches.leave_out --data DIR` leaves out whole families, and whole sources of benign names,
in turn. The threshold is the model's own, fixed on what it learnt.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from infraspectre.learning.builtin import MADE_UP, RECIPES, Text, english_words, learn

SEED = 11
FOLDS = 5


class Outcome(NamedTuple):
    """Tells how many names of a group that was left out were called hostile."""

    fold: int
    label: str
    group: str
    names: int
    called: float
    called_at_rate: float
    """Share called with the threshold at which 1% of this fold's left-out benign names are."""


def outcomes(data: Path, folds: Sequence[int] = tuple(range(FOLDS))) -> Iterator[Outcome]:
    """Yield for each fold what became of the families and sources left out."""
    recipe = RECIPES["dga"]
    texts, words = recipe.gather(data), english_words(data)
    fold_of = _dealt(texts)
    for fold in folds:
        left_out = {group for group, number in fold_of.items() if number == fold}
        kept = [text for text in texts if text.group not in left_out]
        known = {text.text for text in kept}
        tested = [text for text in dict.fromkeys(texts) if text.group in left_out and text.text not in known]
        model = learn(recipe, kept, words)
        scores = model.judge(pl.DataFrame({"domain": [f"{text.text}.{text.context}" for text in tested]})).scores
        frame = pl.DataFrame({"label": [t.label for t in tested], "group": [t.group for t in tested], "score": scores})
        rate = frame.filter(pl.col("label") == "benign")["score"].quantile(0.99, "higher")
        summary = frame.group_by("label", "group").agg(
            pl.len(), called=(pl.col("score") > model.limit).mean(), at_rate=(pl.col("score") > rate).mean()
        )
        yield from (Outcome(fold, *row) for row in summary.sort("label", "group").iter_rows())


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what became of each family and source that was left out, and the means."""
    parser = argparse.ArgumentParser(prog="python -m benches.leave_out", description=main.__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of test data, with net/ and intel/")
    parser.add_argument("--folds", type=int, nargs="*", default=list(range(FOLDS)), help="folds to run, from 0")
    chosen = parser.parse_args(arguments)
    found = []
    for outcome in outcomes(chosen.data, chosen.folds):
        found.append(outcome)
        print(*outcome[:4], f"{outcome.called:.4f}", f"{outcome.called_at_rate:.4f}", sep="\t", flush=True)
    benign = [outcome for outcome in found if outcome.label == "benign"]
    families = [outcome for outcome in found if outcome.label != "benign"]
    names = sum(outcome.names for outcome in benign)
    print(f"benign names called: {sum(outcome.names * outcome.called for outcome in benign) / names:.4f} of {names}")
    print(f"mean recall of {len(families)} families: {_mean([outcome.called for outcome in families]):.3f}")
    print(f"at 1% of the benign names left out: {_mean([outcome.called_at_rate for outcome in families]):.3f}")
    return 0


def _dealt(texts: Sequence[Text]) -> dict[str, int]:
    """Deal families, and sources of benign names, to folds; made-up families are always learnt from."""
    result: dict[str, int] = {}
    for side in ("benign", "dga"):
        sizes = Counter(text.group for text in texts if text.label == side and not text.group.startswith(MADE_UP))
        groups = sorted(sizes)
        random.Random(SEED).shuffle(groups)
        result |= {group: number % FOLDS for number, group in enumerate(groups)}
    return result


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


if __name__ == "__main__":
    sys.exit(main())
