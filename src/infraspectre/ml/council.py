"""The council of a table: trees that know attacks and a detector of what is unusual, joined into one judgement."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from infraspectre.errors import InputError
from infraspectre.ml.anomaly.ensemble import Ensemble
from infraspectre.ml.anomaly.parts import copies, folds
from infraspectre.ml.boosting import Boosting, Shape, class_weights
from infraspectre.ml.calibration import Calibration, Tail, Thresholds, logistic
from infraspectre.ml.detector import Detector, Judgement, Labels, Matrix, State, Vector
from infraspectre.ml.neighbours import Neighbours
from infraspectre.ml.table import Table

Task = Literal["classify", "anomaly"]
Progress = Callable[[str, float], None]
"""Is told what is being done and how much of all is done, 0 to 1."""

BENIGN_NAMES = ("benign", "normal", "legitimate", "legit", "background", "clean", "norm", "0", "false", "no")
"""Names of the benign class, in any case; the first of these that is a label is taken."""
HOSTILE = "hostile"
FOLDS = 5
CELLS = 512
"""Cells of like rows that are kept on one side when rows are judged apart from them."""
MIN_ROWS = 20
"""Fewest benign rows to learn from, and fewest hostile ones to tell them apart."""
RATE = 0.01
"""Share of benign rows that may be called hostile unless another is wanted."""
DETECTORS: dict[str, type[Detector]] = {Neighbours.kind: Neighbours, Ensemble.kind: Ensemble}
TRIAGE = Shape(rounds=200, depth=7, learning_rate=0.12, features_per_tree=0.5)
FAMILIES = Shape(rounds=60, depth=6)
IMAGINED_SHARE = 0.5
"""Imagined rows per benign row; with them attacks of classes left out of training are found far more often."""
IMAGINED_WEIGHT = 0.1
SWAPPED_SHARES = (0.1, 0.3, 0.6)
"""Shares of values that an imagined row has from others: rows near benign ones, and rows far from them."""
SURPRISE_WEIGHT = 0.3
"""Weight of the anomaly's vote beside that of the trees: of 0, 0.3 and 1 what found most of classes left out."""
SOFTNESS = 4.0
"""Makes scores from 0 to 1 of logarithms of odds without many of them ending at 1."""


class Votes:
    """The members of the council: what each says of rows, and how that becomes one number."""

    def __init__(self, triage: Boosting | None, anomaly: Detector, usual: Tail, weights: Vector) -> None:
        """Join the members; `usual` holds anomaly scores of benign rows, `weights` an intercept and one per member."""
        self.triage, self.anomaly, self.usual, self.weights = triage, anomaly, usual, weights

    def of(self, rows: Matrix) -> NDArray[np.float64]:
        """Return a column for each member (rows, members)."""
        surprise = self.usual.surprise(self.anomaly.score(rows))
        return surprise[:, None] if self.triage is None else np.column_stack([self.triage.score(rows), surprise])

    def joined(self, rows: Matrix) -> Vector:
        """Return one number for each row; higher is more suspicious."""
        return joined(self.of(rows), self.weights)


