"""The small contract of a detector, and the cases in which it gathers what belongs together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import msgspec
import polars as pl

from infraspectre.intel.calibration import calibration
from infraspectre.ml.bounded import BoundedTable, DistinctCounter
from infraspectre.ml.robust import logistic
from infraspectre.records import Detection, Evidence, Severity, Technique
from infraspectre.records.detection import detection_id

Row = dict[str, Any]
"""Sums over a group of flows, by name."""

IDENTITY = ("flow_id", "first_packet", "started_at", "ended_at", "orig_ip", "resp_ip", "resp_port", "protocol")
"""Columns that every detector gets, and without which none can say anything."""
SECOND = 1_000_000_000
MAX_FLOW_IDS = 64
MAX_PACKETS = 8
MAX_EXAMPLES = 8
MAX_EXAMPLE_LENGTH = 200
ESCALATION = 10
"""A case is reported again when it has grown by this factor, so that a growing attack speaks in decades."""
FINAL_GROWTH = 2
"""At the end of the input a reported case is reported once more if it has grown by this factor."""
WORTH_TIME = 0.5
"""Score of medium severity: a case that was below it is reported again once it reaches it."""
RESTED_S = 12 * 3_600.0
"""A grave case that has rested for so long is over: whoever attacks again the next day is told of again."""
SEVERITY_FLOORS: tuple[tuple[float, Severity], ...] = (
    (0.9, "critical"),
    (0.7, "high"),
    (0.5, "medium"),
    (0.3, "low"),
    (0.0, "informational"),
)
"""Least score of each severity."""


class Detector(Protocol):
    """Finds one kind of suspicious behaviour in blocks of flows, remembering a bounded past."""

    @property
    def name(self) -> str:
        """Name the detector."""
        ...

    @property
    def columns(self) -> frozenset[str]:
        """Name the columns without which it stays silent."""
        ...

    @property
    def helpful(self) -> frozenset[str]:
        """Name further columns that it uses where they are known."""
        ...

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        """Return what became certain with this block of the columns named, IDENTITY and those of `located`."""
        ...

    def finish(self) -> list[Detection]:
        """Return what the end of the input adds."""
        ...


@runtime_checkable
class Patient(Protocol):
    """Is a detector that holds findings back for a time, and tells them once it is over even if no flow comes."""

    def due(self) -> int | None:
        """Return the event time at which the first of them is to be told, None where none is held back."""
        ...

    def turn(self, until: int) -> list[Detection]:
        """Let event time go on without flows, and return what becomes certain by that."""
        ...


class Case:
    """Gathers the evidence of one behaviour of one actor, within fixed bounds."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        self.flows = 0
        self.first_seen = 0
        self.last_seen = 0
        self.flow_ids: list[int] = []
        self.packets: list[int] = []
        self.examples: dict[str, None] = {}
        self.reported = 0.0
        self.reported_score = 0.0

    @property
    def duration_s(self) -> float:
        """Return the seconds of event time from the first to the last evidence."""
        return (self.last_seen - self.first_seen) / SECOND

    def absorb(self, row: Row) -> None:
        """Add a group of flows as summed up by `gathered`."""
        self.first_seen = min(self.first_seen, row["first_seen"]) if self.flows else row["first_seen"]
        self.last_seen = max(self.last_seen, row["last_seen"])
        self.flows += row["flows"]
        self.flow_ids += row["flow_ids"][: MAX_FLOW_IDS - len(self.flow_ids)]
        self.packets += row["packets"][: MAX_PACKETS - len(self.packets)]

    def sum_up(self, row: Row, *names: str) -> None:
        """Add further sums of a group to the attributes of the same names; what it does not know adds nothing."""
        for name in names:
            setattr(self, name, getattr(self, name) + (row[name] or 0))

    def show(self, examples: Iterable[str | None]) -> None:
        """Keep the first few distinct telling values."""
        for example in examples:
            if len(self.examples) >= MAX_EXAMPLES:
                return
            if example:
                self.examples[example[:MAX_EXAMPLE_LENGTH]] = None


CaseT = TypeVar("CaseT", bound=Case)
Key = TypeVar("Key")


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Says what a case amounts to, once it passes its thresholds."""

    category: str
    techniques: tuple[Technique, ...]
    score: float
    orig: str | None
    resp: str | None
    summary: str
    size: float
    """How much of it there is, in any unit; decides when growth is worth another report."""
    measures: dict[str, float]
    thresholds: dict[str, float]
    rule: str = ""
    """Which of its rules a detector followed, where it follows several in one category."""
    probability: float | None = None
    """How probable it is, where somebody knows; else it follows from the score."""
    detector: str | None = None
    """Who found it, where it is not the casebook's detector."""


