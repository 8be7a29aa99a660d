"""Models of text: characters, words and shapes of a column's texts, judged by boosted trees."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, ClassVar, Self

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from infraspectre.errors import InputError
from infraspectre.ml.contexts import FEATURES as CONTEXT_FEATURES
from infraspectre.ml.contexts import Contexts
from infraspectre.ml.detector import Contributions, Judgement, Labels, Matrix, State, Vector
from infraspectre.ml.ngrams import ORDER, Corpus, Ngrams
from infraspectre.ml.shapes import shape_names, shapes
from infraspectre.ml.text_explanation import explain_text, text_parts
from infraspectre.ml.words import Vocabulary
from infraspectre.records.explanation import Explanation

MOST_BYTES = 1 << 28
"""Most bytes of trees that a model may unpack to."""
HOSTILE_ORDER = 3
"""Characters of the n-grams of hostile texts: longer ones would only recognise families that are known already."""
WINDOW = 5
"""Characters of the window in which a text is least usual."""
BLOCK = 8_192
"""Texts judged at once, which bounds memory."""
QUANTILE_90 = 1.6449
"""Quantile of the normal distribution that leaves 5% on either side."""
WORD_FEATURES = ["words", "word_share", "word_bits", "longest_word", "shortest_word", "mean_word", "last_word"]


class TextSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Sets how a model of texts is learnt."""

    folds: int = 4
    """Parts from which the texts of whole groups are left out in turn."""
    rounds: int = 240
    depth: int = 6
    learning_rate: float = 0.1
    table_bits: int = 17
    """Places of the tables of n-grams, as a power of two: 2**17 bytes for each order."""
    words: int = 0
    """Words of the vocabulary; 0 where texts are not written in words."""
    false_positive_rate: float = 0.01
    """Share of benign texts that may be called hostile."""
    by_source: bool = False
    """Whether whole groups of benign texts are left out too: thresholds then hold for sources never seen. Needs at
    least as many groups as folds."""
    seed: int = 7


class Sample(msgspec.Struct, frozen=True):
    """Holds texts to learn from, as the model reads them."""

    texts: Sequence[str]
    labels: Labels
    groups: NDArray[np.int64]
    """What a text belongs to, such as the family that made it: texts of one group are alike and stay together."""
    contexts: Sequence[str] = ()
    """What stands beside each text, "" where that is not known; empty where texts have none."""

    def part(self, rows: NDArray[Any]) -> Sample:
        """Return the sample of some rows, given as a mask or as indices."""
        indices = np.arange(len(self.texts))[rows]
        contexts = [self.contexts[index] for index in indices] if self.contexts else ()
        return Sample([self.texts[index] for index in indices], self.labels[indices], self.groups[indices], contexts)

    def weights(self) -> Vector:
        """Weigh hostile groups alike, whatever their size from 200 texts on, and both sides alike in sum."""
        hostile = self.labels > 0
        weights = np.where(hostile, self.shares(200.0), 1.0)
        return weights * np.where(hostile, (~hostile).sum() / max(1e-9, weights[hostile].sum()), 1.0)

    def shares(self, full: float) -> Vector:
        """Return weights by which groups of at least `full` texts count alike."""
        _, group, sizes = np.unique(self.groups, return_inverse=True, return_counts=True)
        return np.minimum(1.0, full / sizes[group])

    def folds(self, count: int, seed: int, *, by_source: bool = False) -> NDArray[np.int64]:
        """Return the fold of each row: hostile groups and benign texts, dealt in an order drawn by the seed.

        Benign texts are dealt singly, or `by_source` in whole groups: large ones first, each to the smallest fold.
        """
        random = np.random.default_rng(seed)
        unit = np.where(self.labels > 0, self.groups, -1)
        benign = unit < 0
        _, unit[~benign] = np.unique(unit[~benign], return_inverse=True)
        folds = np.empty(len(unit), np.int64)
        folds[benign] = random.permutation(int(benign.sum())) % count
        if by_source:
            folds[benign] = _balanced(self.groups[benign], count)
        folds[~benign] = (random.permutation(int(unit.max(initial=-1)) + 1) % count)[unit[~benign]]
        return folds


