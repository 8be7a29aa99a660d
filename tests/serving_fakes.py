"""What tests of the platform's processes share: tables in memory, and flows of the bundled capture in a log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from infraspectre import app
from infraspectre.adapters.record_store import open_sqlite
from infraspectre.adapters.sensor_link.payloads import pack
from infraspectre.errors import OutputError, OverloadError
from infraspectre.pipeline import Pipeline
from infraspectre.records.collections import INCIDENTS
from infraspectre.records.feed import FEED_TOPIC, FLOWS_TOPIC
from infraspectre.records.flow_batches import FlowEnvelope, encode
from infraspectre.records.queries import Query
from infraspectre.serving.platform import Platform
from infraspectre.serving.worker import Worker
from infraspectre.settings import DetectionSettings, LimitSettings, Settings
from log_fakes import MemoryLog

SAMPLE = Path(__file__).parents[1] / "examples" / "sample.pcap.gz"


@dataclass
class Tables:
    """Keeps the frames that were appended, each name once."""

    frames: dict[tuple[str, str, str], pl.DataFrame] = field(default_factory=dict)
    fails: int = 0
    """So many appends fail."""
    kept_from: int = 0
    overloads: int = 0
    """So many appends are refused until there was a compaction."""

    def append(self, tenant: str, table: str, frame: pl.DataFrame, batch: str) -> None:
        if self.fails:
            self.fails -= 1
            raise OutputError("no space is left")
        if self.overloads:
            raise OverloadError("too much waits")
        self.frames.setdefault((tenant, table, batch), frame)

    def compact(self, tenant: str, table: str) -> int:
        self.overloads = max(0, self.overloads - 1)
        return 0

    def retain(self, tenant: str, table: str, start: int) -> int:
        self.kept_from = start
        return 0

    def tenants(self, table: str) -> list[str]:
        return sorted({owner for owner, name, _ in self.frames if name == table})

    def rows(self, table: str, tenant: str = "default") -> pl.DataFrame:
        found = [frame for (owner, name, _), frame in self.frames.items() if (owner, name) == (tenant, table)]
        return pl.concat(found, how="diagonal_relaxed") if found else pl.DataFrame()


def sample_flows() -> pl.DataFrame:
    """Return the flows of the bundled capture."""
    return pl.concat([batch.frame for batch in app.flows(SAMPLE)], how="diagonal_relaxed")


def entry(frame: pl.DataFrame, sequence: int, tenant: str = "default", sensor: str = "s1") -> bytes:
    """Return flows as a sensor sends them."""
    first, last = (int(frame[name].max()) for name in ("started_at", "ended_at"))  # type: ignore[arg-type]
    return encode(FlowEnvelope(tenant, sensor, "e1", sequence, len(frame), first, last), pack(frame))


def deliver(log: MemoryLog, frame: pl.DataFrame, size: int = 200, tenant: str = "default") -> None:
    """Put flows into the log, in batches."""
    batches = [frame[start : start + size] for start in range(0, len(frame), size)]
    log.topic(FLOWS_TOPIC).append([entry(each, number, tenant) for number, each in enumerate(batches)]).result()


def platform(folder: Path, settings: Settings | None = None) -> Platform:
    """Return a platform in memory but for its records."""
    log = MemoryLog()
    folder.mkdir(exist_ok=True)
    records = open_sqlite(folder / "records.sqlite", log.clock)
    return Platform(records, Tables(), log, settings or Settings(), log.clock)  # type: ignore[arg-type]


def limited(**limits: int) -> Settings:
    """Return settings with other limits."""
    return Settings(limits=LimitSettings(**limits), detection=DetectionSettings(patience_s=1e-6, grace_s=86_400))


def compose() -> Pipeline:
    return app.compose()


def drain(worker: Worker, most: int = 1_000) -> None:
    """Let a worker do all that waits."""
    for _ in range(most):
        if not worker.step() and not worker.waits and not any(len(queue) for queue in worker.queues):
            return
    raise AssertionError("the worker does not come to an end")


def incidents(of: Platform, tenant: str = "default") -> dict[str, dict[str, Any]]:
    """Return the records of incidents."""
    return {row.key: msgspec.json.decode(row.body) for row in of.records.page(tenant, INCIDENTS, Query()).rows}


def told(of: Platform) -> list[dict[str, Any]]:
    """Return the events of the feed without what names groups, which depend on when the worker looks."""
    topic = of.log.topic(FEED_TOPIC)
    return [msgspec.json.decode(each.data) | {"source": ""} for each in topic.read(0, 10_000)]


def clocked(times: list[float]) -> Callable[[], float]:
    """Return a clock that a test sets by its list's only item."""
    return lambda: times[0]
