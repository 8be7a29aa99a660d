from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from infraspectre.errors import UsageError
from infraspectre.serving.supervisor import LEARNING_S, SILENCE_S, Child, only_one
from infraspectre.settings import Settings
from serving_fakes import clocked

READY = '{"state":"ready","urls":{"api":"http://x"}}'
ECHO = """import sys; print('{"state":"ready","urls":{"api":"' + url + '"}}', flush=True); sys.stdin.readlines()"""
WELL = f"import sys; sys.stdin.readline(); print('{READY}', flush=True); sys.stdin.readline()"
STUBBORN = f"import signal, time; signal.signal(15, signal.SIG_IGN); print('{READY}', flush=True); time.sleep(60)"
BROKEN = "raise SystemExit(3)"
GARBAGE = "import sys; print('no json'); print('x' * 1_000_000); print('{}', flush=True); sys.stdin.readlines()"


@pytest.fixture
def children() -> Iterator[list[Child]]:
    made: list[Child] = []
    yield made
    for child in made:
        if child.process is not None:
            child.process.kill()
            child.end(0.0)


def started(children: list[Child], program: str, times: list[float]) -> Child:
    child = Child("worker", clocked(times), (sys.executable, "-c", program))
    children.append(child)
    child.start(Settings())
    return child


def until(condition: Callable[[], bool], child: Child) -> None:
    for _ in range(1_000):
        child.listen()
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never came to pass")


@pytest.mark.parametrize(("given", "told"), [(None, "1"), ("3", "3")])
def test_products_have_one_thread_unless_somebody_says_otherwise(
    children: list[Child], monkeypatch: pytest.MonkeyPatch, given: str | None, told: str
) -> None:
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    if given:
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", given)
    child = started(children, f"import os; url = os.environ['OPENBLAS_NUM_THREADS']; {ECHO}", [0.0])
    until(lambda: child.is_ready, child)
    assert child.report is not None
    assert child.report.urls == {"api": told}


def test_a_process_reports_and_stops_when_it_is_asked(children: list[Child]) -> None:
    child = started(children, WELL, [0.0])
    assert not child.is_ready
    until(lambda: child.is_ready, child)
    assert child.report
    assert child.report.urls == {"api": "http://x"}
    child.stop()
    assert child.end(10.0)
    assert not child.is_running


def test_one_that_does_not_stop_in_time_is_ended(children: list[Child], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infraspectre.serving.supervisor.KILL_S", 0.1)
    child = started(children, STUBBORN, [0.0])
    until(lambda: child.is_ready, child)
    child.stop()
    assert not child.end(0.0)
    assert child.process is None


def test_one_that_ends_is_due_after_a_wait_that_doubles_until_it_is_steady(children: list[Child]) -> None:
    times = [0.0]
    child = started(children, BROKEN, times)
    waits = []
    for _ in range(3):
        until(lambda: not child.is_running, child)
        child.bury()
        begun = times[0]
        while not child.is_due:
            times[0] += 0.25
        waits.append(times[0] - begun)
        child.start(Settings())
    assert waits == [0.5, 1.0, 2.0]
    until(lambda: not child.is_running, child)
    times[0] += 60.0
    child.bury()
    assert child.is_due
    assert child.restarts == 4


def test_silence_is_taken_for_hanging_sooner_once_it_was_ready(children: list[Child]) -> None:
    times = [0.0]
    child = started(children, WELL, times)
    times[0] = SILENCE_S + 1
    assert not child.hangs
    until(lambda: child.is_ready, child)
    assert not child.hangs
    starting = started(children, GARBAGE, times)
    times[0] += SILENCE_S + 1
    assert [each.hangs for each in (child, starting)] == [True, False]
    times[0] += LEARNING_S
    assert [each.hangs for each in (child, starting)] == [True, True]


def test_what_is_no_report_is_ignored_within_bounds(children: list[Child]) -> None:
    child = started(children, GARBAGE, [0.0])
    for _ in range(50):
        child.listen()
        time.sleep(0.005)
    assert child.report is None
    assert len(child._rest) <= 1 << 16


def test_two_never_run_on_one_folder(tmp_path: Path) -> None:
    with only_one(tmp_path), pytest.raises(UsageError, match=f"in use by process {os.getpid()}"), only_one(tmp_path):
        pass
    with only_one(tmp_path):
        pass


def serve(tmp_path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "infraspectre.cli", "serve", "--data", str(tmp_path), "--port", "0", "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def children_of(process: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def both(supervisor: int, without: int = 0) -> list[int]:
    """Wait until server and worker run, and return them."""
    deadline = time.monotonic() + 60
    while len(now := children_of(supervisor)) < 2 or without in now:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return sorted(now)


@pytest.mark.parametrize("fault", ["port", "certificate"])
def test_what_can_never_start_is_not_tried_again(tmp_path: Path, fault: str) -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as taken:
        server = {"port": taken.getsockname()[1]} if fault == "port" else {"port": 0, "certificate_file": "/none.pem"}
        config = tmp_path / "infraspectre.yaml"
        config.write_text(json.dumps({"data": {"folder": str(tmp_path / "data")}, "server": server}))
        command = [sys.executable, "-m", "infraspectre.cli", "serve", "--config", str(config)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert f"server.{fault}" in ended.stderr
    assert "Traceback" not in ended.stderr


def answers(url: str) -> bool:
    """Wait until something answers at an address."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(httpx.TransportError):
            return httpx.get(url).status_code == 200
        time.sleep(0.05)
    return False


def test_the_platform_starts_survives_a_killed_process_and_stops(tmp_path: Path) -> None:
    """Run it as users do: no other service, a port that the system chose, kill -9, and SIGTERM."""
    running = serve(tmp_path / "data")
    try:
        assert running.stdout
        url = json.loads(running.stdout.readline())["url"]
        assert httpx.get(f"{url}/health/live").status_code == 200
        second = serve(tmp_path / "data")
        _, told = second.communicate(timeout=30)
        assert second.returncode == 2
        assert f"in use by process {running.pid}" in told
        for place in (1, 0):
            killed = both(running.pid)[place]
            os.kill(killed, signal.SIGKILL)
            assert killed not in both(running.pid, without=killed)
        assert answers(f"{url}/health/live"), "a port that the system chose stays"
        running.send_signal(signal.SIGTERM)
        _, log = running.communicate(timeout=40)
        assert running.returncode == 0, log
        assert '"status": -9' in log
        assert all(json.loads(line) for line in log.splitlines())
    finally:
        running.kill()
        running.communicate()
    assert not [each for each in children_of(os.getpid()) if each == running.pid]
