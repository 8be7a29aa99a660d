"""The way that users go: sensor, server, worker, incident, API, stream and verdict, with a worker that is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

import infraspectre
from conftest import SAMPLE

COMMAND = (sys.executable, "-m", "infraspectre.cli")
PASSWORD = "correct horse battery staple"
WAIT_S = 60.0


def run(*words: object, given: str = "") -> None:
    """Run a command to its end."""
    done = subprocess.run(
        [*COMMAND, *map(str, words)], input=given, capture_output=True, text=True, timeout=WAIT_S, check=False
    )
    assert done.returncode == 0, done.stderr


def until(found: Callable[[], Any]) -> Any:
    """Return what is found once it is."""
    deadline = time.monotonic() + WAIT_S
    while not (value := found()):
        assert time.monotonic() < deadline, "it never came to pass"
        time.sleep(0.05)
    return value


def settings(folder: Path) -> Path:
    """Write settings, certificates and an administrator; return the file of settings."""
    keys = folder / "certificates"
    run("certificates", "init", "--folder", keys)
    run("certificates", "issue", "main", "--role", "server", "--host", "127.0.0.1", "--folder", keys)
    run("certificates", "issue", "probe", "--folder", keys)
    given = {
        "data": {"folder": str(folder / "data")},
        "server": {"port": 0},
        "sensors": {
            "listen": True,
            "host": "127.0.0.1",
            "port": 0,
            "certificate_file": str(keys / "main.pem"),
            "key_file": str(keys / "main.key"),
            "authority_file": str(keys / "ca.pem"),
            "revocation_file": str(keys / "revoked.pem"),
        },
    }
    path = folder / "infraspectre.yaml"
    path.write_text(json.dumps(given))
    run("users", "add", "ada", "--role", "administrator", "--config", path, given=f"{PASSWORD}\n")
    return path


@contextmanager
def serving(config: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """Run the platform, and give it with its addresses; it has to stop in order."""
    with (config.parent / "serve.log").open("w+") as log:
        command = [*COMMAND, "serve", "--config", str(config), "--json"]
        running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert running.stdout
            yield running, json.loads(running.stdout.readline())["urls"]
            running.send_signal(signal.SIGTERM)
            assert running.wait(WAIT_S) == 0
        finally:
            running.kill()
            running.communicate()


def sensor(folder: Path, address: str) -> subprocess.Popen[str]:
    """Replay the bundled capture, a hundred times as fast as it was recorded."""
    keys = folder / "certificates"
    options = {"certificate": keys / "probe.pem", "key": keys / "probe.key", "ca": keys / "ca.pem"}
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    words += ["--spool", str(folder / "spool"), "--json"]
    return subprocess.Popen(
        [*COMMAND, "sensor", "--replay", str(SAMPLE), "--speed", "100", "--server", address, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def worker_of(supervisor: int) -> int:
    """Return the process of the worker, 0 while there is none."""
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    return next((int(each) for each in children if b"worker" in Path(f"/proc/{each}/cmdline").read_bytes()), 0)


class Listener(threading.Thread):
    """Keeps the events of a stream until the server ends it."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        super().__init__()
        self.url, self.headers = url, headers | {"accept": "text/event-stream"}
        self.events: list[dict[str, Any]] = []

    def run(self) -> None:
        with httpx.stream(
            "GET", self.url, params={"channel": "threat"}, headers=self.headers, timeout=WAIT_S
        ) as answer:
            for line in answer.iter_lines():
                if line.startswith("data:"):
                    self.events.append(json.loads(line.removeprefix("data:")))

    def told(self, incident: str) -> list[dict[str, Any]]:
        """Return what was told of an incident."""
        told = [event for each in list(self.events) for event in each.get("events", [])]
        return [event for event in told if event["subject"] == incident]


def categories(event: dict[str, Any]) -> set[str]:
    """Return the categories of the incident that an event tells of."""
    return {each["category"] for each in event["data"]["detections"]}


@contextmanager
def asking(url: str) -> Iterator[httpx.Client]:
    """Log in, and give a client of the API."""
    with httpx.Client(base_url=f"{url}/api/v1", timeout=WAIT_S) as http:
        login = http.post("/sessions", json={"user": "ada", "password": PASSWORD}).json()
        http.headers["authorization"] = f"Bearer {login['access_token']}"
        yield http


def listed(http: httpx.Client, what: str) -> list[dict[str, Any]]:
    """Return the first page of a list."""
    items: list[dict[str, Any]] = http.get(f"/{what}", params={"limit": 1000}).json()["items"]
    return items


def replay_and_kill(folder: Path, supervisor: int, address: str, http: httpx.Client) -> None:
    """Send the capture, killing the worker as soon as it has shown flows; all that was captured has to be sent."""
    with sensor(folder, address) as sending:
        until(lambda: listed(http, "flows"))
        killed = until(lambda: worker_of(supervisor))
        os.kill(killed, signal.SIGKILL)
        account, problems = sending.communicate(timeout=WAIT_S)
    assert sending.returncode == 0, problems
    spool = json.loads(account.splitlines()[-1])["spool"]
    assert spool["sent"] == spool["received"]
    until(lambda: worker_of(supervisor) not in (0, killed))


def test_from_a_sensor_to_a_verdict_with_a_worker_that_is_killed(tmp_path: Path) -> None:
    expected = infraspectre.analyze(SAMPLE)
    wanted = {"port_scan", "ssh_brute_force"}  # what comes after is told once an hour of traffic, or the end, is seen
    assert wanted <= {each.category for each in expected.incidents[0].incident.detections}
    config = settings(tmp_path)
    with serving(config) as (supervisor, urls), asking(urls["api"]) as http:
        listener = Listener(f"{urls['api']}/api/v1/stream", {"authorization": http.headers["authorization"]})
        listener.start()
        until(lambda: http.get("/health").json()["state"] == "ok")
        replay_and_kill(tmp_path, supervisor.pid, urls["sensors"], http)

        flows = until(lambda: len(found := listed(http, "flows")) >= len(expected.flows) and found)
        assert sorted(int(each["flow_id"]) for each in flows) == sorted(expected.flows["flow_id"])
        found = until(
            lambda: next((each for each in listed(http, "incidents") if wanted <= set(each["categories"])), None)
        )
        assert {"203.0.113.249", "10.20.0.13"} <= set(found["entities"])
        detections = [each["detection_id"] for each in listed(http, "detections")]
        assert len(detections) == len(set(detections))

        key = found["incident_id"]
        until(lambda: any(wanted <= categories(each) for each in listener.told(key)))
        assert [each["kind"] for each in listener.told(key)].count("incident.raised") == 1
        assert found["title"] in http.get(f"/incidents/{key}/report").text
        given = http.post(f"/incidents/{key}/verdicts", json={"verdict": "true_positive", "comment": "seen"})
        assert given.status_code == 201
        assert http.get(f"/incidents/{key}").json()["summary"]["verdict"] == "true_positive"
    listener.join(WAIT_S)
    assert not listener.is_alive()
