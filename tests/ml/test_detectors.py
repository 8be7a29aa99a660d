"""Every detector keeps the contract by being listed: seeds, row order, gaps, constants, state, and hostile rows."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from infraspectre.errors import InputError
from infraspectre.ml.anomaly import DETECTORS
from infraspectre.ml.detector import Detector, Matrix, State

Kind = type[Detector]
every_detector = pytest.mark.parametrize("kind", DETECTORS, ids=lambda kind: kind.kind)


def rows(count: int = 400, seed: int = 1) -> Matrix:
    """Heavy-tailed, correlated, binary and constant features, with copies."""
    random = np.random.default_rng(seed)
    amounts = np.exp(random.normal(5.0, 2.0, count))
    columns = [amounts, amounts * random.uniform(1, 1.2, count), random.random(count) < 0.3, np.ones(count)]
    table = np.stack(columns, axis=1).astype(np.float32)
    table[1::7] = table[0]
    return table


def foreign(count: int = 20) -> Matrix:
    """Rows whose features are each usual, or nearly, but do not belong together, and that break a constant."""
    return np.tile(np.array([[3.0, 9_000.0, 1.0, 0.0]], dtype=np.float32), (count, 1))


def learnt(kind: Kind, table: Matrix) -> Detector:
    detector = kind()
    detector.learn(table)
    return detector


@every_detector
def test_foreign_rows_score_higher_than_usual_ones(kind: Kind) -> None:
    detector = learnt(kind, rows())
    assert detector.score(foreign()).min() > np.quantile(detector.score(rows(seed=2)), 0.95)


@every_detector
def test_equal_seeds_give_equal_scores(kind: Kind) -> None:
    assert np.array_equal(learnt(kind, rows()).score(rows(seed=2)), learnt(kind, rows()).score(rows(seed=2)))


@every_detector
def test_a_row_scores_the_same_wherever_it_stands_and_alone(kind: Kind) -> None:
    detector, table = learnt(kind, rows()), rows(1_100, seed=2)
    scores = detector.score(table)
    order = np.random.default_rng(3).permutation(len(table))
    assert np.array_equal(detector.score(table[order]), scores[order])
    assert [detector.score(table[at : at + 1])[0] for at in (0, 5, 1_099)] == scores[[0, 5, 1_099]].tolist()


@every_detector
def test_rows_may_lie_in_memory_in_any_way(kind: Kind) -> None:
    detector, table = learnt(kind, rows()), rows(300, seed=2)
    assert np.array_equal(detector.score(np.asfortranarray(table)), detector.score(table))


@every_detector
def test_unknown_values_are_scored_and_learnt_from(kind: Kind) -> None:
    table = rows()
    table[::5, 0] = np.nan
    table[:, 1] = np.nan
    detector = learnt(kind, table)
    unknown = np.full((3, 4), np.nan, dtype=np.float32)
    assert np.isfinite(detector.score(np.concatenate([table, rows(seed=2), unknown]))).all()


@every_detector
@pytest.mark.parametrize(
    "table", [np.ones((50, 3)), np.zeros((1, 3)), np.full((2, 3), np.nan)], ids=["same", "one", "nan"]
)
def test_constant_input_and_single_rows_are_learnt(kind: Kind, table: np.ndarray[Any, Any]) -> None:
    detector = learnt(kind, table.astype(np.float32))
    far = np.full((1, 3), 1e30, dtype=np.float32)
    scores = detector.score(np.concatenate([table[:1].astype(np.float32), far]))
    assert np.isfinite(scores).all()
    assert scores[1] >= scores[0]


@every_detector
def test_extreme_values_give_finite_scores(kind: Kind) -> None:
    detector = learnt(kind, rows())
    limits = np.finfo(np.float32)
    extremes = np.array([[limits.max] * 4, [limits.min] * 4, [limits.tiny] * 4, [-0.0] * 4], dtype=np.float32)
    assert np.isfinite(detector.score(extremes)).all()


@every_detector
def test_no_rows_have_no_scores(kind: Kind) -> None:
    assert learnt(kind, rows()).score(np.empty((0, 4), dtype=np.float32)).shape == (0,)


@every_detector
def test_a_restored_detector_scores_bit_for_bit_alike(kind: Kind) -> None:
    detector, table = learnt(kind, rows()), np.concatenate([rows(seed=2), foreign()])
    restored = kind.restore(through_bytes(detector.state()))
    assert restored.score(table).tobytes() == detector.score(table).tobytes()
    assert described(restored.state()) == described(detector.state())


@every_detector
def test_state_names_its_kind(kind: Kind) -> None:
    assert learnt(kind, rows()).state().kind == kind.kind


@every_detector
def test_labels_leave_hostile_rows_out(kind: Kind) -> None:
    table = np.concatenate([rows(), foreign(200)])
    labels = np.repeat(np.array([0, 3], dtype=np.int32), [400, 200])
    detector = kind()
    detector.learn(table, labels)
    assert np.array_equal(detector.score(table), learnt(kind, rows()).score(table))


@every_detector
def test_contamination_does_not_hide_what_is_foreign(kind: Kind) -> None:
    """One row in a hundred of those learnt from is hostile, each in its own way."""
    random = np.random.default_rng(4)
    stray = (foreign(20) * random.uniform(0.5, 2.0, (20, 4))).astype(np.float32)
    detector = learnt(kind, np.concatenate([rows(2_000), stray]))
    usual = np.quantile(detector.score(rows(2_000, seed=2)), 0.9)
    assert np.mean(detector.score(foreign()) > usual) > 0.9


@every_detector
def test_what_cannot_be_learnt_or_scored_is_refused_with_its_place(kind: Kind) -> None:
    infinite = rows()
    infinite[7, 2] = np.inf
    for table, labels, message in (
        (np.empty((0, 4), dtype=np.float32), None, "nothing to learn from"),
        (infinite, None, "feature 2: the value is infinite in row 7"),
        (rows(), np.ones(400, dtype=np.int32), "no row is benign"),
        (rows(), np.zeros(3, dtype=np.int32), "3 labels for 400 rows"),
        (np.ones(4, dtype=np.float32), None, "1 dimensions"),
    ):
        with pytest.raises(InputError, match=message):
            kind().learn(table, labels)
    detector = learnt(kind, rows())
    with pytest.raises(InputError, match="3 features, but 4 were learnt"):
        detector.score(rows()[:, :3])
    with pytest.raises(InputError, match="infinite in row 7"):
        detector.score(infinite)


def through_bytes(state: State) -> State:
    """Write a state as JSON and raw numbers and read it back: objects would not come through."""
    arrays = {}
    for name, array in state.arrays.items():
        assert array.dtype.kind in "iufb"
        assert array.dtype.kind != "f" or not np.isnan(array).any()
        arrays[name] = np.frombuffer(array.tobytes(), dtype=array.dtype).reshape(array.shape)
    values = json.loads(json.dumps(state.values, allow_nan=False))
    assert values == state.values
    return State(state.kind, values, arrays, {name: through_bytes(part) for name, part in state.parts.items()})


def described(state: State) -> object:
    arrays = {name: (array.dtype.str, array.shape, array.tobytes()) for name, array in state.arrays.items()}
    return state.kind, state.values, arrays, {name: described(part) for name, part in state.parts.items()}
