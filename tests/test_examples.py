"""The examples do what they say: each runs, on real data or against what it will meet."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import httpx
import pytest
from litestar.testing import TestClient
from standardwebhooks.webhooks import Webhook

from api_fakes import key_of
from api_platform import close_platform, fill, open_platform
from infraspectre.api.app import make_app
from infraspectre.client import Client
from infraspectre.client.operations import NewVerdict
from infraspectre.records.collections import INCIDENTS, incident_record
from infraspectre.serving.platform import Platform

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def example(name: str) -> ModuleType:
    spec = spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def platform(tmp_path: Path, analyzed: Path) -> Iterator[Platform]:
    platform = open_platform(tmp_path)
    [beacon] = [each for each in fill(platform, analyzed) if "Beacon" in each["title"]]
    for n in range(4):  # the same, four times more
        identity = f"{n}" * 20
        platform.records.put("default", INCIDENTS, identity, incident_record({**beacon, "incident_id": identity}))
    yield platform
    close_platform(platform)


def test_triage_follows_similar_verdicts_alone(platform: Platform) -> None:
    triage = example("triage")
    with TestClient(make_app(platform)) as http:
        client = Client("http://testserver", str(key_of(platform)), http=http)
        assert {outcome for _, outcome in triage.triage(client)} == {"left to a person"}
        for n in range(3):
            client.give_verdict(f"{n}" * 20, NewVerdict(verdict="false_positive"))
        outcomes = [outcome for title, outcome in triage.triage(client) if "Beacon" in title]
        assert outcomes == ["false positive", "false positive"]
        given = client.list_incidents(filter=["verdict=false_positive"]).items
    assert len(given) == 5


def test_a_custom_detector_takes_part(capsys: pytest.CaptureFixture[str]) -> None:
    module = example("custom_detector")
    found = module.incidents(str(EXAMPLES / "sample.pcap.gz"))
    assert any("Port scan" in each.incident.title for each in found)
    module.PORTS[22] = "SSH"  # the sample has no clear-text logins, but SSH
    more = module.incidents(str(EXAMPLES / "sample.pcap.gz"))
    detectors = {each.detector for decision in more for each in decision.incident.detections}
    assert {"scan", "clear_text_login"} <= detectors


def test_a_webhook_is_taken_once_and_only_if_genuine(capsys: pytest.CaptureFixture[str]) -> None:
    receiver = example("webhook_receiver").Receiver(0, SECRET)
    thread = threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        body = json.dumps({"type": "incident.raised", "data": {"severity": "high", "subject": "c1f0"}})
        now = time.time()
        answers = [
            post(receiver.server_port, body, "m1", now),
            post(receiver.server_port, body, "m1", now),
            post(receiver.server_port, body, "m2", now - 3_600),
            post(receiver.server_port, body.replace("high", "low"), "m3", now, signed=body),
            post(receiver.server_port, body, "m4", now),
        ]
    finally:
        receiver.shutdown()
        thread.join()
        receiver.server_close()
    assert answers == [204, 204, 401, 401, 204]
    assert capsys.readouterr().out == "incident.raised high c1f0\n" * 2


def post(port: int, body: str, identity: str, at: float, signed: str = "") -> int:
    """Send a message as any library of Standard Webhooks does; return the status."""
    signature = Webhook(SECRET).sign(identity, datetime.fromtimestamp(at, UTC), signed or body)
    headers = {"webhook-id": identity, "webhook-timestamp": str(int(at)), "webhook-signature": f"v1a,AAAA {signature}"}
    return httpx.post(f"http://127.0.0.1:{port}/", content=body, headers=headers, trust_env=False).status_code


def test_the_stream_is_followed_from_where_it_stopped(tmp_path: Path) -> None:
    asked: list[str | None] = []
    event = {"at": "2026-01-01T10:00:00Z", "severity": "high", "kind": "incident.raised", "data": {"title": "Beacon"}}

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers.get("last-event-id"))
        told = json.dumps({"events": [event]})
        return httpx.Response(200, text="".join(f"event: events\nid: e.{n}\ndata: {told}\n\n" for n in (1, 2)))

    for _ in range(2):
        http = httpx.Client(transport=httpx.MockTransport(answer), base_url="http://127.0.0.1")
        lines = example("follow_stream").grave(http, "isk_x", tmp_path / "position")
        assert [next(lines), next(lines)] == ["2026-01-01T10:00:00Z  high      Beacon"] * 2
    assert asked == [None, "e.1"]
