"""Anomalies: flows far from everything that the capture, or a given baseline, shows as usual."""

from __future__ import annotations

import msgspec
import numpy as np
import polars as pl

from infraspectre.ml.prototypes import Matrix, Prototypes
from infraspectre.ml.robust import log_ramp
from infraspectre.records import Detection
from infraspectre.records.words import plural
from infraspectre.soma.detector import IDENTITY, Case, Casebook, Finding, gathered, host_of

AMOUNTS = ("duration_ms", "orig_payload_bytes", "resp_payload_bytes", "orig_packets", "resp_packets")
"""Amounts of a flow that are compared, as logarithms."""
CONTEXT = ("orig_host_peers_600s", "orig_host_ports_600s", "resp_port_rarity_bits")
"""Context that is compared where it is known, as logarithms."""
SEED = 1
"""Seed of the shuffle that splits what is learnt; any number serves."""
PROTOCOLS = ("tcp", "udp")
"""Protocols compared, each as a feature of its own so that they do not mix."""


class AnomalySettings(msgspec.Struct, frozen=True):
    """Sets how far is far and how many reports are enough."""

    fit_rows: int = 2_048
    """Flows that teach what is usual: the first of the capture, unless a baseline is given."""
    least_rows: int = 200
    """Flows without which nothing is usual."""
    service_rows: int = 40
    """Flows to one service that may teach, at least."""
    service_share: float = 0.05
    """Share of all flows that flows to one service may teach."""
    samples: int = 4
    """Samples of prototypes over which distances are averaged, so that one odd prototype does not hide its like."""
    far: float = 4.0
    """Multiple of the calibration's 99th percentile from which a flow is reported: the far tail alone."""
    full_far: float = 40.0
    """Multiple at which the score is full."""
    reports: int = 8
    """Most hosts reported in a run: an anomaly is a hint, not an alarm."""


class OutlierCase(Case):
    """Keeps the farthest flow of a host."""

    def __init__(self) -> None:
        """Start with nothing far."""
        super().__init__()
        self.ratio = 0.0
        self.p_value = 1.0
        self.flow: dict[str, float] = {}
        self.target = ""


