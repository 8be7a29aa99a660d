"""Explanations add up, counterfactuals flip the label with no change too many, and a saved model explains alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import polars as pl
import pytest

from infraspectre.ml.council import Council
from infraspectre.ml.detector import Explains, Matrix, State, Vector
from infraspectre.ml.examples import MOST_BYTES
from infraspectre.ml.explanation import Swap, in_words, shown
from infraspectre.ml.table import Table
from infraspectre.records.explanation import Attribution, Change, Example, Explanation, Value


def traffic(seed: int, rows: int = 1_500) -> pl.DataFrame:
    """Floods are large and many, scans many and short; the port tells nothing; some lengths are not known."""
    random = np.random.default_rng(seed)
    kinds = random.choice(["benign", "flood", "scan"], size=rows, p=[0.7, 0.15, 0.15])
    many = np.where(kinds == "benign", 0.0, 4.0) + random.normal(size=rows)
    length = np.where(kinds == "scan", -3.0, np.where(kinds == "flood", 3.0, 0.0)) + random.normal(size=rows)
    flood = np.where(kinds == "flood", 0.9, 0.2)
    return pl.DataFrame(
        {
            "many": many,
            "length": pl.Series(length).set(pl.Series(random.random(rows) < 0.05), None),
            "protocol": np.where(random.random(rows) < flood, "udp", "tcp"),
            "port": random.integers(0, 1_000, size=rows),
            "class": kinds,
        }
    )


@pytest.fixture(scope="module")
def council() -> Council:
    return Council.learn(traffic(1), "class", seed=3)


@pytest.fixture(scope="module")
def anomaly() -> Council:
    return Council.learn(traffic(1).filter(pl.col("class") == "benign").drop("class"), "class", task="anomaly")


@pytest.fixture(params=["council", "anomaly"])
def model(request: pytest.FixtureRequest) -> Council:
    found: Council = request.getfixturevalue(request.param)
    return found


def hostile(model: Council, rows: int = 120) -> pl.DataFrame:
    """Rows that a model calls hostile."""
    later = traffic(2)
    return later.filter(pl.Series(model.judge(later).labels) != model.classes[0])[:rows]


def changed(frame: pl.DataFrame, row: int, changes: Sequence[Change]) -> pl.DataFrame:
    values = {each.column: each.after for each in changes}
    return frame[row].with_columns(pl.lit(value).alias(name) for name, value in values.items())


def test_a_council_explains(model: Council) -> None:
    assert isinstance(model, Explains)
    assert model.explain(traffic(2)[:0]) == []


def test_contributions_add_up_to_how_far_the_score_is_above_the_threshold(model: Council) -> None:
    later = traffic(2)[:300]
    told = model.contributions(later)
    margins = told.base + told.values.sum(axis=1)
    assert told.names == model.columns
    assert np.allclose(1 / (1 + np.exp(-margins / 4.0)), model.judge(later).scores, atol=1e-9)
    # What all rows begin with is the same for all: nothing is hidden in it.
    assert np.ptp(told.base) < 1e-4
    for place, each in enumerate(model.explain(later)):
        assert each.margin == pytest.approx(each.base + sum(one.contribution for one in each.attributions), abs=1e-5)
        assert (each.margin > 0) == (model.judge(later[place]).labels[0] != model.classes[0])


def test_columns_count_by_what_they_tell(council: Council) -> None:
    told = council.contributions(traffic(2))
    weight = dict(zip(told.names, np.abs(told.values).mean(axis=0), strict=True))
    assert min(weight["many"], weight["length"]) > 2 * weight["port"]


def test_a_lone_oddity_is_what_makes_a_row_unusual(anomaly: Council) -> None:
    odd = pl.DataFrame({"many": [0.0], "length": [40.0], "protocol": ["tcp"], "port": [500]})
    (told,) = anomaly.explain(odd)
    assert told.attributions[0].column == "length"
    assert told.attributions[0].contribution == told.attributions[0].unusual > 0.9 * (told.margin - told.base)
    assert [each.column for each in told.counterfactual] == ["length"]


def test_a_counterfactual_flips_the_label_and_none_of_its_changes_is_superfluous(model: Council) -> None:
    rows = hostile(model)
    for place, told in enumerate(model.explain(rows)):
        assert told.counterfactual
        assert model.judge(changed(rows, place, told.counterfactual)).labels == [model.classes[0]]
        for spared in told.counterfactual:
            others = [each for each in told.counterfactual if each is not spared]
            assert model.judge(changed(rows, place, others)).labels != [model.classes[0]]
        for each in told.counterfactual:
            assert each.before == rows[each.column][place] != each.after


def swapped(margin: Callable[[Matrix], Vector], *, own: list[float], other: list[float]) -> Swap:
    """Return a swap of a single row's two numbers."""
    table = Table.learn(pl.DataFrame({"a": [0.5, 1.5], "b": [0.5, 1.5]}))
    return Swap(table, np.array([own], dtype=np.float32), np.array([other], dtype=np.float32), margin)


@pytest.mark.parametrize(
    ("lowest", "bound"),
    [(-9.0, {(0, 0): "at most"}), (-5.0, {})],
)
def test_at_most_is_said_only_where_all_known_values_below_do(lowest: float, bound: dict[tuple[int, int], str]) -> None:
    swap = swapped(lambda rows: np.where((rows[:, 0] > 5) | (rows[:, 0] < lowest), 1.0, -1.0), own=[9, 0], other=[2, 0])
    usual = np.array([[float(at), 0] for at in range(-9, 10)], dtype=np.float32)
    assert swap.bounds(np.array([[True, False]]), usual) == bound