class Reader:
    """Turns texts into features by what was learnt of benign and hostile ones."""

    def __init__(
        self, benign: Ngrams, hostile: Ngrams, vocabulary: Vocabulary | None, contexts: Contexts | None
    ) -> None:
        """Take over n-grams of both sides, and words and contexts where texts have any."""
        self.benign, self.hostile, self.vocabulary, self.contexts = benign, hostile, vocabulary, contexts

    @classmethod
    def learn(cls, sample: Sample, vocabulary: Vocabulary | None, settings: TextSettings) -> Reader:
        """Count the n-grams of both sides."""
        benign, hostile = sample.part(sample.labels == 0), sample.part(sample.labels > 0)
        contexts = Contexts.learn(sample.contexts, sample.labels, sample.weights()) if sample.contexts else None
        return cls(
            Ngrams.learn(Corpus(benign.texts), order=ORDER, bits=settings.table_bits),
            Ngrams.learn(Corpus(hostile.texts), hostile.weights(), order=HOSTILE_ORDER, bits=settings.table_bits),
            vocabulary,
            contexts,
        )

    def names(self) -> list[str]:
        """Return the names of the features."""
        benign = [f"benign_{what}_{order}" for order in range(1, ORDER + 1) for what in ("mean", "least", "window")]
        hostile = [f"hostile_mean_{order}" for order in range(1, HOSTILE_ORDER + 1)]
        ratio = [f"ratio_{what}" for what in ("mean", "window")]
        words = WORD_FEATURES if self.vocabulary else []
        return [*shape_names(), *benign, *hostile, *ratio, *words, *(CONTEXT_FEATURES if self.contexts else [])]

    def features(self, texts: Sequence[str], contexts: Sequence[str] = ()) -> Matrix:
        """Return the features of texts, a row each."""
        beside = contexts or [""] * len(texts)
        parts = [slice(first, first + BLOCK) for first in range(0, len(texts), BLOCK)]
        blocks = [self._block(texts[part], beside[part]) for part in parts]
        return np.concatenate(blocks) if blocks else np.empty((0, len(self.names())), np.float32)

    def _block(self, texts: Sequence[str], contexts: Sequence[str]) -> Matrix:
        corpus = Corpus(texts)
        usual, strange = self.benign.log2_probabilities(corpus), self.hostile.log2_probabilities(corpus)
        columns = []
        for values in usual:
            columns += [corpus.means(values), corpus.least(values), corpus.least_window(values, WINDOW)]
        columns += [corpus.means(values) for values in strange]
        ratio = usual[-1] - strange[-1]
        columns += [corpus.means(ratio), corpus.least_window(ratio, WINDOW)]
        parts = [shapes(corpus), np.column_stack(columns).astype(np.float32)]
        if self.vocabulary:
            parts.append(_word_features(self.vocabulary, texts))
        if self.contexts:
            parts.append(self.contexts.features(contexts))
        return np.concatenate(parts, axis=1)


class Calibration(msgspec.Struct, frozen=True):
    """Maps scores to probabilities by isotonic regression, with the interval of what each step rests on."""

    scores: Vector
    """Least score of each step, rising."""
    probabilities: Vector
    low: Vector
    high: Vector

    @classmethod
    def learn(cls, scores: Vector, hostile: NDArray[np.bool_], weights: Vector) -> Calibration:
        """Pool adjacent violators of scores that were not learnt from (Zadrozny and Elkan, 2002).

        The interval of a step is Wilson's (1927), at 90%, for as many texts as its weights are worth (Kish, 1965).
        """
        order = np.argsort(scores, kind="stable")
        values, first = np.unique(scores[order], return_index=True)
        sums = [np.add.reduceat(part[order], first) for part in (weights, weights * hostile, weights**2)]
        steps = _pooled(values, *sums)
        weight, positive, square = steps[:, 1], steps[:, 2], steps[:, 3]
        share, size = positive / weight, weight**2 / square
        centre = (share + QUANTILE_90**2 / (2 * size)) / (1 + QUANTILE_90**2 / size)
        half = (
            QUANTILE_90
            / (1 + QUANTILE_90**2 / size)
            * np.sqrt(share * (1 - share) / size + (QUANTILE_90 / size) ** 2 / 4)
        )
        low, high = np.maximum(0.0, centre - half), np.minimum(1.0, centre + half)
        return cls(steps[:, 0], share, np.minimum(low, share), np.maximum(high, share))

    def __call__(self, scores: Vector) -> tuple[Vector, Vector, Vector]:
        """Return probability, low and high of each score."""
        step = np.maximum(0, np.searchsorted(self.scores, scores, side="right") - 1)
        return self.probabilities[step], self.low[step], self.high[step]


