from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from litestar.testing import TestClient

from api_platform import of
from infraspectre.api.frame import Api
from infraspectre.api.heavy import MOST_WAITING, PART, THREADS, part_of
from infraspectre.api.routes import analysis
from infraspectre.serving.platform import Platform

FLOW = {
    "orig_ip": "10.0.0.1",
    "resp_ip": "10.0.0.2",
    "resp_port": 22,
    "protocol": "tcp",
    "started_at": "2026-01-05T08:00:00Z",
    "ended_at": "2026-01-05T08:00:01Z",
}
MOST = THREADS + MOST_WAITING


class Gate:
    """Stands for detection that takes as long as a test wants."""

    def __init__(self) -> None:
        self.opened, self.lock = threading.Event(), threading.Lock()
        self.now = self.most = 0

    def __call__(self, *given: Any) -> tuple[list[Any], list[Any]]:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        assert self.opened.wait(20)
        with self.lock:
            self.now -= 1
        return [], []


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate()
    monkeypatch.setattr(analysis, "detect", gate)
    yield gate
    gate.opened.set()


def test_whatever_much_long_work_is_asked_for_the_rest_is_answered(
    asking: TestClient[Api], stored: Platform, gate: Gate
) -> None:
    headers = of(stored)

    def ask(_: int) -> tuple[int, str | None]:
        answer = asking.post("/api/v1/detect", json={"flows": [FLOW]}, headers=headers)
        if answer.status_code == 503:
            assert answer.json()["type"].endswith("/overloaded")
            refused.release()
        return answer.status_code, answer.headers.get("retry-after")

    refused = threading.Semaphore(0)
    with ThreadPoolExecutor(MOST + 3) as threads:
        answers = [threads.submit(ask, number) for number in range(MOST + 3)]
        for _ in range(3):
            assert refused.acquire(timeout=20), "beyond the bound it is refused at once"
        assert asking.get("/api/v1/flows", headers=headers).status_code == 200, "what takes a thread, too, goes on"
        assert (
            'infraspectre_http_refused_total{reason="too much long work"} 3.0' in stored.metrics.exposition().decode()
        )
        gate.opened.set()
        found = [answer.result() for answer in answers]
    assert sorted(found) == sorted([(200, None)] * MOST + [(503, "2")] * 3)
    assert gate.most == THREADS
    assert asking.post("/api/v1/detect", json={"flows": [FLOW]}, headers=headers).status_code == 200


def test_lines_are_made_in_parts() -> None:
    lines = iter([b"line\n"] * (PART + 1))
    assert [len(part_of(lines)) for _ in range(3)] == [5 * PART, 5, 0]
