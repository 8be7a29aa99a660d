"""A transformer learns from packets, goes on where it was interrupted, and judges alike wherever it is."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from infraspectre.errors import InputError
from infraspectre.ml.detector import State
from infraspectre.ml.sequence import COLUMNS, Network, SequenceModel, encode

for extra in ("jax", "equinox", "optax", "jax2onnx", "onnxruntime"):
    pytest.importorskip(extra, reason="the extra deep is not installed")

import jax  # noqa: E402

from infraspectre.ml import sequence_training as training  # noqa: E402 - only where its libraries are

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
TINY = training.Profile(width=16, layers=1, heads=2, epochs=20, rows=64, learning_rate=1e-2)


def traffic(rows: int = 1_200, seed: int = 0) -> pl.DataFrame:
    """Return rows of small and large packets; hostile ones are told by their order alone: all of one size first."""
    random = np.random.default_rng(seed)
    kinds = random.choice(["benign", "pull", "push"], rows, p=[0.6, 0.2, 0.2])
    sizes, gaps, flags = [], [], []
    for kind in kinds:
        count = 2 * int(random.integers(5, 7))
        body = np.r_[random.integers(40, 100, count // 2), random.integers(700, 1_500, count // 2)]
        body = {"push": body, "pull": body[::-1], "benign": random.permutation(body)}[str(kind)]
        sizes.append((body * random.choice([-1, 1], count)).tolist())
        gaps.append([0, *random.integers(0, 10**6, count - 1).tolist()])
        flags.append([24] * count)
    return pl.DataFrame({**dict(zip(COLUMNS, (sizes, gaps, flags), strict=True)), "kind": kinds})


class Memory:
    """A shelf that fails after some keeping, as if the machine were switched off."""

    def __init__(self) -> None:
        self.kept: dict[str, State] = {}
        self.room = 1_000

    def find(self, name: str) -> State | None:
        return self.kept.get(name)

    def keep(self, name: str, state: State) -> None:
        self.kept[name] = state
        self.room -= 1
        if not self.room:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def model() -> SequenceModel:
    return training.learn(traffic(), "kind", profile=TINY, seed=1, rate=0.05)


def test_what_only_the_order_of_packets_tells_is_learnt(model: SequenceModel) -> None:
    later = traffic(2_000, seed=5)
    judged = model.judge(later)
    truth, labels = (later["kind"] != "benign").to_numpy(), np.array(judged.labels)
    assert judged.scores[truth].mean() > judged.scores[~truth].mean() + 0.25
    assert np.mean(labels[truth] != "benign") > 0.8 > 8 * np.mean(labels[~truth] != "benign")
    named = labels != "benign"
    assert np.mean(labels[named & truth] == later["kind"].to_numpy()[named & truth]) > 0.9


def test_a_restored_model_judges_exactly_alike(model: SequenceModel) -> None:
    again, rows = SequenceModel.restore(model.state()), traffic(200, seed=6)
    assert np.array_equal(again.judge(rows).scores, model.judge(rows).scores)
    assert again.judge(rows).labels == model.judge(rows).labels
    assert again.threshold(0.001) == model.threshold(0.001)


def test_a_row_is_judged_the_same_wherever_it_stands_and_alone(model: SequenceModel) -> None:
    rows = traffic(300, seed=7)
    scores = model.judge(rows).scores
    order = np.random.default_rng(3).permutation(len(rows))
    assert np.array_equal(model.judge(rows[order]).scores, scores[order])
    assert [model.judge(rows[at : at + 1]).scores[0] for at in (0, 5, 299)] == scores[[0, 5, 299]].tolist()
    assert model.judge(rows[:0]).labels == []


def weights(seed: int, shelf: Memory | None = None, told: list[str] | None = None) -> bytes:
    frame = traffic(300)
    lesson = training.Lesson(encode(frame), (frame["kind"] != "benign").to_numpy().astype(np.int32), np.ones(300))
    rows, profile = np.arange(300) < 240, training.Profile(width=16, layers=1, heads=2, epochs=4, rows=64, focus=2.0)
    tell = None if told is None else lambda what, _share: told.append(what)
    network = training.train(lesson.part(rows), lesson.part(~rows), 2, profile, seed, tell, shelf)
    return b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(network))


def test_equal_seeds_give_equal_bytes_also_after_interruptions_of_this_and_another_training() -> None:
    shelf, told = Memory(), list[str]()
    for seed in (2, 1):
        shelf.room = 3
        with pytest.raises(KeyboardInterrupt):
            weights(seed, shelf)
    shelf.room = 1_000
    resumed = weights(1, shelf, told)
    assert told[0].startswith("epoch 4: ")
    assert resumed == weights(1)
    assert resumed != weights(2, shelf)


def test_onnx_runtime_says_what_jax_says() -> None:
    network = training.Transformer(TINY, 3, jax.random.key(0))
    packets = encode(traffic(50, seed=8))
    found = Network(training.exported(network), 3).logits(packets)
    assert np.abs(found - np.asarray(network(packets))).max() < 1e-5


def test_rows_without_packets_have_a_score(model: SequenceModel) -> None:
    empty = pl.DataFrame({name: pl.Series([[], None], dtype=pl.List(pl.Int64)) for name in COLUMNS})
    assert np.isfinite(model.judge(empty).scores).all()


def test_permuted_labels_teach_nothing() -> None:
    frame = traffic().with_columns(pl.col("kind").shuffle(seed=4))
    judged = training.learn(frame, "kind", profile=TINY, seed=1).judge(traffic(seed=5))
    assert np.mean(np.array(judged.labels) != "benign") < 0.06


def test_copies_of_one_hostile_row_are_too_few_to_hold_some_out() -> None:
    calm = traffic().filter(pl.col("kind") == "benign")
    copies = pl.concat([traffic().filter(pl.col("kind") == "push").head(1)] * 30)
    with pytest.raises(InputError, match="too few different hostile rows"):
        training.learn(pl.concat([calm, copies]), "kind", profile=TINY)


def test_the_large_profile_has_the_size_that_was_meant() -> None:
    shapes = jax.eval_shape(lambda key: training.Transformer(training.LARGE, 2, key), jax.random.key(0))
    assert 25_000_000 < sum(leaf.size for leaf in jax.tree.leaves(shapes)) < 26_000_000
