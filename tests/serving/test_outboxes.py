from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from infraspectre.adapters.outgoing import outgoing_client
from infraspectre.adapters.record_store import open_sqlite
from infraspectre.records.delivery import Destination
from infraspectre.serving import outboxes
from infraspectre.serving.destinations import Destinations, webhook_keys
from infraspectre.serving.outboxes import MOST_OF_TENANT, Outboxes
from infraspectre.serving.platform import Platform
from log_fakes import MemoryLog, SetClock
from receivers import LOOPBACK, Reply, Request, happen, receiver


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    clock = SetClock()
    records = open_sqlite(tmp_path / "records.db", clock)
    yield Platform(records, None, MemoryLog(clock), clock=clock, outgoing=outgoing_client(LOOPBACK, ("http",)))  # type: ignore[arg-type]
    records.close()


def register(platform: Platform, tenant: str, key: str, url: str) -> None:
    destination = Destination(key=key, kind="webhook", name="", url=url, created_at=0, batch=20)
    Destinations(platform, tenant).add(destination, str(webhook_keys()))


def until(holds: object) -> None:
    assert callable(holds)
    limit = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < limit
        time.sleep(0.01)


def test_started_it_sends_what_happens_until_it_is_stopped(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outboxes, "LOOK_S", 0.01)
    with receiver() as there:
        register(platform, "default", "wh_1", there.url)
        sender = Outboxes(platform)
        sender.start()
        happen(platform.log, 3)  # type: ignore[arg-type]
        until(lambda: len(there.requests) == 3)
        happen(platform.log, 2)  # type: ignore[arg-type]
        until(lambda: len(there.requests) == 5)
        sender.stop()
    assert Destinations(platform, "default").progress("wh_1").delivered == 5
    told = platform.metrics.exposition().decode()
    assert 'infraspectre_outbox_events_total{kind="webhook",outcome="delivered"} 5.0' in told


def test_slow_receivers_of_one_tenant_leave_room_for_others(platform: Platform) -> None:
    free, waiting = threading.Event(), threading.Semaphore(0)

    def answer(request: Request) -> Reply:
        if request.path == "/slow":
            waiting.release()
            free.wait(20)
        return Reply()

    with receiver(answer) as there:
        for number in range(MOST_OF_TENANT + 2):
            register(platform, "slow", f"wh_{number}", f"{there.url}/slow")
        register(platform, "quick", "wh_q", f"{there.url}/quick")
        happen(platform.log, 1, tenant="slow")  # type: ignore[arg-type]
        happen(platform.log, 1, tenant="quick")  # type: ignore[arg-type]
        sender = Outboxes(platform)
        sender.look()
        for _ in range(MOST_OF_TENANT):
            assert waiting.acquire(timeout=20)
        until(lambda: Destinations(platform, "quick").progress("wh_q").delivered == 1)
        assert sum(each.path == "/slow" for each in there.requests) == MOST_OF_TENANT
        free.set()
        sender.finish()


def test_a_receiver_that_never_answers_costs_no_other_anything(platform: Platform) -> None:
    free = threading.Event()

    def answer(request: Request) -> Reply:
        if request.path == "/hangs":
            free.wait(20)
        return Reply()

    assert platform.outgoing
    platform.outgoing.timeout = 0.2
    with receiver(answer) as there:
        register(platform, "default", "wh_h", f"{there.url}/hangs")
        register(platform, "default", "wh_q", there.url)
        happen(platform.log, 2)  # type: ignore[arg-type]
        sender = Outboxes(platform)
        sender.look()
        sender.finish()
        free.set()
    known = Destinations(platform, "default")
    assert known.progress("wh_q").delivered == 2
    hung = known.progress("wh_h")
    assert (hung.taken, hung.delivered, hung.failures) == (0, 0, 1), "its events wait in the log"
    assert 'infraspectre_outbox_failures_total{kind="webhook"} 1.0' in platform.metrics.exposition().decode()


def test_a_receiver_whose_secret_cannot_be_opened_harms_no_other(platform: Platform) -> None:
    with receiver() as there:
        register(replace(platform, token_key=b"x" * 32), "default", "wh_1", there.url)
        register(platform, "default", "wh_2", there.url)
        happen(platform.log, 1)  # type: ignore[arg-type]
        sender = Outboxes(platform)
        sender.look()
        sender.finish()
    known = Destinations(platform, "default")
    assert (known.progress("wh_1").delivered, known.progress("wh_2").delivered) == (0, 1)
