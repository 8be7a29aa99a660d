"""Packets become numbers, a threshold holds on rows not learnt from, and nothing but a graph is taken for one."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from infraspectre.errors import InputError, UsageError
from infraspectre.ml.sequence import COLUMNS, FEATURES, PACKETS, Network, Packets, SequenceModel, blocks, encode, odds


def frame(sizes: list[Any], gaps: list[Any], flags: list[Any]) -> pl.DataFrame:
    lists = dict(zip(COLUMNS, (sizes, gaps, flags), strict=True))
    return pl.DataFrame({name: pl.Series(values, dtype=pl.List(pl.Int64)) for name, values in lists.items()})


class FirstSize:
    """Stands for a network: the larger the first packet, the more hostile; answered rows are of the second kind."""

    def logits(self, packets: Packets) -> NDArray[np.float64]:
        size, answered = packets[:, 0, 2].astype(np.float64) * 10, (packets[..., 1] < 0).any(axis=1) * 4.0
        return np.stack([np.zeros(len(packets)), size, size + answered - 2], axis=1)


def traffic(rows: int = 3_000, seed: int = 0) -> tuple[pl.DataFrame, NDArray[np.bool_]]:
    """Return rows with two packets, of which hostile ones are larger but for a few, and half are answered."""
    random = np.random.default_rng(seed)
    hostile = random.random(rows) < 0.2
    sizes = np.exp(random.normal(np.where(hostile, 6.5, 4.0), 0.7)).astype(int) + 1
    signs = np.where(random.random(rows) < 0.5, -1, 1)
    lists = [[int(size), int(sign) * 60] for size, sign in zip(sizes, signs, strict=True)]
    return frame(lists, [[0, 9]] * rows, [[2, 16]] * rows), hostile


def test_a_packet_becomes_place_direction_size_gap_and_flags() -> None:
    packets = encode(frame([[52, -1_500], []], [[0, 1_023], []], [[0x02, 0x12], []]))
    assert packets.shape == (2, PACKETS, FEATURES)
    assert packets[0, :2, 0].tolist() == [1, 2]
    assert packets[0, :2, 1].tolist() == [1, -1]
    assert packets[0, 1, 2] > packets[0, 0, 2] > 0
    assert packets[0, :2, 3].tolist() == [0, 0.5]
    assert packets[0, 0, 4:].tolist() == [0, 0, 0, 0, 0, 0, 1, 0]
    assert packets[0, 1, 4:].tolist() == [0, 0, 0, 1, 0, 0, 1, 0]
    assert not packets[0, 2:].any()
    assert not packets[1].any()


def test_long_absent_and_wild_lists_are_bounded() -> None:
    wild = frame([[40] * 99, None, [2**62, None]], [[5] * 99, None, [-(2**62), 2**62]], [[16] * 99, None, [9_999, -4]])
    packets = encode(wild)
    assert np.isfinite(packets).all()
    assert np.abs(packets[..., 1:]).max() < 2
    assert (packets[0, :, 0] != 0).all()
    assert not packets[1].any()


def test_gaps_without_sizes_are_no_packets_and_sizes_without_gaps_are() -> None:
    packets = encode(frame([[40], [40, 41]], [[0, 7, 7], [0]], [[2, 2, 2], [2]]))
    assert (packets[..., 1] != 0).sum(axis=1).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("table", "field", "problem"),
    [
        (pl.DataFrame({"packet_sizes": [[1]]}), "packet_gaps_us", "the column of lists is missing"),
        (pl.DataFrame({"packet_sizes": [1]}), "packet_sizes", "is Int64, not lists of numbers"),
        (pl.DataFrame({"packet_sizes": [["a"]]}), "packet_sizes", "not lists of numbers"),
    ],
)
def test_columns_without_lists_of_numbers_are_refused(table: pl.DataFrame, field: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem) as caught:
        encode(table)
    assert caught.value.field == field


def test_every_row_is_in_one_block_that_is_long_enough() -> None:
    lengths = np.arange(1_000) % (PACKETS + 1)
    found = list(blocks(lengths, 50))
    assert np.array_equal(np.sort(np.concatenate([rows for rows, _ in found])), np.arange(1_000))
    assert all(len(rows) <= 50 and (lengths[rows] <= length).all() for rows, length in found)


def test_odds_are_those_of_all_hostile_classes_together() -> None:
    assert odds(np.array([[0.0, 1.0, 2.0], [1e4, -1e4, -1e4]])) == pytest.approx([np.log(np.e + np.e**2), -2e4], abs=1)


def test_the_threshold_holds_on_later_rows_and_kinds_are_named() -> None:
    learnt, hostile = traffic()
    network: Any = FirstSize()
    model = SequenceModel.calibrated(["benign", "big", "answered"], network, encode(learnt), hostile)
    later, truth = traffic(6_000, seed=1)
    judged = model.judge(later)
    labels = np.array(judged.labels)
    assert 0.004 < np.mean(labels[~truth] != "benign") < 0.018
    assert np.array_equal(labels != "benign", judged.scores > model.threshold(0.01))
    assert model.threshold(0.001) > model.threshold(0.01)
    assert np.mean(judged.scores[~truth] > model.threshold(0.001)) < 0.003
    answered = np.array([sizes[1] < 0 for sizes in later["packet_sizes"]])
    assert set(labels[answered]) == {"benign", "answered"}
    assert set(labels[~answered]) == {"benign", "big"}
    assert abs(judged.probabilities.mean() - truth.mean()) < 0.02
    assert 0.85 <= np.mean((judged.low <= truth) & (truth <= judged.high)) <= 1.0


def test_judging_without_onnx_runtime_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UsageError, match=r"needs ONNX Runtime; install it with: pip install 'infraspectre\[onnx\]'"):
        Network(b"", 2)


@pytest.mark.parametrize("graph", [b"", b"\x08\x07no graph", b"\x00external_data\x00"])
def test_bytes_that_are_no_graph_are_refused(graph: bytes) -> None:
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    with pytest.raises(ValueError, match="graph"):
        Network(graph, 2)
