"""Broken rhythm: hosts that send far more, or to far more others, than they and their like do in such an hour."""

from __future__ import annotations

import msgspec
import polars as pl

from infraspectre.ml.robust import log_ramp
from infraspectre.records import Detection
from infraspectre.soma.detector import Case, Casebook, Finding, Row, gathered, in_bytes


class UnusualRhythmSettings(msgspec.Struct, frozen=True):
    """Sets when a rhythm is broken; all scores are low, for busy hours have many causes."""

    deviations: float = 5.0
    """Deviations above the usual of the host and of its like: hourly sums have long tails."""
    sent_bytes: int = 50_000_000
    """Bytes sent in an hour below which more than usual does not matter."""
    peers: int = 50
    """Hosts talked to in an hour below which more than usual does not matter."""
    lone_factor: float = 0.7
    """Factor where no hosts of its kind are known to compare with."""
    score: float = 0.32
    """Score of a broken rhythm: a hint that counts beside others."""
    full_deviations: float = 20.0
    """Deviations at which the score is full."""
    capacity: int = 4_096
    """Hosts remembered."""


class BusyCase(Case):
    """Keeps the farthest moment of a host."""

    def __init__(self) -> None:
        """Start with nothing unusual."""
        super().__init__()
        self.own = 0.0
        self.like: float | None = None
        self.sent = 0.0
        self.peers = 0.0


CONTEXT = frozenset({"orig_rhythm_deviations", "orig_group_deviations", "orig_hour_sent_bytes", "orig_hour_peers"})
"""Context without which it says nothing."""


class UnusualRhythm:
    """Finds hosts that leave the rhythm of their own past and of hosts of their kind."""

    name = "unusual_rhythm"
    columns = frozenset[str]()
    helpful = CONTEXT

    def __init__(self, settings: UnusualRhythmSettings | None = None) -> None:
        """Start with no case."""
        self._settings = settings or UnusualRhythmSettings()
        self._book: Casebook[str, BusyCase] = Casebook(self.name, self._settings.capacity, BusyCase, self._judge)

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        """Return hosts that left their rhythm."""
        settings = self._settings
        if not set(frame.columns) >= CONTEXT:
            return []
        own, like = pl.col("orig_rhythm_deviations"), pl.col("orig_group_deviations").fill_nan(None)
        is_much = (pl.col("orig_hour_sent_bytes") >= settings.sent_bytes) | (
            pl.col("orig_hour_peers") >= settings.peers
        )
        is_far = (own.fill_nan(None) >= settings.deviations) & (
            like.fill_null(settings.deviations) >= settings.deviations
        )
        rows = gathered(
            frame.filter(is_much & is_far),
            ["orig_ip"],
            own=own.max(),
            like=like.max(),
            sent=pl.col("orig_hour_sent_bytes").max(),
            peers=pl.col("orig_hour_peers").max(),
        )
        return self._book.review([self._absorb(row) for row in rows])

    def finish(self) -> list[Detection]:
        """Return what grew since its last report."""
        return self._book.close()

    def _absorb(self, row: Row) -> str:
        host: str = row["orig_ip"]
        case = self._book[host]
        case.absorb(row)
        if row["own"] > case.own:
            case.own, case.like, case.sent, case.peers = row["own"], row["like"], row["sent"], row["peers"]
        return host

    def _judge(self, host: str, case: BusyCase) -> Finding:
        settings = self._settings
        score = settings.score + 0.1 * log_ramp(case.own, settings.deviations, settings.full_deviations)
        compared = f" and {case.like:.1f} above hosts of its kind" if case.like is not None else ""
        return Finding(
            category="unusual_rhythm",
            techniques=(),
            score=score if case.like is not None else score * settings.lone_factor,
            orig=host,
            resp=None,
            summary=f"{host} sent {in_bytes(case.sent)} to {case.peers:,.0f} hosts within an hour, {case.own:.1f} "
            f"deviations above what is usual for it then{compared}",
            size=case.own,
            measures={"deviations": case.own, "sent_bytes": case.sent, "peers": case.peers}
            | ({"group_deviations": case.like} if case.like is not None else {}),
            thresholds={"deviations": settings.deviations},
        )
