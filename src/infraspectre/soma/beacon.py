"""Beacons: a host that calls the same rare destination again and again at regular gaps, saying much the same."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
import polars as pl

from infraspectre.ml.bounded import BoundedTable, DistinctCounter
from infraspectre.ml.robust import Vector, log_ramp, quartile_skewness, relative_spread
from infraspectre.records import Detection, Technique
from infraspectre.records.words import plural
from infraspectre.soma.detector import SECOND, Case, Casebook, Finding, Row, gathered, host_of, in_seconds
from infraspectre.soma.doorstep import Doorstep
from infraspectre.soma.techniques import ENCRYPTED_CHANNEL, NON_APPLICATION_PROTOCOL, WEB_PROTOCOLS

CALLS_KEPT = 256
"""Latest calls of a case that are kept: enough for the statistics, 4 KiB each."""
GROWTH = 2
"""A case is judged when its calls have doubled, so that judging costs little per call."""


class BeaconSettings(msgspec.Struct, frozen=True):
    """Sets the thresholds of beacon detection."""

    calls: int = 12
    """Calls needed: with fewer, chance makes regular gaps."""
    shortest_gap_s: float = 2.0
    """Calls closer than this are one activity: parallel connections and redirects."""
    longest_gap_s: float = 86_400.0
    """Longest period believed: one day."""
    gap_spread: float = 0.45
    """Robust spread of the gaps over their median: a sleep with 60% jitter has 0.45, people have 1 and more."""
    size_spread: float = 0.25
    """Robust spread of the bytes sent over their median: polls repeat themselves."""
    skewness: float = 0.6
    """Quartile skewness of the gaps: jitter is symmetric, people's pauses have a long tail."""
    callers: int = 2
    """Hosts that may call the destination: what many hosts call is a service of the site."""
    foreign_weight: float = 0.75
    """Factor for callers outside, of whom too little is seen."""
    inside_weight: float = 0.85
    """Factor for destinations inside, where monitors and agents poll."""
    one_socket_weight: float = 0.75
    """Factor for calls that all leave from one port: one lasting association kept alive, rather than calls anew."""
    full_calls: int = 200
    """Calls at which the count speaks fully."""
    capacity: int = 8_192
    """Cases kept."""


QUIET_PORTS = (
    53,
    67,
    68,
    88,
    111,
    123,
    135,
    137,
    138,
    139,
    161,
    162,
    389,
    445,
    514,
    546,
    547,
    636,
    853,
    1900,
    3702,
    5353,
    5355,
)
"""Services periodic by design: names, time, leases, directories, management and discovery (IANA port numbers)."""


SCOPE = ("orig_ip", "resp_ip", "resp_port", "protocol")
"""Columns that tell who calls what."""


class Scope(NamedTuple):
    """Identifies who calls what."""

    orig: str
    resp: str
    port: int
    protocol: str


class CallCase(Case):
    """Keeps the latest calls: when they began and how much was sent."""

    def __init__(self) -> None:
        """Start with no call."""
        super().__init__()
        self.times: list[int] = []
        self.sizes: list[int] = []
        self.judged = 0
        self.is_inside = False
        self.is_caller_inside = True
        self.app_protocol: str | None = None
        self.ports: set[int] = set()

    @property
    def is_one_socket(self) -> bool:
        """Tell whether all calls left from one port."""
        return len(self.ports) == 1

    def call(self, row: Row) -> None:
        """Add calls and forget the oldest beyond CALLS_KEPT."""
        self.times = (self.times + row["times"])[-CALLS_KEPT:]
        self.sizes = (self.sizes + row["sizes"])[-CALLS_KEPT:]
        self.is_inside, self.is_caller_inside = row["resp_inside"], row["orig_inside"]
        self.app_protocol = self.app_protocol or row["app_protocol"]
        self.ports.update(row["ports"][: 2 - len(self.ports)])


class Rhythm(NamedTuple):
    """Describes the calls of a case."""

    calls: int
    period_s: float
    gap_spread: float
    skewness: float
    size_spread: float


