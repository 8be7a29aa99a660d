"""Collection: a host that in minutes reads far more of a share than it or anybody else ever does."""

from __future__ import annotations

import sys
from typing import NamedTuple

import msgspec
import polars as pl

from infraspectre.ml.bounded import BoundedTable, DistinctCounter, text_hashes
from infraspectre.ml.robust import log_ramp
from infraspectre.records import Detection
from infraspectre.records.words import plural
from infraspectre.soma.detector import SECOND, Case, Casebook, Finding, Row, gathered, in_bytes
from infraspectre.soma.standing import Standing
from infraspectre.soma.techniques import SHARED_DRIVE

BUCKET_S = 600
"""Length of the spans in which reading is counted: who collects empties folders, who works opens a file at a time."""
SMB_PORTS = (139, 445)
"""Ports of file service (IANA port numbers)."""
PEERS_KEPT = 256
"""Readers of a server whose most is remembered."""
NAMES_TOLD = 32
"""Names that a flow tells at most; beyond, bytes say how much was read."""


class CollectionSettings(msgspec.Struct, frozen=True):
    """Sets when reading of a share is collection."""

    files: int = 16
    """Different files opened in ten minutes: a person opens a handful, and a folder's preview a dozen."""
    ratio: float = 3.0
    """Multiple of what the busiest others, and the host before, opened in as much time."""
    peers: int = 5
    """Readers of a server that have to be known: without them nobody knows what is usual there."""
    score: float = 0.5
    """Score at the threshold: somebody who copies a folder for a journey does the same."""
    machine_score: float = 0.35
    """Most for hosts at which nobody sits: backup and indexing read whole shares."""
    full_scale: int = 20
    """Multiple of the threshold at which the score is full."""
    capacity: int = 8_192
    """Cases kept."""


class Scope(NamedTuple):
    """Identifies who reads from which server in which span."""

    orig: str
    resp: str
    bucket: int


class Most(NamedTuple):
    """Holds the most that somebody read in one span."""

    files: int = 0
    received: int = 0


class ReadingCase(Case):
    """Counts the files opened in one span, and the bytes that came of it."""

    def __init__(self) -> None:
        """Start with nothing read."""
        super().__init__()
        self.files = DistinctCounter(256)
        self.received = 0


class Collection:
    """Finds hosts that open many times as many files of a server in ten minutes as its other readers."""

    name = "collection"
    columns = frozenset({"smb_files", "orig_payload_bytes", "resp_payload_bytes"})
    helpful = frozenset[str]()

    def __init__(self, settings: CollectionSettings | None = None) -> None:
        """Start with nothing known of any server."""
        self._settings = settings = settings or CollectionSettings()
        self._book: Casebook[Scope, ReadingCase] = Casebook(self.name, settings.capacity, ReadingCase, self._judge)
        self._usual: BoundedTable[str, dict[str, Most]] = BoundedTable(settings.capacity, dict)
        self._standing = Standing(settings.capacity)

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        """Return collection that passed its thresholds or grew tenfold."""
        self._standing.learn(frame)
        opened = frame.filter(
            pl.col("orig_inside") & pl.col("resp_inside") & pl.col("resp_port").is_in(SMB_PORTS),
            pl.col("smb_files").list.len() > 0,
        )
        rows = gathered(
            opened.with_columns(bucket=pl.col("started_at") // (BUCKET_S * SECOND)),
            ["orig_ip", "resp_ip", "bucket"],
            files=pl.col("smb_files").explode().drop_nulls().unique(maintain_order=True),
            received=pl.col("resp_payload_bytes").sum(),
        )
        scopes = [self._absorb(row) for row in rows]
        self._learn(scopes, self._settings.files)
        found = self._book.review(scopes)
        self._learn(scopes, sys.maxsize)
        return found

    def finish(self) -> list[Detection]:
        """Return collection that grew since its last report."""
        return self._book.close()

    def _absorb(self, row: Row) -> Scope:
        scope = Scope(row["orig_ip"], row["resp_ip"], row["bucket"])
        case = self._book[scope]
        case.absorb(row)
        case.files.update(text_hashes(row["files"]))
        case.received += row["received"]
        case.show(row["files"])
        return scope

    def _learn(self, scopes: list[Scope], below: int) -> None:
        """Remember the most that readers opened, below a number of files, collection aside."""
        for scope in scopes:
            case, usual = self._book[scope], self._usual[scope.resp]
            files, before = case.files.count(), usual.get(scope.orig, Most())
            if not case.reported and files < below and (len(usual) < PEERS_KEPT or scope.orig in usual):
                usual[scope.orig] = Most(max(before.files, files), max(before.received, case.received))

    def _judge(self, scope: Scope, case: ReadingCase) -> Finding | None:
        settings, files, usual = self._settings, case.files.count(), self._usual[scope.resp].values()
        most = max((each.files for each in usual), default=0)
        received = max((each.received for each in usual), default=0)
        is_untold = files >= NAMES_TOLD and case.received >= settings.ratio * received
        is_much = files >= settings.files and (files >= settings.ratio * most or is_untold)
        if not is_much or len(usual) < settings.peers:
            return None
        score = settings.score + 0.2 * log_ramp(files, settings.files, settings.files * settings.full_scale)
        return Finding(
            category="share_collection",
            techniques=(SHARED_DRIVE,),
            score=score if self._is_seat(scope.orig) else min(score, settings.machine_score),
            orig=scope.orig,
            resp=scope.resp,
            summary=f"{scope.orig} opened {plural(files, 'file')} of {scope.resp} within ten minutes and got "
            f"{in_bytes(case.received)}; its {len(usual):,} readers had opened {most:,} at most",
            size=files,
            measures={"files": files, "most_before": most, "received_bytes": case.received},
            thresholds={"files": settings.files, "ratio": settings.ratio},
        )

    def _is_seat(self, host: str) -> bool:
        return self._standing.is_read_at(host) or self._standing.is_among_workstations(host)
