"""Rule trials: the text of a rule checked, and run on flows of a tenant within bounds."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import Literal, NamedTuple

import polars as pl

from infraspectre.axon import Axon
from infraspectre.axon.features import FEATURES
from infraspectre.documents import read_documents
from infraspectre.errors import InputError, OverloadError
from infraspectre.own_rules import fields
from infraspectre.records import Detection, FlowBatch
from infraspectre.records.rules import Refusal
from infraspectre.records.tables import flows_table
from infraspectre.records.times import UNITS
from infraspectre.serving.platform import Platform
from infraspectre.soma import Soma
from infraspectre.soma.detector import IDENTITY, Detector
from infraspectre.soma.rules import OwnRules, read_files
from infraspectre.soma.sigma import SigmaDetector, load_sigma
from infraspectre.soma.sigma.loading import is_sigma

TrialKind = Literal["own", "sigma"]
MOST_ROWS = 1_000_000
"""Flows that a trial looks at."""
LONGEST_S = 10.0
"""Seconds after which a trial ends with what it has."""
CONTEXT = frozenset(feature.name for feature in FEATURES)
TRYING = Lock()
"""Is held by the one trial that runs: each may take a whole processor."""


class Checked(NamedTuple):
    """Holds what a text of rules says."""

    kind: TrialKind
    rules: int
    detector: Detector | None
    """None where no rule can be used."""
    faults: list[Refusal]


class Trial(NamedTuple):
    """Says what rules found in flows."""

    flows: int
    is_whole: bool
    """Whether all flows of the span were looked at."""
    found: list[Detection]
    cpu_ms: float


def check(text: str, kind: TrialKind | None) -> Checked:
    """Return what a text of rules says, told by its keys where no kind is given; faults name lines, and no file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rule.yaml"
        path.write_text(text, encoding="utf-8")
        try:
            found = kind or ("sigma" if any(is_sigma(each.content) for each in read_documents(path)) else "own")
            return check_sigma(path) if found == "sigma" else check_own(path)
        except InputError as error:
            return Checked(kind or "own", 0, None, [fault_of(error)])


def check_sigma(path: Path) -> Checked:
    """Return what Sigma rules say; one that sees nothing in network traffic is a fault, too."""
    rules = load_sigma([path])
    faults = [fault_of(each) for each in (*rules.refused, *rules.unseen)]
    return Checked("sigma", len(rules), SigmaDetector(rules) if rules else None, faults)


def check_own(path: Path) -> Checked:
    """Return what own rules say."""
    files, faults = read_files([path], fields())
    rules = [rule for file in files for rule in file.rules]
    return Checked("own", len(rules), OwnRules(rules) if rules else None, [fault_of(each) for each in faults])


def fault_of(error: InputError) -> Refusal:
    """Return what is wrong, without the file that nobody has."""
    return Refusal(None, error.line, error.field, error.problem, error.remedy)


def run(platform: Platform, tenant: str, detector: Detector, start: int, end: int) -> Trial:
    """Run rules on the flows of a tenant in a span of time; raises OverloadError while another trial runs."""
    if not TRYING.acquire(blocking=False):
        raise OverloadError("another rule is tried", remedy="try again in some seconds")
    try:
        return tried(platform, tenant, detector, start, end)
    finally:
        TRYING.release()


def tried(platform: Platform, tenant: str, detector: Detector, start: int, end: int) -> Trial:
    """Show flows to rules until all are seen, or there is no more time or room."""
    begun, deadline = time.thread_time(), time.monotonic() + LONGEST_S
    axon = Axon() if detector.helpful & CONTEXT else None
    soma, rows, found, is_whole = Soma([detector]), 0, list[Detection](), True
    for frame in frames(platform, tenant, detector, start, end):
        flows = FlowBatch(frame)
        found += soma.detect(flows, axon.extract(flows) if axon else None)
        rows += len(frame)
        if rows >= MOST_ROWS or time.monotonic() >= deadline:
            is_whole = False
            break
    found += soma.finish()
    return Trial(rows, is_whole, found, round(1_000 * (time.thread_time() - begun), 1))


def frames(platform: Platform, tenant: str, detector: Detector, start: int, end: int) -> Iterator[pl.DataFrame]:
    """Yield flows with the columns that rules look at; all of them where their context counts."""
    table = flows_table()
    asked = {*table.columns} if detector.helpful & CONTEXT else {*IDENTITY, *detector.columns, *detector.helpful}
    chosen = [name for name in table.columns if name in asked]
    yield from platform.tables.scan(tenant, table.name, start, end, chosen)


def span(platform: Platform, hours: int) -> tuple[int, int]:
    """Return the last hours."""
    now = platform.clock.now()
    return now - hours * UNITS["h"], now + 1