class TextModel:
    """Judges the texts of one column; subclasses say how a text is read."""

    kind: ClassVar[str] = "text"
    column: ClassVar[str] = "text"
    also: ClassVar[tuple[str, ...]] = ()
    """Other names that the column goes by, the likeliest first."""

    def __init__(
        self, classes: Sequence[str], reader: Reader, trees: bytes, calibration: Calibration, threshold: float
    ) -> None:
        """Take over what was learnt: `trees` in xgboost's UBJSON, and the score from which a text is called hostile."""
        self._classes = list(classes)
        self._reader = reader
        self._trees = trees
        self._booster = _booster(trees)
        self._calibration = calibration
        self.limit = threshold

    @property
    def columns(self) -> list[str]:
        """Name the column of the texts."""
        return [self.column]

    @property
    def classes(self) -> list[str]:
        """Name the classes it tells apart, the benign one first."""
        return list(self._classes)

    @classmethod
    def column_in(cls, names: Sequence[str]) -> str:
        """Return which of a table's columns holds the texts, large and small letters alike; raise `InputError` if none.

        A name under which the column is known goes before another.
        """
        found = {name.strip().lower(): name for name in reversed(names)}
        for known in (cls.column, *cls.also):
            if known in found:
                return found[known]
        listed = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
        raise InputError(
            f"the column is missing; the table has {listed}",
            field=cls.column,
            remedy=f"name the column of texts {cls.column}; known names are also {', '.join(cls.also)}",
        )

    @classmethod
    def read(cls, text: str) -> str:
        """Return what of a text is judged."""
        return text

    @classmethod
    def context(cls, text: str) -> str:
        """Return what stands beside that, or "" where nothing does."""
        return ""

    @classmethod
    def learn(
        cls, classes: Sequence[str], sample: Sample, settings: TextSettings, *, known_words: Iterable[str] = ()
    ) -> Self:
        """Learn from texts as `read` returns them.

        Trees learn from features, and calibration from scores, of groups that were left out of what made them.
        """
        if len(set(np.unique(sample.labels > 0))) < 2:
            raise InputError("all texts are of one side, so nothing tells the two apart", remedy="give both kinds")
        benign = [text for text, label in zip(sample.texts, sample.labels, strict=True) if label == 0]
        vocabulary = Vocabulary.learn(benign, known_words, size=settings.words) if settings.words else None
        folds = sample.folds(settings.folds, settings.seed, by_source=settings.by_source)
        reader = Reader.learn(sample, vocabulary, settings)
        features = np.empty((len(folds), len(reader.names())), np.float32)
        for fold in range(settings.folds):
            left_out = folds == fold
            tested = sample.part(left_out)
            part = Reader.learn(sample.part(~left_out), vocabulary, settings)
            features[left_out] = part.features(tested.texts, tested.contexts)
        scores = np.empty(len(folds))
        for fold in range(settings.folds):
            left_out = folds == fold
            trees = _grown(features[~left_out], sample.part(~left_out), len(classes), settings)
            scores[left_out] = 1 - _shares(_booster(trees), features[left_out])[:, 0]
        return cls(
            classes,
            reader,
            _grown(features, sample, len(classes), settings),
            Calibration.learn(scores, sample.labels > 0, sample.weights()),
            _threshold(scores, sample, settings),
        )

    def judge(self, frame: pl.DataFrame) -> Judgement:
        """Judge the texts of the column; raise `InputError` where it is missing or not text."""
        shares = _shares(self._booster, self._reader.features(*self._read(frame)))
        scores = 1 - shares[:, 0]
        probabilities, low, high = self._calibration(scores)
        likeliest = 1 + np.argmax(shares[:, 1:], axis=1)
        labels = [self._classes[index] for index in np.where(scores > self.limit, likeliest, 0)]
        return Judgement(labels, scores, probabilities, low, high)

    def explain(self, frame: pl.DataFrame) -> list[Explanation]:
        """Explain the judgement of each text by its parts; raise as `judge` does."""
        texts, contexts = self._read(frame)
        told = []
        for text, context, label in zip(texts, contexts, self.judge(frame).labels, strict=True):
            parts = text_parts(text, self._reader.vocabulary)
            margins = partial(self._margins, context=context)
            told.append(explain_text(self.column, label, parts, margins, is_benign=label == self._classes[0]))
        return told

    def contributions(self, frame: pl.DataFrame) -> Contributions:
        """Return what each feature adds to the margin over the threshold; raise as `judge` does.

        With several hostile classes it is to the logarithm of the benign share, turned round, which is not the margin.
        """
        values = _contributions(self._booster, self._reader.features(*self._read(frame)))
        base = values[:, -1] - _log_odds(np.array([self.limit]))
        return Contributions(self._reader.names(), values[:, :-1], np.zeros_like(values[:, :-1]), base)

    def _read(self, frame: pl.DataFrame) -> tuple[list[str], list[str]]:
        """Return the texts of a table as they are judged, and the context of each, which may be none."""
        texts = _column(frame, self.column_in(frame.columns))
        contexts = [self.context(text) if self._reader.contexts else "" for text in texts]
        return [self.read(text) for text in texts], contexts

    def _margins(self, texts: Sequence[str], context: str) -> Vector:
        scores = 1 - _shares(self._booster, self._reader.features(texts, [context] * len(texts)))[:, 0]
        return _log_odds(scores) - _log_odds(np.array([self.limit]))

    def state(self) -> State:
        """Return what was learnt."""
        calibration, reader = self._calibration, self._reader
        named = {"benign": reader.benign, "hostile": reader.hostile, "words": reader.vocabulary}
        parts = {name: part for name, part in (named | {"contexts": reader.contexts}).items() if part is not None}
        return State(
            self.kind,
            {"classes": self._classes, "threshold": self.limit},
            {
                "trees": np.frombuffer(zlib.compress(self._trees, 9), np.uint8),
                **{field: getattr(calibration, field) for field in calibration.__struct_fields__},
            },
            {name: part.state() for name, part in parts.items()},
        )

    @classmethod
    def restore(cls, state: State) -> Self:
        """Return a model that judges exactly as the one whose state it is."""
        parts, arrays = state.parts, state.arrays
        words = Vocabulary.restore(parts["words"]) if "words" in parts else None
        contexts = Contexts.restore(parts["contexts"]) if "contexts" in parts else None
        reader = Reader(Ngrams.restore(parts["benign"]), Ngrams.restore(parts["hostile"]), words, contexts)
        calibration = Calibration(**{field: arrays[field] for field in Calibration.__struct_fields__})
        trees = _unpacked(arrays["trees"].tobytes())
        return cls(state.values["classes"], reader, trees, calibration, float(state.values["threshold"]))