class Casebook(Generic[Key, CaseT]):
    """Keeps a bounded number of cases and reports each when it passes its thresholds, grows much, or becomes grave."""

    def __init__(
        self,
        detector: str,
        capacity: int,
        make: Callable[[], CaseT],
        judge: Callable[[Key, CaseT], Finding | None],
        tell: Callable[[Key, CaseT, Finding], Finding] | None = None,
    ) -> None:
        """Keep at most `capacity` cases, the most recently touched.

        `judge` returns None below its thresholds; `tell` adds to a finding what is worth its cost only once reported.
        """
        self._detector = detector
        self._judge = judge
        self._tell = tell or (lambda _key, _case, finding: finding)
        self.cases: BoundedTable[Key, CaseT] = BoundedTable(capacity, make)

    def __getitem__(self, key: Key) -> CaseT:
        return self.cases[key]

    def __contains__(self, key: Key) -> bool:
        return key in self.cases

    def opened(self, key: Key, row: Row) -> CaseT:
        """Return the case to which a group of flows belongs: a new one where the last was grave, told, and is over."""
        case = self.cases.get(key)
        if case is not None and _is_over(case, row["first_seen"]):
            self.cases.forget(key)
        return self.cases[key]

    def review(self, keys: Iterable[Key]) -> list[Detection]:
        """Report those of the touched cases that are new or have grown by ESCALATION."""
        return list(self._reports(dict.fromkeys(keys), ESCALATION))

    def close(self) -> list[Detection]:
        """Report all cases that are new or have grown by FINAL_GROWTH since their last report."""
        return list(self._reports([key for key, _ in self.cases.items()], FINAL_GROWTH))

    def _reports(self, keys: Iterable[Key], growth: float) -> Iterator[Detection]:
        for key in keys:
            case = self.cases.get(key)
            finding = self._judge(key, case) if case is not None else None
            if case is not None and finding is not None and _is_news(case, finding, growth):
                case.reported, case.reported_score = finding.size, finding.score
                yield detection(finding.detector or self._detector, case, self._tell(key, case, finding))


def _is_over(case: Case, at: int) -> bool:
    """Tell whether a case was told as grave, and has rested since for so long that what comes now is another."""
    return case.reported_score >= WORTH_TIME and at > case.last_seen + RESTED_S * SECOND


def _is_news(case: Case, finding: Finding, growth: float) -> bool:
    """Tell whether a case grew by a factor since its last report, or became worth an analyst's time."""
    return finding.size >= growth * case.reported or case.reported_score < WORTH_TIME <= finding.score


def detection(detector: str, case: Case, finding: Finding) -> Detection:
    """Make the record of a finding from its case."""
    evidence = Evidence(
        summary=finding.summary,
        measures={"flows": float(case.flows)} | finding.measures,
        thresholds=finding.thresholds,
        packets=list(case.packets),
        examples=list(case.examples),
    )
    told_apart = (finding.size, finding.rule) if finding.rule else (finding.size,)
    return Detection(
        detection_id=detection_id(detector, finding.category, finding.orig, finding.resp, case.first_seen, *told_apart),
        at=case.last_seen,
        detector=detector,
        category=finding.category,
        severity=severity(finding.score),
        score=round(finding.score, 4),
        probability=round(finding.probability or calibration().probability(finding.category, finding.score), 4),
        flow_ids=list(case.flow_ids),
        orig=finding.orig,
        resp=finding.resp,
        techniques=list(finding.techniques),
        evidence=evidence,
        first_seen=case.first_seen,
        last_seen=case.last_seen,
    )


def severity(score: float) -> Severity:
    """Return the severity whose range of scores holds this score."""
    return next((name for floor, name in SEVERITY_FLOORS if score >= floor), "informational")


def probability(score: float) -> float:
    """Map a score to a probability before anything is known of its family: 0.18 at 0.3, 0.5 at 0.55, 0.94 at 1."""
    return logistic(6.0 * (score - 0.55))


def score_of(probability: float) -> float:
    """Return the score from 0 to 1 that means a probability, the inverse of `probability`."""
    if not 0.0 < probability < 1.0:
        return float(probability >= 1.0)
    return min(1.0, max(0.0, 0.55 + math.log(probability / (1.0 - probability)) / 6.0))


FLOWS = {
    "flows": pl.len(),
    "flow_ids": pl.col("flow_id").head(MAX_FLOW_IDS),
    "packets": pl.col("first_packet").drop_nulls().head(MAX_PACKETS),
}
"""What a case takes from rows of which each is a flow."""
PARTS_OF_FLOWS = {
    "flows": pl.col("flow_id").n_unique(),
    "flow_ids": pl.col("flow_id").unique(maintain_order=True).head(MAX_FLOW_IDS),
    "packets": pl.col("first_packet").drop_nulls().unique(maintain_order=True).head(MAX_PACKETS),
    "rows": pl.len(),
}
"""What a case takes from rows of which a flow may have several, such as its requests, and how many `rows` there are."""


def completed(frame: pl.DataFrame, optional: dict[str, pl.DataType]) -> pl.DataFrame:
    """Add those of the optional columns that are missing, as null."""
    return frame.with_columns(
        pl.lit(None, kind).alias(name) for name, kind in optional.items() if name not in frame.columns
    )


def few_hosts() -> DistinctCounter:
    """Return a counter of hosts that are few or else of no interest."""
    return DistinctCounter(16)


def gathered(frame: pl.DataFrame, keys: list[str], **measures: pl.Expr) -> Iterator[Row]:
    """Sum up flows per key, in order of first appearance: what `Case.absorb` needs, and further measures."""
    return _gathered(frame, keys, FLOWS | measures)


def gathered_parts(frame: pl.DataFrame, keys: list[str], **measures: pl.Expr) -> Iterator[Row]:
    """Sum up parts of flows per key like `gathered`; each flow counts once."""
    return _gathered(frame, keys, PARTS_OF_FLOWS | measures)


def _gathered(frame: pl.DataFrame, keys: list[str], measures: dict[str, pl.Expr]) -> Iterator[Row]:
    if frame.is_empty():
        return iter(())
    grouped = frame.group_by(keys, maintain_order=True).agg(
        first_seen=pl.col("started_at").min(), last_seen=pl.col("ended_at").max(), **measures
    )
    return grouped.iter_rows(named=True)


def in_seconds(seconds: float) -> str:
    """Say a time span for people: 4.2 s, 12 min, 3.4 h."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3_600:.1f} h"


def in_bytes(count: float) -> str:
    """Say a number of bytes for people, in decimal units."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f} bytes"


def host_of(host: str, port: int) -> str:
    """Write an address and port, with brackets around IPv6."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
