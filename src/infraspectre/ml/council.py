"""The council of a table: trees that know attacks and a detector of what is unusual, joined into one judgement."""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec
import numpy as np
import polars as pl
from msgspec.structs import replace
from numpy.typing import NDArray

from infraspectre.errors import InputError
from infraspectre.ml.anomaly.conformal import Conformal
from infraspectre.ml.anomaly.damped import DampedEnsemble
from infraspectre.ml.anomaly.ensemble import Ensemble
from infraspectre.ml.anomaly.neighbours import NearestPrototypes
from infraspectre.ml.anomaly.parts import copies, folds
from infraspectre.ml.boosting import Boosting, Device, Shape, class_weights
from infraspectre.ml.calibration import RATE, Calibration, Thresholds, shown
from infraspectre.ml.cascade import Triaged
from infraspectre.ml.detector import Contributions, Detector, Judgement, Labels, Matrix, Progress, State, Vector
from infraspectre.ml.examples import Examples
from infraspectre.ml.explanation import Explainer
from infraspectre.ml.families import FAMILIES, Families
from infraspectre.ml.table import Table
from infraspectre.records.explanation import Explanation

Task = Literal["classify", "anomaly"]
BENIGN_NAMES = ("benign", "normal", "legitimate", "legit", "background", "clean", "norm", "0", "false", "no")
"""Names of the benign class, in any case; the first of these that is a label is taken."""
HOSTILE = "hostile"
FOLDS = 5
CELLS = 512
"""Cells of like rows that are kept on one side when rows are judged apart from them."""
MIN_ROWS = 20
"""Fewest benign rows to learn from, and fewest hostile ones to tell them apart."""
Anomaly = Literal[
    "ensemble", "damped", "nearest-prototypes", "autoencoder", "isolation-forest", "median-deviations", "mahalanobis"
]
"""What the anomaly task can ask; `damped` takes damped statistics alone."""
DETECTORS: dict[str, type[Detector]] = {kind.kind: kind for kind in (NearestPrototypes, Ensemble, DampedEnsemble)}
DAMPED = "_damped_"
"""Is in the name of every column of damped statistics."""
PROTOTYPES = 1_024
"""Prototypes compared with each row. From 512 to 4,096 of them, beside the trees, found as much of classes left out of
UNSW-NB15; comparing with thousands would take most of the time of a judgement."""
TRIAGE = Shape(rounds=200, depth=7, learning_rate=0.12, features_per_tree=0.5, min_child_weight=0.5, l2=0.5)
IMAGINED_SHARE = 0.5
"""Imagined rows per benign row; with them attacks of classes left out of training are found far more often."""
IMAGINED_WEIGHT = 0.1
SWAPPED_SHARES = (0.1, 0.3, 0.6)
"""Shares of values that an imagined row has from others: rows near benign ones, and rows far from them."""
SURPRISE_WEIGHT = 0.3
"""Weight of the anomaly's vote beside that of the trees: of 0, 0.3 and 1 what found most of classes left out."""


class CouncilSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Says how the members learn; the defaults did best on attacks of classes left out of public data."""

    triage: Shape = TRIAGE
    families: Shape = FAMILIES
    imagined_share: float = IMAGINED_SHARE
    surprise_weight: float = SURPRISE_WEIGHT
    anomaly: Anomaly = "ensemble"
    """What the anomaly task asks."""


USUAL = CouncilSettings()


def on_device(settings: CouncilSettings, device: Device) -> CouncilSettings:
    """Return settings by which trees are grown on this device."""
    triage, families = (replace(shape, device=device) for shape in (settings.triage, settings.families))
    return replace(settings, triage=triage, families=families)


class Votes:
    """The members of the council: what each says of rows, and how that becomes one number."""

    def __init__(self, triage: Boosting | None, anomaly: Detector, usual: Conformal, weights: Vector) -> None:
        """Join the members; `usual` holds anomaly scores of benign rows, `weights` an intercept and one per member."""
        self.triage, self.anomaly, self.usual, self.weights = triage, anomaly, usual, weights

    def of(self, rows: Matrix) -> NDArray[np.float64]:
        """Return a column for each member (rows, members)."""
        surprise = self.usual.surprise(self.anomaly.score(rows))
        return surprise[:, None] if self.triage is None else np.column_stack([self.triage.score(rows), surprise])

    def joined(self, rows: Matrix) -> Vector:
        """Return one number for each row; higher is more suspicious."""
        return joined(self.of(rows), self.weights)

    def known(self, rows: Matrix) -> Vector:
        """Return what each feature adds to the joined number by the trees, and last what all rows begin with."""
        if self.triage is None:
            return np.pad(np.zeros_like(rows, dtype=np.float64), ((0, 0), (0, 1)), constant_values=self.weights[0])
        shares: Vector = self.weights[1] * self.triage.contributions(rows)
        shares[:, -1] += self.weights[0]
        return shares


class Council:
    """Judges rows of a table; its threshold was fixed on rows of the training table that it had not learnt from."""

    kind: ClassVar[str] = "council"

    def __init__(
        self,
        classes: list[str],
        table: Table,
        votes: Votes,
        families: Families | None,
        thresholds: Thresholds,
        calibration: Calibration | None,
        rate: float = RATE,
        examples: Examples | None = None,
    ) -> None:
        """Join what was learnt; `rate` is the share of benign rows that may be called hostile."""
        self._classes, self._table, self._votes, self._families = classes, table, votes, families
        self._thresholds, self._calibration, self._rate = thresholds, calibration, rate
        self._threshold = thresholds.at(rate)
        self._examples = examples

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
        settings: CouncilSettings = USUAL,
        groups: str | None = None,
    ) -> Council:
        """Learn from a table whose column `label` names the class of each row; an anomaly task can do without it.

        `rate` is the share of benign rows that may be called hostile. `groups` names a column that is not learnt from:
        rows with the same value, such as those of one capture, are judged apart from one another when thresholds are
        fixed. Raises `InputError` where the table cannot be learnt from.
        """
        together = frame[groups].rank("dense").cast(pl.Int64).to_numpy() - 1 if groups else None
        frame = frame.drop(groups) if groups else frame
        tell = progress or (lambda _what, _share: None)
        names, labels = learnt_classes(frame, label, task)
        frame = _damped(frame, label) if settings.anomaly == "damped" else frame
        table = Table.learn(frame, pl.Series(labels > 0), answer_name=label)
        if task == "anomaly":
            frame, labels = frame.filter(labels == 0), labels[labels == 0]
        rows = table.encode(frame)
        tell("encoded", 0.1)
        if task == "anomaly":
            council = cls._learn_anomaly([*names[:1], HOSTILE], table, rows, _unusual(settings.anomaly, seed), rate)
        else:
            council = cls._learn_classes(names, table, rows, labels, together, seed, rate, tell, settings)
        council._examples = Examples.learn(table, frame, rows, labels, lambda some: council._margins(some) <= 0, seed)
        return council

    @classmethod
    def _learn_anomaly(
        cls, names: list[str], table: Table, rows: Matrix, anomaly: Ensemble | DampedEnsemble, rate: float
    ) -> Council:
        anomaly.learn(rows)
        votes = Votes(None, anomaly, Conformal(anomaly.calibration), np.array([0.0, 1.0]))
        scores = votes.usual.surprise(anomaly.calibration)
        return cls(names, table, votes, None, Thresholds.learn(scores, scores, np.empty(0)), None, rate)

    @classmethod
    def _learn_classes(
        cls,
        names: list[str],
        table: Table,
        rows: Matrix,
        labels: Labels,
        together: NDArray[np.int64] | None,
        seed: int,
        rate: float,
        tell: Progress,
        settings: CouncilSettings,
    ) -> Council:
        near = _judged_apart(rows, labels, _near_folds(rows, labels, together, seed), seed, settings)
        tell("judged apart from equal rows", 0.4)
        far = _judged_apart(rows, labels, folds(_cells(rows, seed), FOLDS, seed), seed, settings)
        tell("judged apart from like rows", 0.7)
        votes = _members(rows, labels, seed, settings)
        tell("triage learnt", 0.8)
        families = _families(rows, labels, seed, settings.families) if len(names) > 2 else None
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
        return float(shown(np.array([self._thresholds.at(rate)]), self._threshold)[0])

    def judge(self, frame: pl.DataFrame) -> Judgement:
        """Judge the rows of a table; raise `InputError` naming the column that is missing or of another type."""
        triaged = self.triage(frame)
        labels = np.full(len(frame), self._classes[0], dtype=object)
        labels[triaged.flagged] = self.families(triaged.rows[triaged.flagged])
        return Judgement(labels.tolist(), triaged.scores, triaged.probabilities, triaged.low, triaged.high)

    def triage(self, frame: pl.DataFrame) -> Triaged:
        """Say of each row how suspicious it is; raise as `judge` does."""
        rows = self._table.encode(frame)
        scores = self._votes.joined(rows)
        flagged = np.flatnonzero(scores > self._threshold)
        return Triaged(rows, shown(scores, self._threshold), *self._probabilities(scores), flagged)

    def families(self, rows: Matrix) -> list[str]:
        """Name the class of each suspicious row, given as `triage` encodes it."""
        kinds = np.zeros(len(rows), dtype=np.int64)
        if self._families is not None and len(rows):
            kinds = self._families.choose(rows)
        return [self._classes[1 + kind] for kind in kinds.tolist()]

    def explain(self, frame: pl.DataFrame) -> list[Explanation]:
        """Explain the judgement of each row of a table; raises as `judge` does."""
        return self._explainer().explain(frame, self.judge(frame).labels, self._classes)

    def contributions(self, frame: pl.DataFrame) -> Contributions:
        """Return what each column adds to the margin of each row over the threshold; raises as `judge` does."""
        return self._explainer().contributions(frame)

    def known_rows(self) -> tuple[pl.DataFrame, Labels]:
        """Return the rows of training that it keeps, which may be none, and the class of each; 0 is benign."""
        if self._examples is None:
            return pl.DataFrame(schema=dict.fromkeys(self.columns, pl.Float32)), np.empty(0, np.int32)
        return self._examples.frame(), self._examples.labels

    def _explainer(self) -> Explainer:
        def known(rows: Matrix) -> Vector:
            shares = self._votes.known(rows)
            shares[:, -1] -= self._threshold
            return shares

        return Explainer(self._table, self._examples, known, self._margins)

    def _margins(self, rows: Matrix) -> Vector:
        return self._votes.joined(rows) - self._threshold

    def novel(self, frame: pl.DataFrame, labels: list[str]) -> NDArray[np.bool_]:
        """Tell which rows that were judged hostile are unlike known rows of the class that their label names.

        Never true of a council that knows but one hostile class.
        """
        places = {name: place for place, name in enumerate(self._classes)}
        kinds = np.array([places[label] for label in labels], dtype=np.int64) - 1
        found = kinds >= 0
        if self._families is not None and found.any():
            found[found] = self._families.novel(self._table.encode(frame.filter(found)), kinds[found])
            return found
        return np.zeros(len(kinds), dtype=bool)

    def _probabilities(self, scores: Vector) -> tuple[Vector, Vector, Vector]:
        if self._calibration is None:
            return self._thresholds.near.posterior(scores)
        probabilities = self._calibration.probabilities(scores)
        return probabilities, *self._calibration.interval(probabilities)

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
        if self._examples is not None:
            parts["examples"] = self._examples.state()
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
            Conformal.restore(parts["usual"]),
            state.arrays["weights"],
        )
        table = Table.restore(parts["table"])
        return cls(
            list(state.values["classes"]),
            table,
            votes,
            Families.restore(parts["families"]) if "families" in parts else None,
            Thresholds.restore(parts["thresholds"]),
            Calibration.restore(parts["calibration"]) if "calibration" in parts else None,
            float(state.values["rate"]),
            Examples.restore(parts["examples"], table) if "examples" in parts else None,
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


def _members(rows: Matrix, labels: Labels, seed: int, settings: CouncilSettings) -> Votes:
    """Let the members learn; imagined rows teach the trees that what no benign row looks like is suspicious."""
    imagined = _imagined(rows[labels == 0], settings.imagined_share, np.random.default_rng(seed))
    hostile = np.r_[labels > 0, np.ones(len(imagined), dtype=bool)].astype(np.int32)
    weights = np.r_[class_weights(labels), np.full(len(imagined), IMAGINED_WEIGHT)]
    triage = Boosting(2, settings.triage, seed=seed)
    triage.learn(np.concatenate([rows, imagined]), hostile, weights=weights)
    anomaly = NearestPrototypes(seed, PROTOTYPES)
    anomaly.learn(rows, labels)
    return Votes(triage, anomaly, Conformal(anomaly.calibration), np.array([0.0, 1.0, settings.surprise_weight]))


def _imagined(usual: Matrix, share: float, random: np.random.Generator) -> Matrix:
    """Return benign rows with a part of the values from other benign rows (a synthetic class, as Breiman's, 2001)."""
    size = max(1, int(len(usual) * share))
    places = random.integers(len(usual), size=(size, usual.shape[1]))
    foreign = usual[places, np.arange(usual.shape[1])]
    swapped = random.random(foreign.shape) < random.choice(SWAPPED_SHARES, size=(size, 1))
    return np.asarray(np.where(swapped, foreign, usual[random.integers(len(usual), size=size)]), dtype=np.float32)


def _near_folds(rows: Matrix, labels: Labels, together: NDArray[np.int64] | None, seed: int) -> NDArray[np.int64]:
    """Return the fold of each row: groups stay together, and equal rows where groups are too few to be held apart."""
    if together is not None:
        fold_of = folds(together, FOLDS, seed)
        benign, hostile = (np.bincount(fold_of[side], minlength=FOLDS) for side in (labels == 0, labels > 0))
        if (benign.sum() - benign).min() >= MIN_ROWS and (hostile.sum() - hostile).min() >= MIN_ROWS:
            return fold_of
    return folds(copies(rows), FOLDS, seed)


def _judged_apart(
    rows: Matrix, labels: Labels, fold_of: NDArray[np.int64], seed: int, settings: CouncilSettings
) -> Vector:
    """Return the joined score of each row by members that have not learnt its fold."""
    scores = np.empty(len(rows))
    for fold in range(FOLDS):
        held = fold_of == fold
        if held.any():
            scores[held] = _members(rows[~held], labels[~held], seed, settings).joined(rows[held])
    return scores


def _unusual(detector: Anomaly, seed: int) -> Ensemble | DampedEnsemble:
    if detector == "damped":
        return DampedEnsemble(seed)
    return Ensemble(seed) if detector == "ensemble" else Ensemble(seed, [detector])


def _families(rows: Matrix, labels: Labels, seed: int, shape: Shape) -> Families:
    hostile = labels > 0
    families = Families(shape, seed=seed)
    families.learn(rows[hostile], labels[hostile] - 1)
    return families


def _cells(rows: Matrix, seed: int) -> NDArray[np.int64]:
    """Return the number of the cell of like rows that each belongs to, those nearest to one of some hundred."""
    neighbours = NearestPrototypes(seed, CELLS)
    neighbours.learn(rows)
    return neighbours.cells(rows)


def _damped(frame: pl.DataFrame, label: str) -> pl.DataFrame:
    """Return the columns of damped statistics, and the label if there is one; raise `InputError` where none is."""
    found = [name for name in frame.columns if DAMPED in name]
    if not found:
        remedy = "give flows as 'infraspectre flows --features full' writes them, or choose the detector ensemble"
        raise InputError(f"no column holds damped statistics (named ...{DAMPED}...)", remedy=remedy)
    return frame.select(*found, *(name for name in (label,) if name in frame.columns))


def _answers(frame: pl.DataFrame, label: str, task: Task) -> pl.Series | None:
    if label in frame.columns:
        answers = frame[label].cast(pl.String)
        missing = answers.is_null().arg_true()
        if len(missing):
            raise InputError(
                f"row {int(missing[0])} has no label", field=label, remedy="label every row or leave it out"
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
