"""The model of packet sequences: the first packets of each row, judged by a small transformer in ONNX."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from infraspectre.errors import InputError, UsageError
from infraspectre.ml.calibration import RATE, Calibration, Thresholds, shown
from infraspectre.ml.detector import Judgement, State, Vector

SIZES, GAPS, FLAGS = COLUMNS = ("packet_sizes", "packet_gaps_us", "packet_flags")
"""The lists of a row, one number for each packet: bytes (negative for those of the answering side), microseconds since
the packet before, and eight flags as the bits of a number."""
PACKETS = 32
"""Most packets of a row that are looked at; those after them do not count."""
FLAG_BITS = 8
FEATURES = 4 + FLAG_BITS
"""Numbers of a packet: place from 1, direction (1 or -1), logarithms of size and gap, each flag; all 0: no packet."""
SIZE_SCALE = 11.0
"""Brings the logarithm (base 2) of sizes near 1: that of a full Ethernet frame."""
GAP_SCALE = 20.0
"""Brings the logarithm (base 2) of gaps near 1: that of a second."""
LARGEST_SIZE = 2.0**16
LARGEST_GAP_US = 2.0**32
LENGTHS = (4, 16, PACKETS)
"""Packets to which rows are padded: most rows are short, and a short one costs a fraction of a long one."""
BLOCK = 64
"""Rows judged at once, which bounds memory."""
FEWEST = 2
"""Rows judged at once at the least: ONNX Runtime adds up a single row in another order, which rounds differently."""

Packets = NDArray[np.float32]
"""Rows by packets by FEATURES."""


def encode(frame: pl.DataFrame) -> Packets:
    """Return the packets of each row (rows, PACKETS, FEATURES); a row without any is all 0.

    Raises InputError naming a column that is missing or does not hold lists of numbers.
    """
    sizes, gaps, flags = (_numbers(frame, name) for name in COLUMNS)
    limited = np.clip(np.abs(sizes), 0.0, LARGEST_SIZE)
    present = ~np.isnan(sizes)
    bits = np.nan_to_num(flags, posinf=0.0, neginf=0.0).clip(0, 2**FLAG_BITS - 1).astype(np.uint8)
    packets = np.zeros((len(frame), PACKETS, FEATURES), dtype=np.float32)
    packets[..., 0] = np.arange(1, PACKETS + 1)
    packets[..., 1] = np.where(sizes < 0, -1.0, 1.0)
    packets[..., 2] = np.log2(1.0 + np.nan_to_num(limited)) / SIZE_SCALE
    packets[..., 3] = np.log2(1.0 + np.nan_to_num(gaps).clip(0.0, LARGEST_GAP_US)) / GAP_SCALE
    packets[..., 4:] = np.unpackbits(bits[..., None], axis=-1)
    packets[~present] = 0.0
    return packets


def _numbers(frame: pl.DataFrame, name: str) -> NDArray[np.float64]:
    """Return the first numbers of each list (rows, PACKETS); NaN where there is none."""
    if name not in frame.columns:
        remedy = "give the columns that 'infraspectre flows' writes with --features full"
        raise InputError("the column of lists is missing", field=name, remedy=remedy)
    column = frame[name]
    if not isinstance(column.dtype, pl.List) or not column.dtype.inner.is_numeric():
        raise InputError(f"is {column.dtype}, not lists of numbers", field=name)
    heads = column.list.head(PACKETS)
    lengths = heads.list.len().fill_null(0).to_numpy().astype(np.int64)
    out = np.full((len(frame), PACKETS), np.nan)
    if lengths.any():
        values = heads.filter(pl.Series(lengths > 0)).explode().cast(pl.Float64).fill_null(0.0).to_numpy()
        out[np.arange(PACKETS) < lengths[:, None]] = values
    return out


def lengths_of(packets: Packets) -> NDArray[np.int64]:
    """Return the number of packets of each row."""
    return np.asarray((packets[..., 0] != 0).sum(axis=1), dtype=np.int64)


def odds(logits: NDArray[np.float64]) -> Vector:
    """Return the logarithm of the odds that a row is hostile; `logits` is rows by classes, the benign one first."""
    hostile = logits[:, 1:]
    most = hostile.max(axis=1)
    return np.asarray(most + np.log(np.exp(hostile - most[:, None]).sum(axis=1)) - logits[:, 0])


class Network:
    """A transformer in ONNX: packets of rows in, a logit for each class out."""

    kind: ClassVar[str] = "onnx"

    def __init__(self, graph: bytes, classes: int) -> None:
        """Load a graph; raises ValueError for what is none, and UsageError where ONNX Runtime is not installed."""
        self._graph, self._classes = graph, classes
        self._session = _session(graph)
        self._input = self._session.get_inputs()[0].name

    def logits(self, packets: Packets) -> NDArray[np.float64]:
        """Return a logit for each row and class (rows, classes)."""
        out = np.empty((len(packets), self._classes))
        for rows, length in blocks(lengths_of(packets)):
            judged = np.resize(rows, max(len(rows), FEWEST))
            (found,) = self._session.run(None, {self._input: packets[judged, :length]})
            out[rows] = found[: len(rows)]
        return out

    def state(self) -> State:
        """Return the graph as bytes."""
        return State(self.kind, {"classes": self._classes}, {"graph": np.frombuffer(self._graph, dtype=np.uint8)})

    @classmethod
    def restore(cls, state: State) -> Network:
        """Return the network whose state it is."""
        return cls(state.arrays["graph"].tobytes(), int(state.values["classes"]))


def blocks(lengths: NDArray[np.int64], size: int = BLOCK) -> Iterator[tuple[NDArray[np.int64], int]]:
    """Yield rows of like length, and the length to which they are padded."""
    padded = np.asarray(LENGTHS)[np.searchsorted(LENGTHS, lengths)]
    for length in LENGTHS:
        rows = np.flatnonzero(padded == length)
        for start in range(0, len(rows), size):
            yield rows[start : start + size], length


def _session(graph: bytes) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        remedy = "install it with: pip install 'infraspectre[onnx]'"
        raise UsageError("a model of packet sequences needs ONNX Runtime", remedy=remedy) from error
    options = onnxruntime.SessionOptions()
    # Sums are rounded differently with the number of threads: one makes judgements the same everywhere.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    if b"external_data" in graph or b"location" in graph:
        raise ValueError("the graph names a file outside of itself")
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no class in common
        raise ValueError(f"not a graph that ONNX Runtime takes: {error}") from error


class SequenceModel:
    """Judges rows by their packets; its threshold was fixed on rows that the network had not learnt from."""

    kind: ClassVar[str] = "sequence"

    def __init__(
        self,
        classes: list[str],
        network: Network,
        thresholds: Thresholds,
        calibration: Calibration,
        rate: float = RATE,
    ) -> None:
        """Join what was learnt; `rate` is the share of benign rows that may be called hostile."""
        self._classes, self._network = classes, network
        self._thresholds, self._calibration, self._rate = thresholds, calibration, rate
        self._threshold = thresholds.at(rate)

    @classmethod
    def calibrated(
        cls, classes: list[str], network: Network, packets: Packets, hostile: NDArray[np.bool_], rate: float = RATE
    ) -> SequenceModel:
        """Return a model whose threshold and probabilities come from rows that the network has not learnt from."""
        scores = odds(network.logits(packets))
        thresholds = Thresholds.learn(scores[~hostile], scores[~hostile], scores[hostile])
        return cls(classes, network, thresholds, Calibration.learn(scores, hostile.astype(np.float64)), rate)

    @property
    def columns(self) -> list[str]:
        """Name the columns it needs."""
        return list(COLUMNS)

    @property
    def classes(self) -> list[str]:
        """Name the classes it tells apart, the benign one first."""
        return list(self._classes)

    def threshold(self, rate: float) -> float:
        """Return the score above which at most this share of benign rows lies, as fixed on training data."""
        return float(shown(np.array([self._thresholds.at(rate)]), self._threshold)[0])

    def judge(self, frame: pl.DataFrame) -> Judgement:
        """Judge the rows of a table; raise `InputError` naming the column that is missing or of another type."""
        logits = self._network.logits(encode(frame))
        scores = odds(logits)
        names = np.where(scores > self._threshold, 1 + logits[:, 1:].argmax(axis=1), 0)
        probabilities = self._calibration.probabilities(scores)
        low, high = self._calibration.interval(probabilities)
        labels = [self._classes[name] for name in names.tolist()]
        return Judgement(labels, shown(scores, self._threshold), probabilities, low, high)

    def state(self) -> State:
        """Return what was learnt."""
        parts = {
            "network": self._network.state(),
            "thresholds": self._thresholds.state(),
            "calibration": self._calibration.state(),
        }
        return State(self.kind, {"classes": self._classes, "rate": self._rate}, {}, parts)

    @classmethod
    def restore(cls, state: State) -> SequenceModel:
        """Return a model that judges exactly as the one whose state it is."""
        return cls(
            list(state.values["classes"]),
            Network.restore(state.parts["network"]),
            Thresholds.restore(state.parts["thresholds"]),
            Calibration.restore(state.parts["calibration"]),
            float(state.values["rate"]),
        )
