"""Soma's one stage: flows and their context in, detections out, whatever the size of the batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from infraspectre.records import Detection, FlowBatch
from infraspectre.records.times import earliest
from infraspectre.soma.anomaly import Anomaly
from infraspectre.soma.beacon import Beacon
from infraspectre.soma.bot import Bot
from infraspectre.soma.brute_force import BruteForce
from infraspectre.soma.collection import Collection
from infraspectre.soma.detector import IDENTITY, SECOND, Detector, Patient
from infraspectre.soma.dns_tunnel import DnsTunnel
from infraspectre.soma.exfiltration import Exfiltration
from infraspectre.soma.file_download import FileDownload
from infraspectre.soma.flood import Flood
from infraspectre.soma.hosts import located
from infraspectre.soma.lateral_movement import LateralMovement
from infraspectre.soma.mining import Mining
from infraspectre.soma.name_poisoning import NamePoisoning
from infraspectre.soma.new_service import NewService
from infraspectre.soma.reverse_shell import ReverseShell
from infraspectre.soma.rogue_dhcp import RogueDhcp
from infraspectre.soma.scan import Scan
from infraspectre.soma.smb_exploitation import SmbExploitation
from infraspectre.soma.ticket_theft import TicketTheft
from infraspectre.soma.unusual_port import UnusualPort
from infraspectre.soma.unusual_rhythm import UnusualRhythm
from infraspectre.soma.weak_encryption import WeakEncryption
from infraspectre.soma.web_attack import WebAttack

CATALOGUE: tuple[Callable[[], Detector], ...] = (
    Scan,
    BruteForce,
    Flood,
    Beacon,
    DnsTunnel,
    Exfiltration,
    LateralMovement,
    SmbExploitation,
    Collection,
    TicketTheft,
    UnusualPort,
    WebAttack,
    FileDownload,
    WeakEncryption,
    Mining,
    Bot,
    NamePoisoning,
    RogueDhcp,
    ReverseShell,
    NewService,
    UnusualRhythm,
    Anomaly,
)
"""Every detector, in the order of its reports."""


class Features(Protocol):
    """Carries context features, row by row beside a flow batch."""

    @property
    def frame(self) -> pl.DataFrame:
        """Return the features as columns."""
        ...


class Patience(NamedTuple):
    """Closes a block once it holds this many rows and spans this much event time."""

    rows: int
    span_s: int


NEEDED = ("started_at", "ended_at", "orig_ip", "resp_ip")
"""Columns without whose values a flow, from a log that does not say them, is no evidence: who, with whom and when."""
PATIENCE = (Patience(8_192, 0), Patience(2_048, 60), Patience(64, 600))
"""Blocks are cut by rows and event time alone, so that batch boundaries leave no trace: 8,192 rows bound memory, a
minute is the wait on a network of thousands and ten minutes on any other, and 64 rows spread the cost of looking, which
is much the same for a hundred rows and a thousand."""


class Soma:
    """Shows every flow to every detector and collects what they find."""

    def __init__(self, detectors: Sequence[Detector] | None = None, patience: Sequence[Patience] = PATIENCE) -> None:
        """Use the given detectors, or one of each in the catalogue."""
        self._detectors = list(detectors) if detectors is not None else [make() for make in CATALOGUE]
        self._columns = set(IDENTITY).union(*(detector.columns | detector.helpful for detector in self._detectors))
        self._patience = patience
        self._waiting: list[pl.DataFrame] = []
        self._rows = 0
        self._opened_at = 0
        self._clock = 0

    def detect(self, flows: FlowBatch, features: Features | None = None) -> list[Detection]:
        """Return what became certain with these flows."""
        frame = flows.frame if features is None else flows.frame.hstack(features.frame)
        if not set(IDENTITY) <= set(frame.columns):
            return []
        looked_at = frame.select(name for name in frame.columns if name in self._columns)
        return [found for block in self._cut(_told(looked_at)) for found in self._look(block)]

    @property
    def detectors(self) -> Sequence[Detector]:
        """Return the detectors, in the order of their reports."""
        return self._detectors

    def settle(self) -> list[Detection]:
        """Return what the flows still waiting add, as nothing may come behind them for long."""
        return self._look(self._taken()) if self._waiting else []

    def due(self) -> int | None:
        """Return the event time at which something is to be told even if no flow comes, None where there is none."""
        return earliest(detector.due() for detector in self._detectors if isinstance(detector, Patient))

    def turn(self, until: int) -> list[Detection]:
        """Return what the flows still waiting add, and event time that goes on without flows."""
        patient = (detector for detector in self._detectors if isinstance(detector, Patient))
        return self.settle() + [found for detector in patient for found in detector.turn(until)]

    def finish(self) -> list[Detection]:
        """Return what the flows still waiting and the end of the input add."""
        return self.settle() + [found for detector in self._detectors for found in detector.finish()]

    def _cut(self, frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """Yield the blocks that these rows complete; keep the rest waiting."""
        clock = np.maximum(frame["ended_at"].fill_null(0).cum_max().to_numpy(), self._clock)
        while len(frame):
            self._opened_at = self._opened_at if self._rows else int(clock[0])
            full = self._full(clock)
            self._waiting.append(frame[:full])
            self._rows += full
            if full == len(frame):
                self._clock = int(clock[-1])
                return
            yield self._taken()
            frame, clock = frame[full:], clock[full:]

    def _full(self, clock: NDArray[np.int64]) -> int:
        """Return how many of the coming rows still belong to the open block."""
        rows = self._rows + np.arange(len(clock))
        span = clock - self._opened_at
        closed = np.zeros(len(clock), dtype=bool)
        for patience in self._patience:
            closed |= (rows >= patience.rows) & (span >= patience.span_s * SECOND)
        return int(closed.argmax()) if closed.any() else len(clock)

    def _taken(self) -> pl.DataFrame:
        block = pl.concat(self._waiting, how="vertical_relaxed")
        self._waiting, self._rows = [], 0
        return block

    def _look(self, block: pl.DataFrame) -> list[Detection]:
        known = set(block.columns)
        common = located(block.select(IDENTITY))
        found: list[Detection] = []
        for detector in self._detectors:
            if detector.columns <= known:
                wanted = (detector.columns | detector.helpful & known) - set(IDENTITY)
                found += detector.detect(common.hstack(block.select(sorted(wanted))))
        return found


def _told(frame: pl.DataFrame) -> pl.DataFrame:
    """Leave out the flows of which the needed is unknown; captures have none."""
    return frame.drop_nulls(NEEDED) if any(frame[name].null_count() for name in NEEDED) else frame
