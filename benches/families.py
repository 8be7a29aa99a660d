"""How well classes of attacks are named on rows of UNSW-NB15 that have no equal among those learnt."""

from __future__ import annotations

from time import process_time
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benches.captures import test_data
from benches.report import Figure, Report, Table
from infraspectre.learning.report_card import macro_f1
from infraspectre.learning.splitting import held_out, row_hashes
from infraspectre.ml.council import Council

TABLE = "tabular/unsw-nb15/unsw_nb15_part_A.csv.gz"
LABEL = "attack_cat"
NOT_SAID = ("id", "label")
SPLITS = 3
BATCH = 1_024
Names = NDArray[np.object_]


class Named(NamedTuple):
    """Holds the truth and what was said of rows held out, whether it was called novel, and the time it took."""

    truth: Names
    said: Names
    novel: NDArray[np.bool_]
    groups: NDArray[np.uint64]
    learning_s: float
    batches_s: list[float]


def measure() -> Report:
    """Learn from four fifths of the table and name the classes of the rest, by several splits."""
    frame = pl.read_csv(test_data() / TABLE).drop(NOT_SAID)
    splits = [named(frame, seed) for seed in range(SPLITS)]
    batches = np.concatenate([each.batches_s for each in splits])
    return Report(
        [
            Figure("macro-F1 of 10 classes, all rows", averaged(splits), "", "0.70", "0.75"),
            Figure("macro-F1, one row of each group of equal ones", averaged([one_of_each(each) for each in splits])),
            Figure("macro-F1, groups of one class alone", averaged([of_one_class(each) for each in splits])),
            Figure("macro-F1, best that classes of equal rows allow", np.mean([bound(each) for each in splits]).item()),
            Figure("attacks of known classes called novel", novel_share(splits), "", "0.05"),
            Figure("learning, CPU time", np.mean([each.learning_s for each in splits]).item(), "s", "120 s"),
            Figure("rows judged per CPU-second", BATCH / batches.mean().item(), "", "20,000", "60,000"),
            Figure("a batch of 1,024 rows, 99th percentile", np.quantile(batches, 0.99).item() * 1e3, "ms", "25 ms"),
        ],
        [Table("F1 by class", ("class", *(f"split {place}" for place in range(SPLITS))), by_class(splits))],
    )


def named(frame: pl.DataFrame, seed: int) -> Named:
    """Return what a council says of rows whose equals it has not learnt."""
    aside = held_out(frame, LABEL, seed=seed)
    later, begin = frame.filter(aside), process_time()
    council = Council.learn(frame.filter(~aside), LABEL, seed=seed)
    learning, said, batches = process_time() - begin, [], []
    for start in range(0, len(later), BATCH):
        begin = process_time()
        said += council.judge(later[start : start + BATCH]).labels
        if start + BATCH <= len(later):
            batches.append(process_time() - begin)
    truth = later[LABEL].to_numpy().astype(object)
    groups = row_hashes(later, LABEL, seed)
    return Named(truth, np.array(said, dtype=object), council.novel(later, said), groups, learning, batches)


def averaged(splits: list[Named]) -> float:
    """Return the mean macro-F1."""
    return float(np.mean([macro_f1(each.truth.tolist(), each.said.tolist()) for each in splits]))


def one_of_each(split: Named) -> Named:
    """Return one row of each group of equal rows, drawn at random: a group may have several classes."""
    order = np.random.default_rng(0).permutation(len(split.truth))
    first = order[np.unique(split.groups[order], return_index=True)[1]]
    return split._replace(truth=split.truth[first], said=split.said[first])


def of_one_class(split: Named) -> Named:
    """Return the rows whose equals all have their class."""
    pairs = pl.DataFrame({"group": split.groups, "truth": split.truth.astype(str)})
    alone = pairs.select(pl.col("truth").n_unique().over("group") == 1).to_series().to_numpy()
    return split._replace(truth=split.truth[alone], said=split.said[alone])


def bound(split: Named) -> float:
    """Return the macro-F1 of who knows the most frequent class of each group of equal rows, and only that."""
    pairs = pl.DataFrame({"group": split.groups, "truth": split.truth.astype(str)})
    counted = pairs.with_columns(pl.len().over("group", "truth").alias("rows"))
    best = counted.select(pl.col("truth").sort_by("rows", "truth", descending=True).first().over("group")).to_series()
    return macro_f1(split.truth.tolist(), best.to_list())


def novel_share(splits: list[Named]) -> float:
    """Return the share of rows rightly called hostile that are also called novel, of classes that were learnt."""
    benign = "Normal"
    found = [each.novel[(each.truth != benign) & (each.said != benign)].mean() for each in splits]
    return float(np.mean(found))


def by_class(splits: list[Named]) -> list[tuple[str | float, ...]]:
    """Return the F1 of each class in each split."""
    names = sorted({name for each in splits for name in each.truth.tolist()})
    return [(name, *(f1(each.truth == name, each.said == name) for each in splits)) for name in names]


def f1(ours: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> float:
    """Return the harmonic mean of precision and recall."""
    return 2.0 * int((ours & theirs).sum()) / max(1, int(ours.sum()) + int(theirs.sum()))