class Council:
    """Judges rows of a table; its threshold was fixed on rows of the training table that it had not learnt from."""

    kind: ClassVar[str] = "council"

    def __init__(
        self,
        classes: list[str],
        table: Table,
        votes: Votes,
        families: Boosting | None,
        thresholds: Thresholds,
        calibration: Calibration | None,
        rate: float = RATE,
    ) -> None:
        """Join what was learnt; `rate` is the share of benign rows that may be called hostile."""
        self._classes, self._table, self._votes, self._families = classes, table, votes, families
        self._thresholds, self._calibration, self._rate = thresholds, calibration, rate
        self._threshold = thresholds.at(rate)

    @classmethod
    def learn(
        cls,
        frame: pl.DataFrame,
        label: str,
        *,
        task: Task = "classify",
        seed: int = 0,
        progress: Progress | None = None,
        rate: float = RATE,
    ) -> Council:
        """Learn from a table whose column `label` names the class of each row; an anomaly task can do without it.

        `rate` is the share of benign rows that may be called hostile. Raises `InputError` where the table cannot be
        learnt from.
        """
        tell = progress or (lambda _what, _share: None)
        names, labels = learnt_classes(frame, label, task)
        table = Table.learn(frame, pl.Series(labels > 0), answer_name=label)
        if task == "anomaly":
            frame = frame.filter(labels == 0)
        rows = table.encode(frame)
        tell("encoded", 0.1)
        if task == "anomaly":
            return cls._learn_anomaly([*names[:1], HOSTILE], table, rows, seed, rate)
        return cls._learn_classes(names, table, rows, labels, seed, rate, tell)

    @classmethod
    def _learn_anomaly(cls, names: list[str], table: Table, rows: Matrix, seed: int, rate: float) -> Council:
        anomaly = Ensemble(seed)
        anomaly.learn(rows)
        votes = Votes(None, anomaly, Tail.learn(anomaly.calibration), np.array([0.0, 1.0]))
        scores = votes.usual.surprise(anomaly.calibration)
        return cls(names, table, votes, None, Thresholds.learn(scores, scores, np.empty(0)), None, rate)

    @classmethod
    def _learn_classes(
        cls, names: list[str], table: Table, rows: Matrix, labels: Labels, seed: int, rate: float, tell: Progress
    ) -> Council:
        near = _judged_apart(rows, labels, folds(copies(rows), FOLDS, seed), seed)
        tell("judged apart from equal rows", 0.4)
        far = _judged_apart(rows, labels, folds(_cells(rows, seed), FOLDS, seed), seed)
        tell("judged apart from like rows", 0.7)
        votes = _members(rows, labels, seed)
        tell("triage learnt", 0.8)
        families = _families(rows, labels, seed) if len(names) > 2 else None
        tell("families learnt", 1.0)
        benign = labels == 0
        thresholds = Thresholds.learn(near[benign], far[benign], near[~benign])
        calibration = Calibration.learn(np.r_[near, far], np.r_[~benign, ~benign].astype(np.float64))
        return cls(names, table, votes, families, thresholds, calibration, rate)

    @property
    def columns(self) -> list[str]:
        """Name the columns it needs."""
        return self._table.columns

    @property
    def classes(self) -> list[str]:
        """Name the classes it tells apart, the benign one first."""
        return list(self._classes)

    @property
    def left_out(self) -> dict[str, str]:
        """Say of each column that does not count why it does not."""
        return dict(self._table.left_out)

    def threshold(self, rate: float) -> float:
        """Return the score above which at most this share of benign rows lies, as fixed on training data."""
        return float(self._shown(np.array([self._thresholds.at(rate)]))[0])

    def judge(self, frame: pl.DataFrame) -> Judgement:
        """Judge the rows of a table; raise `InputError` naming the column that is missing or of another type."""
        rows = self._table.encode(frame)
        scores = self._votes.joined(rows)
        probabilities, low, high = self._probabilities(scores)
        return Judgement(self._labels(rows, scores), self._shown(scores), probabilities, low, high)

    def _shown(self, scores: Vector) -> Vector:
        return logistic((scores - self._threshold) / SOFTNESS)

    def _probabilities(self, scores: Vector) -> tuple[Vector, Vector, Vector]:
        if self._calibration is None:
            return self._thresholds.near.posterior(scores)
        probabilities = self._calibration.probabilities(scores)
        return probabilities, *self._calibration.interval(probabilities)

    def _labels(self, rows: Matrix, scores: Vector) -> list[str]:
        names = np.zeros(len(rows), dtype=np.int64)
        flagged = np.flatnonzero(scores > self._threshold)
        names[flagged] = 1
        if self._families is not None and len(flagged):
            names[flagged] = 1 + self._families.probabilities(rows[flagged]).argmax(axis=1)
        return [self._classes[name] for name in names.tolist()]

    def state(self) -> State:
        """Return what was learnt."""
        votes = self._votes
        parts = {
            "table": self._table.state(),
            "anomaly": votes.anomaly.state(),
            "usual": votes.usual.state(),
            "thresholds": self._thresholds.state(),
        }
        optional = {"triage": votes.triage, "families": self._families, "calibration": self._calibration}
        parts |= {name: part.state() for name, part in optional.items() if part is not None}
        values = {"classes": self._classes, "rate": self._rate}
        return State(self.kind, values, {"weights": votes.weights}, parts)

    @classmethod
    def restore(cls, state: State) -> Council:
        """Return a council that judges exactly as the one whose state it is."""
        parts, anomaly = state.parts, state.parts["anomaly"]
        votes = Votes(
            Boosting.restore(parts["triage"]) if "triage" in parts else None,
            DETECTORS[anomaly.kind].restore(anomaly),
            Tail.restore(parts["usual"]),
            state.arrays["weights"],
        )
        return cls(
            list(state.values["classes"]),
            Table.restore(parts["table"]),
            votes,
            Boosting.restore(parts["families"]) if "families" in parts else None,
            Thresholds.restore(parts["thresholds"]),
            Calibration.restore(parts["calibration"]) if "calibration" in parts else None,
            float(state.values["rate"]),
        )


def learnt_classes(frame: pl.DataFrame, label: str, task: Task = "classify") -> tuple[list[str], Labels]:
    """Return the names of classes, the benign one first, and the number of each row's.

    Raises `InputError` where a row has no label, or a class too few rows to learn from.
    """
    names, labels = _classes(_answers(frame, label, task), len(frame))
    _check(labels, label, task)
    return names, labels


