"""The stream of a real server, followed by real clients over loopback."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from benches.stream_server import new_key
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from api.stream.stream_fakes import event
from infraspectre.adapters.log.local import LocalLog
from infraspectre.records.feed import FEED_TOPIC
from log_fakes import SetClock

ROOT = Path(__file__).parents[3]


@dataclass
class Site:
    """A folder with a log that the test writes, and a server process that reads it."""

    folder: Path
    port: int
    keys: dict[str, str]
    log: LocalLog
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self) -> None:
        command = [sys.executable, "-m", "benches.stream_server", str(self.folder), str(self.port)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment())
        self.processes.append(process)
        assert process.stdout
        assert process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        self.processes[-1].kill()
        self.processes[-1].wait(10)

    def publish(self, *events: bytes) -> None:
        self.log.topic(FEED_TOPIC).append(events).result(10)

    def headers(self, tenant: str = "default") -> dict[str, str]:
        return {"authorization": f"Bearer {self.keys[tenant]}"}

    def follow(self, tenant: str = "default", **options: Any) -> ClientConnection:
        url = f"ws://127.0.0.1:{self.port}/api/v1/stream"
        client: ClientConnection = connect(url, additional_headers=self.headers(tenant), compression=None, **options)
        return client

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/v1"


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    keys = {tenant: new_key(folder, tenant) for tenant in ("default", "other")}
    site = Site(folder, free_port(), keys, LocalLog(folder / "log", SetClock()))
    site.publish(event(0))
    site.start()
    yield site
    for process in site.processes:
        process.send_signal(signal.SIGTERM)
        process.wait(10)
        if process.stdout:
            process.stdout.close()
    site.log.close()


def ask(socket: ClientConnection, kind: str, **fields: Any) -> None:
    socket.send(json.dumps({"type": kind, **fields}))


def messages(socket: ClientConnection) -> Iterator[dict[str, Any]]:
    while True:
        yield from json.loads(socket.recv(10))


def numbers_of(found: Iterator[dict[str, Any]], count: int) -> tuple[list[int], str]:
    """Return the numbers of so many events, and the position behind them."""
    numbers: list[int] = []
    for message in found:
        numbers += [each["data"]["number"] for each in message.get("events", [])]
        if len(numbers) >= count:
            return numbers, message["position"]
    raise AssertionError("the stream ended")


def test_events_arrive_over_a_websocket_and_only_those_of_the_tenant(site: Site) -> None:
    with site.follow() as mine, site.follow("other") as others:
        for each in (mine, others):
            ask(each, "subscribe", id="a")
            assert next(messages(each))["type"] == "subscribed"
        site.publish(event(1), event(2, tenant="other"), event(3))
        assert numbers_of(messages(mine), 2)[0] == [1, 3]
        assert numbers_of(messages(others), 1)[0] == [2]


def test_who_is_not_known_or_may_not_read_gets_no_socket(site: Site) -> None:
    url = f"ws://127.0.0.1:{site.port}/api/v1/stream"
    with pytest.raises(InvalidStatus) as refused:
        connect(url)
    assert refused.value.response.status_code in (401, 403)


def test_browsers_offer_their_key_as_a_protocol(site: Site) -> None:
    url = f"ws://127.0.0.1:{site.port}/api/v1/stream"
    offered: Any = ["infraspectre", f"bearer.{site.keys['default']}"]
    with connect(url, subprotocols=offered) as socket:
        assert socket.subprotocol == "infraspectre"
        ask(socket, "ping", note="x")
        assert next(messages(socket)) == {"type": "pong", "note": "x"}


def test_server_sent_events_resume_by_the_id_of_the_last(site: Site) -> None:
    url = f"{site.url}/stream?channel=network&filter=severity>=high"
    headers = {**site.headers(), "accept": "text/event-stream"}
    with httpx.Client() as client:
        with client.stream("GET", url, headers=headers) as answer:
            assert answer.headers["content-type"] == "text/event-stream"
            lines = answer.iter_lines()
            assert "event: subscribed" in (next(lines) for _ in range(5))
            site.publish(event(10, "high", "network"), event(11, "low", "network"))
            last, found = next_event(lines)
            assert found == [10]
        site.publish(event(12, "critical", "network"))
        with client.stream("GET", url, headers={**headers, "last-event-id": last}) as answer:
            assert next_event(answer.iter_lines())[1] == [12]


def next_event(lines: Iterator[str]) -> tuple[str, list[int]]:
    last = ""
    for line in lines:
        if line.startswith("id: "):
            last = line[4:]
        if line.startswith('data: {"type":"events"'):
            return last, [each["data"]["number"] for each in json.loads(line[6:])["events"]]
    raise AssertionError("the stream ended")


def test_bad_parameters_of_server_sent_events_are_problems(site: Site) -> None:
    queries = {
        "filter=nothing=1": 422,
        "resume=here": 422,
        "channel=weather": 400,
        "aggregate_s=-1": 400,
        "nothing=1": 400,
    }
    for query, status in queries.items():
        answer = httpx.get(f"{site.url}/stream?{query}", headers=site.headers())
        assert answer.status_code == status, query
        assert answer.headers["content-type"] == "application/problem+json"


def test_pages_of_the_feed_go_on_where_the_stream_was(site: Site) -> None:
    with site.follow() as socket:
        ask(socket, "subscribe", id="a", channels=["custom"])
        position = next(messages(socket))["position"]
    site.publish(*(event(number, channel="custom") for number in range(7)))
    found: list[int] = []
    while len(found) < 7:
        query = {"channel": "custom", "after": position, "limit": "3"}
        page = httpx.get(f"{site.url}/feed", params=query, headers=site.headers()).json()
        assert page["gap"] is None
        found += [each["data"]["number"] for each in page["items"]]
        position = page["next"]
    assert found == list(range(7))


def test_a_killed_server_loses_nothing_and_resumes_in_order(site: Site) -> None:
    with site.follow() as socket:
        ask(socket, "subscribe", id="a", channels=["behaviour"])
        found = messages(socket)
        position = next(found)["position"]
        site.publish(*(event(number, channel="behaviour") for number in range(5)))
        numbers, position = numbers_of(found, 5)
        site.kill()
        with pytest.raises((ConnectionClosed, TimeoutError)):
            next(found)
    site.publish(*(event(number, channel="behaviour") for number in range(5, 1_500)))
    site.start()
    with site.follow() as socket:
        ask(socket, "subscribe", id="a", channels=["behaviour"], resume=position)
        numbers += numbers_of(messages(socket), 1_495)[0]
    assert numbers == list(range(1_500))


def test_a_client_that_does_not_read_harms_nobody(site: Site) -> None:
    with site.follow(max_queue=1) as slow, site.follow() as quick:
        for each in (slow, quick):
            ask(each, "subscribe", id="a", channels=["system"])
            next(messages(each))
        found = messages(quick)
        for start in range(0, 1_200, 100):
            site.publish(*(event(start + n, channel="system", text="x" * 5_000) for n in range(100)))
            assert numbers_of(found, 100)[0] == list(range(start, start + 100))
