"""How soon comparable incidents and the graph are there among many, also against a page of the list."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np

from benches.records import COUNT, SEED, START, TENANT, YEAR, Clock, filled, timed
from benches.report import Figure, Report, Table
from infraspectre.adapters.record_store import SqlRecordStore, open_sqlite
from infraspectre.intel.indicators import read_indicators
from infraspectre.records.collections import INCIDENTS
from infraspectre.records.queries import Order, Query
from infraspectre.records.times import UNITS
from infraspectre.serving.exploring import Explorer, Place
from infraspectre.serving.investigation import Investigation
from infraspectre.serving.platform import Platform

ROUNDS = 30
METHOD = "Each question is asked for 30 incidents or their hosts; times are those of the processor."


def measure() -> Report:
    """Fill a store in a temporary folder and ask it all questions."""
    with tempfile.TemporaryDirectory() as folder:
        store = open_sqlite(Path(folder) / "records.db", Clock())
        filled(store)
        report = answered(store)
        store.close()
    return report


def answered(store: SqlRecordStore) -> Report:
    """Ask all questions."""
    platform: Any = SimpleNamespace(records=store, intelligence=read_indicators([]))
    draw, page = random.Random(SEED), store.page(TENANT, INCIDENTS, Query(order=Order("last_seen", True), limit=1_000))
    chosen = draw.sample(page.rows, ROUNDS)
    listed = [timed(lambda: store.page(TENANT, INCIDENTS, Query(order=Order("value", True))))[0] for _ in chosen]
    reference = float(np.quantile(listed, 0.95))
    asked = {name: [timed(partial(ask, platform, row))[0] for row in chosen] for name, ask in QUESTIONS.items()}
    rows = [
        (name, f"{np.median(took):.1f}", f"{np.quantile(took, 0.95):.1f}", f"{np.quantile(took, 0.95) / reference:.1f}")
        for name, took in asked.items()
    ]
    worst = max(float(np.quantile(took, 0.95)) for took in asked.values())
    return Report(
        [Figure("incidents", COUNT), Figure("slowest question, p95", worst, "ms", "1000", "250")],
        [Table("By question", ("question", "p50 ms", "p95 ms", "p95 against a page of the list"), rows)],
        [METHOD],
    )


def explorer(platform: Platform, days: int = 30) -> Explorer:
    """Return what draws the last days of the year of incidents."""
    return Explorer(platform, TENANT, START + YEAR - days * UNITS["d"])


def host(row: Any) -> Place:
    """Return a host of an incident."""
    return Place("host", msgspec.json.decode(row.body)["entities"][0])


QUESTIONS: dict[str, Callable[[Platform, Any], object]] = {
    "similar incidents": lambda platform, row: Investigation(platform, TENANT, row).similar(),
    "graph around a host, one step": lambda platform, row: explorer(platform).around(host(row), 1, 500),
    "graph around a host, two steps": lambda platform, row: explorer(platform).around(host(row), 2, 500),
    "graph around a host, three steps": lambda platform, row: explorer(platform).around(host(row), 3, 500),
    "the whole picture, 10,000 nodes": lambda platform, _: explorer(platform).everything(10_000),
}
