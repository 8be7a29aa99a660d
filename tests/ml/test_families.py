"""Rare classes are named as justly as frequent ones, and rows unlike any of them are told apart."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from infraspectre.ml.detector import Labels, Matrix, State
from infraspectre.ml.families import NOVEL_RATE, Families, fair_factors


def kinds_of(seed: int, rows: int = 1_500) -> tuple[Matrix, Labels]:
    """A frequent class, one that overlaps with it, and a rare one."""
    random = np.random.default_rng(seed)
    labels = random.choice(3, size=rows, p=[0.7, 0.27, 0.03]).astype(np.int32)
    centres = np.array([[0.0, 0.0], [1.5, 0.0], [0.0, 4.0]])[labels]
    noise = random.normal(size=(rows, 3))
    return np.asarray(np.c_[centres, np.zeros(rows)] + noise, dtype=np.float32), labels


def f1(truth: Labels, chosen: np.ndarray, kind: int) -> float:
    return float(2 * ((truth == kind) & (chosen == kind)).sum() / ((truth == kind).sum() + (chosen == kind).sum()))


@pytest.fixture(scope="module")
def families() -> Families:
    learnt = Families(seed=3)
    learnt.learn(*kinds_of(1))
    return learnt


def test_classes_are_named_rare_ones_too(families: Families) -> None:
    rows, labels = kinds_of(2, 4_000)
    chosen = families.choose(rows)
    assert np.allclose(families.probabilities(rows).sum(axis=1), 1.0, atol=1e-5)
    assert f1(labels, chosen, 0) > 0.8
    assert f1(labels, chosen, 1) > 0.6
    assert f1(labels, chosen, 2) > 0.8


def test_factors_raise_the_mean_over_classes_on_rows_they_were_not_fitted_on() -> None:
    """A class that is never the most probable one is worth being named where it is less improbable than elsewhere."""
    random = np.random.default_rng(5)
    rare = np.clip(random.beta(1, 9, size=8_000), 0, 0.45)
    probabilities = np.stack([1 - rare, rare], axis=1)
    labels = (random.random(8_000) < rare).astype(np.int32)
    factors = fair_factors(probabilities[:4_000], labels[:4_000])
    truth, plain = labels[4_000:], probabilities[4_000:].argmax(axis=1)
    fair = (probabilities[4_000:] * factors).argmax(axis=1)
    assert not plain.any()
    assert np.mean([f1(truth, fair, kind) for kind in (0, 1)]) > np.mean([f1(truth, plain, kind) for kind in (0, 1)])


def test_permuted_labels_teach_no_class(families: Families) -> None:
    rows, labels = kinds_of(1)
    learnt = Families(seed=3)
    learnt.learn(rows, np.random.default_rng(4).permutation(labels))
    later, truth = kinds_of(2)
    assert np.mean([f1(truth, learnt.choose(later), kind) for kind in range(3)]) < 0.45


def test_rows_unlike_their_class_are_novel_and_others_as_rarely_as_said(families: Families) -> None:
    rows, labels = kinds_of(6, 4_000)
    usual = families.novel(rows, labels.astype(np.int64))
    assert usual[labels < 2].mean() < 2 * NOVEL_RATE
    strange = np.full((5, 3), 9.0, dtype=np.float32)
    assert families.novel(strange, np.zeros(5, dtype=np.int64)).all()
    assert not families.novel(strange[:0], np.zeros(0, dtype=np.int64)).size


def test_a_class_of_too_few_rows_is_like_anything() -> None:
    rows, labels = kinds_of(1, 300)
    few = np.flatnonzero(labels == 2)[3:]
    learnt = Families()
    learnt.learn(np.delete(rows, few, axis=0), np.delete(labels, few))
    assert not learnt.novel(np.full((1, 3), 99.0, dtype=np.float32), np.array([2])).any()


@pytest.mark.parametrize("classes", [2, 3])
def test_the_same_seed_and_a_restored_state_choose_alike(classes: int) -> None:
    rows, labels = kinds_of(1, 400)
    rows, labels = rows[labels < classes], labels[labels < classes]
    first, second = Families(seed=3), Families(seed=3)
    first.learn(rows, labels)
    second.learn(rows, labels)
    state = first.state()
    restored = Families.restore(
        State(state.kind, msgspec.json.decode(msgspec.json.encode(state.values)), state.arrays, state.parts)
    )
    chosen = first.choose(rows)
    for other in (second, restored):
        assert np.array_equal(other.probabilities(rows), first.probabilities(rows))
        assert np.array_equal(other.choose(rows), chosen)
        assert np.array_equal(other.novel(rows, chosen), first.novel(rows, chosen))
