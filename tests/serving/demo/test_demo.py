"""The demonstration: what is played, how the analyst judges it, and that nobody else reaches it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import polars as pl
import pytest
from msgspec.structs import replace

from infraspectre.client.operations import IncidentSummary
from infraspectre.errors import UsageError
from infraspectre.records.times import NANOSECONDS, rfc3339
from infraspectre.serving.demo import demo_settings, traffic
from infraspectre.serving.demo.analyst import OLD_S, due, verdict_of
from infraspectre.serving.demo.traffic import Attack, Traffic
from infraspectre.settings import LogSettings, ServerSettings, Settings, StoreSettings
from log_fakes import SetClock

NOW = 1_800_000_000 * NANOSECONDS
SECONDS = NANOSECONDS


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Traffic:
    """Traffic of a day that lasts an hour."""
    monkeypatch.setattr(traffic, "DAY_S", traffic.HOUR_S)
    clock = SetClock()
    clock.time = NOW
    return Traffic(tmp_path, clock, Event(), with_day=True)


def test_the_day_ends_now_and_what_follows_takes_its_time(played: Traffic, tmp_path: Path) -> None:
    frames: list[pl.DataFrame] = []
    while (batch := played.read(0.0)) is not None or not frames:
        frames += [] if batch is None else [batch.frame]
    day = pl.concat(frames, how="diagonal_relaxed").filter(pl.col("started_at") < NOW)
    assert len(day) > 500
    assert NOW - 3_600 * SECONDS <= int(day["started_at"].min()) < NOW - 3_000 * SECONDS  # type: ignore[arg-type]
    assert NOW - 60 * SECONDS < int(day["started_at"].max()) < NOW  # type: ignore[arg-type]
    assert played.attacks
    hosts = set(day["orig_ip"]) | set(day["resp_ip"])
    assert all(each.hosts & hosts for each in played.attacks if each.last_seen < NOW)
    began = time.monotonic()
    while played.read(0.2) is not None:
        assert time.monotonic() < began + 10, "what happens now is played at its pace"
    played.stop()
    assert played.read(0.2) is None
    assert played.is_done


def incident(**changes: Any) -> IncidentSummary:
    seen = {"first_seen": rfc3339(NOW - 9_000 * SECONDS), "last_seen": rfc3339(NOW - 8_000 * SECONDS)}
    whole = IncidentSummary(
        "i1", "Scan", "high", 70.0, 60.0, 80.0, 0.9, "new", "", "", "", "", rfc3339(NOW), ["10.0.0.1", "10.0.0.2"], [],
        [], "", "", 1,
    )  # fmt: skip
    return replace(whole, **{**seen, **changes})


ATTACK = Attack("fast scan", frozenset({"10.0.0.1", "10.0.0.2"}), NOW - 9_500 * SECONDS, NOW - 8_500 * SECONDS)


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "true_positive"),
        ({"entities": ["10.0.0.2", "10.0.0.3"]}, "benign"),
        ({"first_seen": rfc3339(NOW - 2_000 * SECONDS), "last_seen": rfc3339(NOW - 1_000 * SECONDS)}, "benign"),
    ],
)
def test_an_incident_is_judged_by_what_was_played(changes: dict[str, Any], verdict: str) -> None:
    given = verdict_of(incident(**changes), [ATTACK])
    assert given.verdict == verdict
    assert ("fast scan" in str(given.comment)) == (verdict == "true_positive")


def test_what_happens_now_is_left_to_people_and_some_of_the_rest() -> None:
    recent = incident(last_seen=rfc3339(NOW - int((OLD_S - 1) * SECONDS)))
    assert list(due(iter([recent]), NOW)) == []
    old = [incident(incident_id=f"i{number}") for number in range(200)]
    assert 100 < len(list(due(iter(old), NOW))) < 190


def test_nobody_else_reaches_it_and_nothing_of_another_platform_is_touched(tmp_path: Path) -> None:
    given = Settings(
        server=ServerSettings(port=9, certificate_file="server.pem", grpc_port=7),
        log=LogSettings(folder="/var/lib/log"),
        store=StoreSettings(folder="/var/lib/store", postgres_file="secret"),
    )
    chosen = demo_settings(given, tmp_path, 0)
    assert (chosen.server.host, chosen.sensors.host, chosen.server.grpc_port) == ("127.0.0.1", "127.0.0.1", None)
    assert (chosen.log.folder, chosen.store.folder, chosen.store.postgres_file) == ("", "", "")
    assert Path(chosen.models.registry).is_relative_to(tmp_path)
    with pytest.raises(UsageError, match="for this machine alone"):
        demo_settings(replace(given, server=ServerSettings(host="0.0.0.0")), tmp_path, 0)


def test_a_newcomer_sees_incidents_and_afterwards_nothing_remains(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "infraspectre.cli", "serve", "--demo", "--json"]
    with (tmp_path / "log").open("w") as log:
        running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
    try:
        assert running.stdout
        told = json.loads(running.stdout.readline())
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", told["url"])
        with httpx.Client(base_url=told["url"], timeout=60.0) as client:
            login = {"user": told["user"], "password": told["password"]}
            token = client.post("/api/v1/sessions", json=login).json()["access_token"]
            headers = {"authorization": f"Bearer {token}"}
            deadline = time.monotonic() + 240
            while not client.get("/api/v1/incidents", headers=headers).json()["items"]:
                assert time.monotonic() < deadline, (tmp_path / "log").read_text()
                time.sleep(0.2)
            assert client.get("/api/v1/flows", params={"limit": 1}, headers=headers).json()["items"]
            [version] = client.get("/api/v1/models/site-flows/versions", headers=headers).json()
            assert version["moves"][-1]["stage"] == "production"
        running.send_signal(signal.SIGTERM)
        assert running.wait(60) == 0
    finally:
        running.kill()
        running.communicate()
    assert told["password"] not in (tmp_path / "log").read_text()
    assert [each.name for each in tmp_path.iterdir()] == ["log"]
    assert tempfile.gettempdir() != str(tmp_path)