def _unpacked(packed: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        trees = unpacker.decompress(packed, MOST_BYTES)
    except zlib.error as error:
        raise ValueError(f"trees cannot be unpacked: {error}") from error
    if not unpacker.eof:
        raise ValueError("trees are too large or cut")
    return trees


def _column(frame: pl.DataFrame, name: str) -> list[str]:
    if frame.schema[name] not in (pl.String, pl.Null):
        raise InputError(f"this column holds {frame.schema[name]}, not text", field=name, remedy="give it as text")
    return frame[name].cast(pl.String).fill_null("").to_list()


def _balanced(groups: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return the fold of each row; the largest group goes first, always to the fold with the fewest rows."""
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if len(sizes) < count:
        raise InputError(f"{len(sizes)} sources cannot be left out in {count} parts", remedy="give more sources")
    fold_of, rows = np.empty(len(sizes), np.int64), np.zeros(count)
    for each in np.argsort(-sizes, kind="stable"):
        fold_of[each] = np.argmin(rows)
        rows[fold_of[each]] += sizes[each]
    return fold_of[group]


def _threshold(scores: Vector, sample: Sample, settings: TextSettings) -> float:
    """Return the score above which the share of benign texts wanted lies; groups from 1,000 texts on count alike."""
    benign = sample.labels == 0
    weights = sample.shares(1_000.0)[benign] if settings.by_source else np.ones(int(benign.sum()))
    order = np.argsort(scores[benign], kind="stable")
    below = np.cumsum(weights[order])
    place = np.searchsorted(below, (1 - settings.false_positive_rate) * below[-1])
    return float(scores[benign][order][min(place, len(order) - 1)])


def _word_features(vocabulary: Vocabulary, texts: Sequence[str]) -> Matrix:
    """Return for each text how it falls into words; a text without any has lengths of 0."""
    rows = []
    for text in texts:
        words, bits = vocabulary.cut(text)
        lengths = [len(word) for word in words] or [0]
        size = max(1, len(text))
        row = [len(words), sum(lengths) / size, bits / size, max(lengths), min(lengths), sum(lengths) / len(lengths)]
        rows.append([*row, lengths[-1]])
    return np.array(rows, np.float32)


def _pooled(values: Vector, weight: Vector, positive: Vector, square: Vector) -> Vector:
    """Return steps of score, weight, positive weight and squared weight whose shares rise."""
    steps: list[list[float]] = []
    for row in np.column_stack((values, weight, positive, square)).tolist():
        steps.append(row)
        while len(steps) > 1 and steps[-2][2] * steps[-1][1] >= steps[-1][2] * steps[-2][1]:
            last = steps.pop()
            steps[-1][1:] = [mine + other for mine, other in zip(steps[-1][1:], last[1:], strict=True)]
    return np.array(steps)


def _grown(features: Matrix, sample: Sample, classes: int, settings: TextSettings) -> bytes:
    """Grow trees with one thread, so that they are the same at any number of cores; return them as UBJSON."""
    import xgboost

    parameters = {
        "objective": "multi:softprob",
        "num_class": classes,
        "max_depth": settings.depth,
        "eta": settings.learning_rate,
        "min_child_weight": 20,
        "subsample": 0.7,
        "colsample_bytree": 0.6,
        "lambda": 4.0,
        "tree_method": "hist",
        "max_bin": 128,
        "seed": settings.seed,
        "nthread": 1,
    }
    if classes == 2:
        parameters |= {"objective": "binary:logistic", "num_class": 1}
    table = xgboost.DMatrix(features, sample.labels, weight=sample.weights(), nthread=1)
    return bytes(xgboost.train(parameters, table, settings.rounds).save_raw("ubj"))


def _booster(trees: bytes) -> Any:
    import xgboost

    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(bytearray(trees))
    booster.set_param({"nthread": 1})
    return booster


def _shares(booster: Any, features: Matrix) -> Vector:
    """Return the share of each class for each row, the benign one first."""
    shares = np.asarray(booster.inplace_predict(features), np.float64)
    return np.column_stack((1 - shares, shares)) if shares.ndim == 1 else shares


def _contributions(booster: Any, features: Matrix) -> Vector:
    """Return exact Shapley values of the trees and last their base, (texts, features + 1), in logarithms of odds.

    With several hostile classes, those of the benign one, turned round: their sum is what speaks against it.
    """
    import xgboost

    values = np.asarray(booster.predict(xgboost.DMatrix(features, nthread=1), pred_contribs=True), np.float64)
    return -values[:, 0] if values.ndim == 3 else values


def _log_odds(shares: Vector) -> Vector:
    clipped = np.clip(shares, 1e-12, 1 - 1e-12)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))