def joined(votes: NDArray[np.float64], weights: Vector) -> Vector:
    """Return the weighted sum of votes; `weights` holds the intercept, then one for each column."""
    return np.asarray(weights[0] + (votes * weights[1:]).sum(axis=1))


def _members(rows: Matrix, labels: Labels, seed: int) -> Votes:
    """Let the members learn; imagined rows teach the trees that what no benign row looks like is suspicious."""
    imagined = _imagined(rows[labels == 0], np.random.default_rng(seed))
    hostile = np.r_[labels > 0, np.ones(len(imagined), dtype=bool)].astype(np.int32)
    weights = np.r_[class_weights(labels), np.full(len(imagined), IMAGINED_WEIGHT)]
    triage = Boosting(2, TRIAGE, seed=seed)
    triage.learn(np.concatenate([rows, imagined]), hostile, weights=weights)
    usual = rows[labels == 0]
    anomaly = _anomaly(usual[::2], seed)
    return Votes(triage, anomaly, Tail.learn(anomaly.score(usual[1::2])), np.array([0.0, 1.0, SURPRISE_WEIGHT]))


def _imagined(usual: Matrix, random: np.random.Generator) -> Matrix:
    """Return benign rows with a part of the values from other benign rows (a synthetic class, as Breiman's, 2001)."""
    size = max(1, int(len(usual) * IMAGINED_SHARE))
    places = random.integers(len(usual), size=(size, usual.shape[1]))
    foreign = usual[places, np.arange(usual.shape[1])]
    swapped = random.random(foreign.shape) < random.choice(SWAPPED_SHARES, size=(size, 1))
    return np.asarray(np.where(swapped, foreign, usual[random.integers(len(usual), size=size)]), dtype=np.float32)


def _anomaly(rows: Matrix, seed: int) -> Detector:
    anomaly = Neighbours(seed=seed)
    anomaly.learn(rows)
    return anomaly


def _judged_apart(rows: Matrix, labels: Labels, fold_of: NDArray[np.int64], seed: int) -> Vector:
    """Return the joined score of each row by members that have not learnt its fold."""
    scores = np.empty(len(rows))
    for fold in range(FOLDS):
        held = fold_of == fold
        if held.any():
            scores[held] = _members(rows[~held], labels[~held], seed).joined(rows[held])
    return scores


def _families(rows: Matrix, labels: Labels, seed: int) -> Boosting:
    hostile = labels > 0
    kinds = labels[hostile] - 1
    families = Boosting(max(2, int(kinds.max()) + 1), FAMILIES, seed=seed)
    families.learn(rows[hostile], kinds, weights=class_weights(kinds, 0.25))
    return families


def _cells(rows: Matrix, seed: int) -> NDArray[np.int64]:
    """Return the number of the cell of like rows that each belongs to, those nearest to one of some hundred."""
    neighbours = Neighbours(seed=seed, usual_rows=CELLS)
    neighbours.learn(rows)
    return neighbours.nearest(rows)


def _answers(frame: pl.DataFrame, label: str, task: Task) -> pl.Series | None:
    if label in frame.columns:
        answers = frame[label].cast(pl.String)
        missing = answers.is_null().arg_true()
        if len(missing):
            raise InputError(
                f"row {int(missing[0]) + 1} has no label", field=label, remedy="label every row or leave it out"
            )
        return answers
    if task == "anomaly":
        return None
    raise InputError("the column of labels is missing", field=label, remedy="name a column that the table has")


def _check(labels: Labels, label: str, task: Task) -> None:
    benign, hostile = int((labels == 0).sum()), int((labels > 0).sum())
    if benign < MIN_ROWS:
        raise InputError(f"{benign} benign rows are too few", field=label, remedy=f"give at least {MIN_ROWS}")
    if task == "classify" and not hostile:
        raise InputError("no row is hostile", field=label, remedy="give hostile rows or choose the task anomaly")
    if task == "classify" and hostile < MIN_ROWS:
        raise InputError(f"{hostile} hostile rows are too few", field=label, remedy=f"give at least {MIN_ROWS}")


def _classes(answers: pl.Series | None, rows: int) -> tuple[list[str], Labels]:
    """Return the names of classes, the benign one first, and the number of each row's."""
    if answers is None:
        return ["benign"], np.zeros(rows, dtype=np.int32)
    found: list[str] = sorted(answers.unique().to_list())
    benign = next((name for usual in BENIGN_NAMES for name in found if name.strip().lower() == usual), None)
    if benign is None:
        raise InputError(
            f"no label is benign, among {', '.join(found[:10])}",
            field=answers.name,
            remedy=f"call the benign class one of {', '.join(BENIGN_NAMES)}",
        )
    names = [benign, *(name for name in found if name != benign)]
    labels = answers.replace_strict(names, list(range(len(names))), return_dtype=pl.Int32).to_numpy()
    return names, labels