class Beacon:
    """Finds periodic calls with any jitter; regularity alone is not guilt, rarity and sameness must join it."""

    name = "beacon"
    columns = frozenset({"app_protocol", "orig_port", "orig_payload_bytes"})
    helpful = frozenset[str]()

    def __init__(self, settings: BeaconSettings | None = None) -> None:
        """Start with no case."""
        self._settings = settings or BeaconSettings()
        self._book: Casebook[Scope, CallCase] = Casebook(self.name, self._settings.capacity, CallCase, self._judge)
        self._doorstep = Doorstep(SCOPE, 4 * self._settings.capacity)
        self._callers: BoundedTable[str, DistinctCounter] = BoundedTable(self._settings.capacity, _few)

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        """Return beacons that became certain."""
        is_call = (
            pl.col("protocol").is_in(["tcp", "udp"]) & ~pl.col("resp_group") & ~pl.col("resp_port").is_in(QUIET_PORTS)
        )
        rows = gathered(
            self._doorstep.admit(frame.filter(is_call & pl.col("orig_payload_bytes").is_not_null())),
            list(SCOPE),
            times=pl.col("started_at").tail(CALLS_KEPT),
            sizes=pl.col("orig_payload_bytes").tail(CALLS_KEPT),
            orig_hash=pl.col("orig_ip").hash().first(),
            orig_inside=pl.col("orig_inside").first(),
            resp_inside=pl.col("resp_inside").first(),
            app_protocol=pl.col("app_protocol").drop_nulls().first(),
            ports=pl.col("orig_port").drop_nulls().unique(maintain_order=True).head(2),
        )
        touched = [self._absorb(row) for row in rows]
        return self._book.review(scope for scope in touched if self._is_due(scope))

    def finish(self) -> list[Detection]:
        """Return beacons that the whole input shows."""
        return self._book.close()

    def _absorb(self, row: Row) -> Scope:
        scope = Scope(row["orig_ip"], row["resp_ip"], row["resp_port"], row["protocol"])
        case = self._book[scope]
        case.absorb(row)
        case.call(row)
        self._callers[scope.resp].update([row["orig_hash"]])
        return scope

    def _is_due(self, scope: Scope) -> bool:
        case = self._book.cases.get(scope)
        if case is None or case.flows < max(self._settings.calls, GROWTH * case.judged):
            return False
        case.judged = case.flows
        return True

    def _judge(self, scope: Scope, case: CallCase) -> Finding | None:
        known = self._callers.get(scope.resp)
        callers = known.count() if known is not None else 1
        if case.flows < self._settings.calls or callers > self._settings.callers:
            return None
        rhythm = rhythm_of(case, self._settings.shortest_gap_s)
        if rhythm is None or not self._is_beacon(rhythm):
            return None
        settings = self._settings
        app = f" {case.app_protocol.upper()}" if case.app_protocol else ""
        return Finding(
            category="beacon",
            techniques=_techniques(case),
            score=self._score(rhythm, case),
            orig=scope.orig,
            resp=scope.resp,
            summary=f"{scope.orig} called {host_of(scope.resp, scope.port)}{app} {case.flows:,} times, every "
            f"{in_seconds(rhythm.period_s)} give or take {rhythm.gap_spread:.0%}; "
            f"{plural(callers, 'host')} called it more than once",
            size=case.flows,
            measures={**rhythm._asdict(), "callers": callers},
            thresholds={
                "callers": settings.callers,
                "calls": settings.calls,
                "gap_spread": settings.gap_spread,
                "size_spread": settings.size_spread,
            },
        )

    def _is_beacon(self, rhythm: Rhythm) -> bool:
        settings = self._settings
        return (
            rhythm.calls >= settings.calls
            and rhythm.period_s <= settings.longest_gap_s
            and rhythm.gap_spread <= settings.gap_spread
            and abs(rhythm.skewness) <= settings.skewness
            and rhythm.size_spread <= settings.size_spread
        )

    def _score(self, rhythm: Rhythm, case: CallCase) -> float:
        """Rise from 0.3 with regular gaps (up to 0.25), equal sizes (0.1) and many calls (0.15, logarithmic)."""
        settings = self._settings
        regular = 1.0 - rhythm.gap_spread / settings.gap_spread
        same = 1.0 - rhythm.size_spread / settings.size_spread
        many = log_ramp(case.flows, settings.calls, settings.full_calls)
        score = 0.3 + 0.25 * regular + 0.1 * same + 0.15 * many
        score *= settings.inside_weight if case.is_inside else 1.0
        score *= settings.one_socket_weight if case.is_one_socket else 1.0
        return score if case.is_caller_inside else score * settings.foreign_weight


def rhythm_of(case: CallCase, shortest_gap_s: float) -> Rhythm | None:
    """Measure the rhythm of calls; calls closer than `shortest_gap_s` to the one before count as one."""
    order = np.argsort(case.times, kind="stable")
    times, sizes = np.asarray(case.times, dtype=np.float64)[order], np.asarray(case.sizes, dtype=np.float64)[order]
    fresh = np.diff(times, prepend=-np.inf) >= shortest_gap_s * SECOND
    gaps: Vector = np.diff(times[fresh]) / SECOND
    if len(gaps) < 2:
        return None
    period, spread, skewness = float(np.median(gaps)), relative_spread(gaps), quartile_skewness(gaps)
    wide = spread > 0.02  # below this the quartiles differ by capture noise only
    return Rhythm(len(gaps) + 1, period, spread, skewness if wide else 0.0, relative_spread(sizes + 1.0))


def _techniques(case: CallCase) -> tuple[Technique, ...]:
    if case.app_protocol in ("tls", "quic"):
        return (WEB_PROTOCOLS, ENCRYPTED_CHANNEL)
    return (WEB_PROTOCOLS,) if case.app_protocol == "http" else (NON_APPLICATION_PROTOCOL,)


def _few() -> DistinctCounter:
    return DistinctCounter(16)
