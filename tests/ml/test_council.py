"""The council finds what it knows and what it does not, keeps false alarms as rare as wanted, and judges alike."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest

from infraspectre.errors import InputError
from infraspectre.ml.council import Anomaly, Council, CouncilSettings
from infraspectre.ml.detector import State


def traffic(seed: int, rows: int = 2_000) -> pl.DataFrame:
    """Benign rows around two centres, two known classes beside them."""
    random = np.random.default_rng(seed)
    kinds = random.choice(["Normal", "flood", "scan"], size=rows, p=[0.7, 0.15, 0.15])
    centre = {"Normal": 0.0, "flood": 5.0, "scan": -5.0}
    amount = np.array([centre[kind] for kind in kinds]) + random.normal(size=rows)
    return pl.DataFrame(
        {
            "amount": amount,
            "length": random.normal(size=rows),
            "protocol": random.choice(["tcp", "udp"], size=rows),
            "class": kinds,
        }
    )


@pytest.fixture(scope="module")
def council() -> Council:
    return Council.learn(traffic(1), "class", seed=3)


def test_known_classes_are_named_and_false_alarms_are_as_rare_as_wanted(council: Council) -> None:
    later = traffic(2, 6_000)
    judged = council.judge(later)
    truth, found = later["class"].to_numpy(), np.array(judged.labels)
    assert council.classes == ["Normal", "flood", "scan"]
    assert np.mean(found[truth == "Normal"] != "Normal") < 0.02
    assert np.mean(found[truth != "Normal"] == truth[truth != "Normal"]) > 0.9
    hostile = truth != "Normal"
    assert np.array_equal(found != "Normal", judged.scores > 0.5)
    # Intervals are widened by rows judged far from their like, so that they hold more of rows as near as these.
    assert 0.88 <= np.mean((judged.low <= hostile) & (hostile <= judged.high)) <= 0.97
    assert np.mean(judged.scores[~hostile] > council.threshold(0.05)) < 0.08


def test_rows_unlike_anything_learnt_are_suspicious(council: Council) -> None:
    far = pl.DataFrame({"amount": [0.0], "length": [60.0], "protocol": ["icmp"]})
    assert council.judge(far).scores[0] > np.quantile(council.judge(traffic(2)).scores[:200], 0.5)


def test_permuted_labels_teach_nothing() -> None:
    shuffled = traffic(1).with_columns(pl.col("class").shuffle(seed=4))
    later = traffic(2)
    judged = Council.learn(shuffled, "class").judge(later)
    assert np.mean(np.array(judged.labels) != "Normal") < 0.05


def test_the_same_seed_and_a_restored_state_judge_bit_for_bit_alike(council: Council) -> None:
    later = traffic(5, 300)
    judged = council.judge(later)
    state = council.state()
    decoded = msgspec.json.decode(msgspec.json.encode(state.values))
    others = [
        Council.learn(traffic(1), "class", seed=3),
        Council.restore(State(state.kind, decoded, state.arrays, state.parts)),
    ]
    for other in others:
        again = other.judge(later)
        assert np.array_equal(again.scores, judged.scores)
        assert np.array_equal(again.probabilities, judged.probabilities)
        assert again.labels == judged.labels


def test_order_and_company_of_rows_do_not_matter(council: Council) -> None:
    later = traffic(5, 300)
    assert np.allclose(council.judge(later.reverse()).scores[::-1], council.judge(later).scores, atol=1e-6)
    assert np.allclose(council.judge(later[:1]).scores, council.judge(later).scores[:1], atol=1e-6)
    assert council.judge(later[:0]).labels == []


def test_anomalies_are_found_without_labels() -> None:
    usual = traffic(1).filter(pl.col("class") == "Normal").drop("class")
    council = Council.learn(usual, "class", task="anomaly")
    later = traffic(2)
    judged = council.judge(later)
    benign = (later["class"] == "Normal").to_numpy()
    assert np.mean(np.array(judged.labels)[benign] != "benign") < 0.03
    assert judged.scores[~benign].mean() > judged.scores[benign].mean()
    assert np.all((judged.low <= judged.probabilities) & (judged.probabilities <= judged.high))


@pytest.mark.parametrize(
    ("frame", "label", "message"),
    [
        (traffic(1), "kind", "kind: the column of labels is missing"),
        (traffic(1).filter(pl.col("class") == "Normal"), "class", "no row is hostile"),
        (traffic(1).filter(pl.col("class") != "Normal"), "class", "no label is benign"),
        (traffic(1)[:10], "class", "benign rows"),
        (traffic(1).with_columns(pl.lit(None, pl.String).alias("class")), "class", "row 0 has no label"),
    ],
)
def test_tables_that_cannot_be_learnt_are_refused_with_a_reason(frame: pl.DataFrame, label: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Council.learn(frame, label)


def test_unsw_nb15_with_equal_rows_on_one_side(data: Path) -> None:
    frame = pl.read_csv(data / "net/tabular/unsw-nb15/unsw_nb15_part_A.csv.gz")
    groups = frame.drop("id", "attack_cat", "label").hash_rows(seed=7).to_numpy()
    held = groups % 10 < 4
    council = Council.learn(frame.filter(~held), "attack_cat")
    later = frame.filter(held)
    judged = council.judge(later)
    hostile = (later["label"] == 1).to_numpy()
    assert set(council.left_out) == {"id", "label", "stcpb", "dtcpb"}
    assert 0.005 < np.mean(judged.scores[~hostile] > council.threshold(0.01)) < 0.015
    assert np.mean(judged.scores[hostile] > np.quantile(judged.scores[~hostile], 0.99)) > 0.93
    assert 0.88 <= np.mean((judged.low <= hostile) & (hostile <= judged.high)) <= 0.94


def test_the_damped_detector_learns_damped_statistics_alone_and_comes_back_alike() -> None:
    random = np.random.default_rng(5)
    base = np.exp(random.normal(3, 1, 400))
    damped = {f"host_damped_{name}_1s": base * random.uniform(1, 1.1, 400) for name in ("weight", "mean", "std")}
    frame = pl.DataFrame({**damped, "shortcut": random.random(400)})
    council = Council.learn(frame, "label", task="anomaly", settings=CouncilSettings(anomaly="damped"))
    assert council.columns == list(damped)
    foreign = frame.with_columns(host_damped_mean_1s=pl.lit(1e6))
    scores = council.judge(pl.concat([frame, foreign])).scores
    assert scores[400:].min() > np.quantile(scores[:400], 0.95)
    restored = Council.restore(council.state())
    assert restored.judge(frame).scores.tobytes() == scores[:400].tobytes()
    with pytest.raises(InputError, match="no column holds damped statistics"):
        Council.learn(frame.select("shortcut"), "label", task="anomaly", settings=CouncilSettings(anomaly="damped"))


@pytest.mark.parametrize(
    "detector", ["nearest-prototypes", "autoencoder", "isolation-forest", "median-deviations", "mahalanobis"]
)
def test_each_detector_of_what_is_unusual_can_be_asked_alone(detector: Anomaly) -> None:
    random = np.random.default_rng(6)
    frame = pl.DataFrame({name: random.normal(size=300) for name in ("a", "b", "c")})
    council = Council.learn(frame, "label", task="anomaly", settings=CouncilSettings(anomaly=detector))
    foreign = pl.DataFrame({name: random.normal(50, 1, size=20) for name in ("a", "b", "c")})
    scores = council.judge(pl.concat([frame, foreign])).scores
    assert scores[300:].min() > np.quantile(scores[:300], 0.95)
    assert Council.restore(council.state()).judge(foreign).scores.tobytes() == scores[300:].tobytes()