def test_a_change_that_becomes_superfluous_is_taken_back() -> None:
    # The first column counts most, but its change alone does nothing, and with the second's it is not needed.
    swap = swapped(lambda rows: np.where(rows[:, 1] > 0, 1.0, -1.0), own=[1, 1], other=[0, 0])
    assert swap.least(np.array([[2.0, 1.0]])).tolist() == [[False, True]]


def test_no_change_is_told_where_none_helps() -> None:
    swap = swapped(lambda rows: np.ones(len(rows)), own=[1, 1], other=[0, 0])
    assert not swap.least(np.array([[2.0, 1.0]])).any()


def test_rows_that_are_called_benign_need_no_change(model: Council) -> None:
    later = traffic(2)
    benign = later.filter(pl.Series(model.judge(later).labels) == model.classes[0])[:50]
    assert all(each.counterfactual == [] and each.margin <= 0 for each in model.explain(benign))


def test_the_nearest_examples_are_training_rows_and_one_is_benign(council: Council) -> None:
    learnt = set(traffic(1).select(pl.col("many").cast(pl.Float32)).to_series().to_list())
    later = traffic(2)[:200]
    told = council.explain(later)
    for each in told:
        distances = [one.distance for one in each.examples[:3]]
        assert distances == sorted(distances)
        assert "benign" in [one.label for one in each.examples]
        assert all(np.float32(one.values["many"]) in learnt for one in each.examples)
    labels = [each.examples[0].label for each in told]
    assert np.mean(np.array(labels) == later["class"].to_numpy()) > 0.85


def test_a_row_that_is_an_example_is_its_own_nearest(council: Council) -> None:
    (told,) = council.explain(traffic(2)[:1])
    again = pl.DataFrame([told.examples[0].values])
    (other,) = council.explain(again)
    assert other.examples[0].values == told.examples[0].values
    assert (other.examples[0].distance, other.examples[0].differs) == (0.0, [])


def test_the_same_seed_and_a_saved_model_explain_alike(model: Council) -> None:
    rows, state = hostile(model), model.state()
    decoded = msgspec.json.decode(msgspec.json.encode(state.parts["examples"].values))
    examples = msgspec.structs.replace(state.parts["examples"], values=decoded)
    restored = Council.restore(msgspec.structs.replace(state, parts=state.parts | {"examples": examples}))
    assert restored.explain(rows) == model.explain(rows)


def test_learning_again_explains_alike(council: Council) -> None:
    rows = hostile(council)
    assert Council.learn(traffic(1), "class", seed=3).explain(rows) == council.explain(rows)


def test_rows_are_explained_alike_alone_and_among_others(council: Council) -> None:
    rows = hostile(council, 20)
    alone = [council.explain(rows[place])[0] for place in range(len(rows))]
    for one, other in zip(alone, council.explain(rows), strict=True):
        assert one.margin == pytest.approx(other.margin, abs=1e-4)
        assert [each.values for each in one.examples] == [each.values for each in other.examples]
        assert one.counterfactual == other.counterfactual


def test_a_model_without_examples_explains_without_them(council: Council) -> None:
    state = council.state()
    parts = {name: part for name, part in state.parts.items() if name != "examples"}
    old = Council.restore(State(state.kind, state.values, state.arrays, parts))
    for told in old.explain(hostile(council, 5)):
        assert not told.examples
        assert not told.counterfactual
        assert sum(each.contribution for each in told.attributions) + told.base == pytest.approx(told.margin, abs=1e-5)


def test_examples_take_little_room_however_many_columns_there_are(council: Council) -> None:
    wide = traffic(3).with_columns((pl.col("many") + at).alias(f"many{at}") for at in range(200))
    for model in (council, Council.learn(wide, "class")):
        arrays = model.state().parts["examples"].arrays
        assert sum(array.nbytes for array in arrays.values()) < 1.1 * MOST_BYTES
        assert set(arrays["labels"].tolist()) == {0, 1, 2}


def test_missing_columns_are_named(council: Council) -> None:
    with pytest.raises(Exception, match="length"):
        council.explain(traffic(2).drop("length"))


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "not known"), (1_200, "1,200"), (0.03184, "0.03184"), ("udp", "'udp'"), (True, "true"), (3.0, "3")],
)
def test_cells_are_written_shortly(value: Value, text: str) -> None:
    assert shown(value) == text


def test_words_say_reasons_examples_and_changes() -> None:
    attributions = [Attribution("bytes", 90_000, 2.5), Attribution("ttl", 29, -1.0), Attribution("service", "dns", 0.5)]
    examples = [Example("flood", 0.314, ["bytes", "ttl"], {})]
    changes = [Change("bytes", 90_000, 1_200, "at most"), Change("service", "dns", "http")]
    assert in_words("flood", attributions, examples, changes, is_benign=False) == (
        "Called hostile (flood) mostly because bytes is 90,000 (+2.50), service is 'dns' (+0.50). "
        "The nearest known example is flood at a distance of 0.31, which differs in bytes and ttl. "
        "It would be benign if bytes were at most 1,200 and service were 'http'."
    )
    assert in_words("benign", attributions, [], [], is_benign=True) == "Called benign mostly because ttl is 29 (-1.00)."


def test_an_explanation_is_written_as_json(council: Council) -> None:
    told = council.explain(hostile(council, 1))
    assert msgspec.json.decode(msgspec.json.encode(told), type=list[Explanation]) == told
