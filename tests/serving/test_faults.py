"""What fails, one at a time, in a worker on real stores: the rest goes on, and every flow is accounted for."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from infraspectre.adapters.column_store.store import ParquetTables
from infraspectre.adapters.record_store import open_sqlite
from infraspectre.records.feed import FLOWS_TOPIC
from infraspectre.serving.breakers import Breaker
from infraspectre.serving.platform import Platform
from infraspectre.serving.worker import Worker
from infraspectre.serving.working import Composition
from infraspectre.settings import DetectionSettings, Settings
from infraspectre.soma.scan import Scan
from log_fakes import MemoryLog
from serving_fakes import compose, deliver, drain, entry, incidents, sample_flows, told


@pytest.fixture(scope="module")
def flows() -> pl.DataFrame:
    return sample_flows()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Platform]:
    log = MemoryLog()
    records = open_sqlite(tmp_path / "records.sqlite", log.clock, wait_s=0.01)
    tables = ParquetTables(tmp_path / "tables", log.clock)
    yield Platform(records, tables, log, Settings(), log.clock)
    records.close()
    tables.close()


def worker_of(site: Platform, folder: Path, composition: Any = compose) -> Worker:
    """Return a worker whose outlets are tried again at each step."""
    worker = Worker(site, composition, folder / "worker", now=count(step=1.0).__next__)
    for queue in worker.queues:
        queue.breaker = Breaker(queue.name, failures=1, wait_s=0.0)
    return worker


def kept(site: Platform) -> list[int]:
    """Return the flows in the table."""
    parts = site.tables.scan("default", "flows", 0, 1 << 62, ["flow_id"])
    return sorted(flow for part in parts for flow in part["flow_id"])


def sent(flows: pl.DataFrame) -> list[int]:
    return sorted(flows["flow_id"].to_list())


def is_exact(worker: Worker) -> bool:
    """Tell whether what came in is what was done, shed and waits."""
    account = worker.learnt.account
    return account.taken == account.done + sum(account.shed.values()) + worker.backlog.flows


def test_a_detector_that_raises_is_left_alone_and_told_of(
    site: Platform, flows: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Scan, "detect", lambda *_: 1 / 0)
    composition = Composition(Settings())
    worker = worker_of(site, tmp_path, composition)
    deliver(site.log, flows)  # type: ignore[arg-type]
    drain(worker)
    broken = {each.name: each.error for each in composition.breakers if each.state != "closed"}
    assert broken == {"detector scan": "ZeroDivisionError: division by zero"}
    assert incidents(site), "the other detectors go on"
    assert kept(site) == sent(flows)
    assert worker.failures == 0
    assert is_exact(worker)


def test_a_model_that_cannot_be_read_is_left_out_and_told_of(
    site: Platform, flows: pl.DataFrame, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "manifest.json").write_text("{")
    composition = Composition(Settings(detection=DetectionSettings(models=(str(model), "builtin:dga"))))
    assert [each.name for each in composition.breakers if each.state != "closed"] == [f"model {model}"]
    worker = worker_of(site, tmp_path, composition)
    deliver(site.log, flows)  # type: ignore[arg-type]
    drain(worker)
    assert incidents(site)
    assert is_exact(worker)


def test_a_disk_that_is_full_for_tables_holds_up_nothing_else(
    site: Platform, flows: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = worker_of(site, tmp_path)
    half = len(flows) // 2
    with monkeypatch.context() as full:
        fill_disk(full, tmp_path / "tables")
        deliver(site.log, flows[:half])  # type: ignore[arg-type]
        for _ in range(5):
            worker.step()
        broken = {queue.name: queue.breaker.error for queue in worker.queues if queue.breaker.state != "closed"}
        assert broken.keys() == {"flows", "detections"}
        assert all("space" in error for error in broken.values())
        assert incidents(site)
        assert told(site)
        assert is_exact(worker)
        assert not worker.save(), "what is in no table is worked on again after a crash"
    site.log.topic(FLOWS_TOPIC).append([entry(flows[half:], 99)])
    drain(worker)
    assert kept(site) == sent(flows), "nothing is lost or doubled once there is space again"
    assert is_exact(worker)


def fill_disk(patched: pytest.MonkeyPatch, folder: Path) -> None:
    """Let every write below a folder fail as on a full disk."""
    write = os.write

    def full(handle: int, data: bytes) -> int:
        if Path(f"/proc/self/fd/{handle}").readlink().is_relative_to(folder):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(handle, data)

    patched.setattr(os, "write", full)


def test_records_that_another_program_holds_hold_up_nothing_else(
    site: Platform, flows: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = worker_of(site, tmp_path)
    with sqlite3.connect(tmp_path / "records.sqlite", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        deliver(site.log, flows)  # type: ignore[arg-type]
        for _ in range(5):
            worker.step()
        broken = {queue.name: queue.breaker.error for queue in worker.queues if queue.breaker.state != "closed"}
        assert broken.keys() == {"incidents"}
        assert "is being written by another program" in broken["incidents"]
        assert kept(site) == sent(flows)
        assert told(site)
        other.execute("ROLLBACK")
    other.close()
    assert not incidents(site)
    drain(worker)
    assert {event["subject"] for event in told(site) if event["kind"] == "incident.raised"} == set(incidents(site))
    assert incidents(site)
    assert is_exact(worker)