class Anomaly:
    """Finds flows in the far tail by distance to prototypes, with conformal p-values."""

    name = "anomaly"
    columns = frozenset(AMOUNTS)
    helpful = frozenset(CONTEXT)

    def __init__(self, settings: AnomalySettings | None = None, baseline: pl.DataFrame | None = None) -> None:
        """Learn from flows known to be usual, or from the first flows of the capture."""
        self._settings = settings or AnomalySettings()
        self._book: Casebook[str, OutlierCase] = Casebook(
            self.name, self._settings.reports * 8, OutlierCase, self._judge
        )
        self._learning: list[pl.DataFrame] = []
        self._learned = 0
        self._reported = 0
        self._usual = self._fit(_matrix(_compared(baseline))) if baseline is not None else None

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        """Return hosts whose flows are far from usual, once what is usual is known."""
        flows = _compared(frame)
        if self._usual is not None:
            return self._reports(self._far(flows, self._usual))
        self._learning.append(flows)
        self._learned += len(flows)
        return self._judge_learned() if self._learned >= self._settings.fit_rows else []

    def finish(self) -> list[Detection]:
        """Return what the flows of a short capture show among themselves."""
        return self._judge_learned() if self._usual is None and self._learned else []

    def _judge_learned(self) -> list[Detection]:
        """Judge each half of the flows by what the other half shows as usual; then learn from both."""
        flows = pl.concat(self._learning, how="diagonal_relaxed").sample(fraction=1.0, shuffle=True, seed=SEED)
        self._learning = []
        halves = flows[::2], flows[1::2]
        usual = [self._varied(half, len(flows)) for half in halves]
        if sum(map(len, usual)) < self._settings.least_rows:
            return []
        far = [self._far(half, self._fit(_matrix(other))) for half, other in zip(halves, usual[::-1], strict=True)]
        self._usual = self._fit(_matrix(pl.concat(usual).sample(fraction=1.0, shuffle=True, seed=SEED)))
        return self._reports(pl.concat(far).sort("started_at", "flow_id"))

    def _varied(self, flows: pl.DataFrame, total: int) -> pl.DataFrame:
        """Keep a bounded number of flows to each service, so that a flood or scan does not become the usual."""
        most = max(self._settings.service_rows, round(self._settings.service_share * total)) // 2
        return flows.filter(pl.int_range(pl.len()).over("resp_ip", "resp_port") < most)

    def _fit(self, points: Matrix) -> Prototypes:
        return Prototypes(points, self._settings.samples)

    def _far(self, flows: pl.DataFrame, usual: Prototypes) -> pl.DataFrame:
        """Keep the flows in the far tail, with their distance as a multiple of the usual one."""
        distances = usual.distances(_matrix(flows))
        ratios = distances / usual.usual_distance(0.99)
        is_far = ratios >= self._settings.far
        return flows.filter(pl.Series(is_far)).with_columns(
            ratio=pl.Series(ratios[is_far]), p_value=pl.Series(usual.p_values(distances[is_far]))
        )

    def _reports(self, far: pl.DataFrame) -> list[Detection]:
        touched = []
        farthest = {
            name: pl.col(name).sort_by("ratio", descending=True, maintain_order=True).first()
            for name in (*_SHOWN, "ratio", "p_value")
        }
        for row in gathered(far, ["orig_ip"], **farthest):
            case = self._book[row["orig_ip"]]
            case.absorb(row)
            if row["ratio"] > case.ratio:
                case.ratio, case.p_value = row["ratio"], row["p_value"]
                case.flow = {name: float(row[name] or 0) for name in AMOUNTS}
                case.target = host_of(row["resp_ip"], row["resp_port"])
            touched.append(row["orig_ip"])
        found = self._book.review(touched)[: self._settings.reports - self._reported]
        self._reported += len(found)
        return found

    def _judge(self, orig: str, case: OutlierCase) -> Finding | None:
        settings = self._settings
        sent, received, seconds = (
            case.flow["orig_payload_bytes"],
            case.flow["resp_payload_bytes"],
            case.flow["duration_ms"] / 1e3,
        )
        return Finding(
            category="anomaly",
            techniques=(),
            score=0.25 + 0.2 * log_ramp(case.ratio, settings.far, settings.full_far),
            orig=orig,
            resp=None,
            summary=f"{orig} had {plural(case.flows, 'flow')} unlike the rest; the farthest, to {case.target} with "
            f"{sent:,.0f} bytes sent and {received:,.0f} received in {seconds:,.1f} s, is {case.ratio:.1f} times "
            "as far out as 99% of usual flows",
            size=case.flows,
            measures={"distance_ratio": case.ratio, "p_value": case.p_value},
            thresholds={"distance_ratio": settings.far},
        )


_SHOWN = ("resp_ip", "resp_port", *AMOUNTS)


def _compared(frame: pl.DataFrame) -> pl.DataFrame:
    """Reduce flows to what is compared and reported."""
    is_known = pl.any_horizontal(pl.col(AMOUNTS).is_not_null())
    return frame.filter(is_known).select(*IDENTITY, *AMOUNTS, *(name for name in CONTEXT if name in frame.columns))


def _matrix(flows: pl.DataFrame) -> Matrix:
    """Return the points that are compared: logarithms of amounts and context, and protocol flags."""
    amounts = (
        pl.col(name).cast(pl.Float64).fill_null(0.0).log1p() for name in flows.columns if name in (*AMOUNTS, *CONTEXT)
    )
    flags = (
        (pl.col("protocol") == protocol).fill_null(value=False).cast(pl.Float64).alias(protocol)
        for protocol in PROTOCOLS
    )
    return np.asarray(flows.select(*amounts, *flags).to_numpy(), dtype=np.float64)
