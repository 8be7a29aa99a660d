from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import pytest
from litestar.testing import TestClient

from api_fakes import key_of
from infraspectre.adapters.outgoing import outgoing_client
from infraspectre.adapters.record_store import open_sqlite
from infraspectre.api.app import make_app
from infraspectre.cli import integrations, run
from infraspectre.cli.watch import KEY_VARIABLE
from infraspectre.client import Client
from infraspectre.records.delivery import Destination, Program
from infraspectre.serving.destinations import Destinations, webhook_keys
from infraspectre.serving.platform import Platform
from infraspectre.settings import AccessSettings, Settings
from log_fakes import MemoryLog, SetClock
from receivers import LOOPBACK, Receiver, Reply, receiver

ANSWERS = {"/hook": Reply(204), "/busy": Reply(503)}


class Lasting(Client):
    """Is closed by nobody but the test."""

    def close(self) -> None:
        """Stay open."""


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver(lambda request: ANSWERS.get(request.path, Reply())) as there:
        yield there


@pytest.fixture(autouse=True)
def platform(tmp_path: Path, there: Receiver, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    clock = SetClock()
    records = open_sqlite(tmp_path / "records.db", clock)
    settings = Settings(access=AccessSettings(password_kib=32))
    outgoing = outgoing_client(LOOPBACK, ("http",))
    platform = Platform(records, None, MemoryLog(clock), settings, clock, outgoing=outgoing)  # type: ignore[arg-type]
    known = Destinations(platform, "default")
    for key, path in (("wh_1", "/hook"), ("wh_2", "/busy")):
        made = Destination(key=key, kind="webhook", name="", url=there.url + path, created_at=0)
        known.add(made, str(webhook_keys()))
    known.add(Destination(key="soc", kind="splunk", name="soc", url=there.url, created_at=0), "token")
    key = str(key_of(platform, "engineer"))
    with TestClient(make_app(platform)) as http:
        monkeypatch.setattr(integrations, "client_of", lambda _: Lasting("http://testserver", key, http=http))
        yield platform
    records.close()


def test_all_who_are_told_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["integrations", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(each["name"], each["kind"], each["state"]) for each in listed] == [
        ("wh_1", "webhook", "active"), ("wh_2", "webhook", "active"), ("soc", "splunk", "active"),
    ]  # fmt: skip
    assert run(["integrations", "list"]) == 0
    assert "splunk" in capsys.readouterr().out


def test_a_test_goes_the_real_way_and_tells_what_was_answered(
    there: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["integrations", "test", "wh_1"]) == 0
    assert run(["integrations", "test", "soc"]) == 0
    [hook, splunk] = there.requests
    assert json.loads(hook.body)["type"] == "receiver.test"
    assert (splunk.path, splunk.headers["authorization"]) == ("/services/collector/event", "Splunk token")
    assert run(["integrations", "test", "wh_2", "--json"]) == 1
    told = capsys.readouterr()
    assert json.loads(told.out) == {"name": "wh_2", "delivered": False, "problem": "answered with status 503"}
    assert "wh_1 took it" in told.err


def test_who_is_not_known_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["integrations", "test", "nobody"]) == 1
    assert "no such receiver" in capsys.readouterr().err


def test_a_server_that_does_not_answer_is_said(
    there: Receiver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.undo()
    monkeypatch.setenv(KEY_VARIABLE, "isk_x")
    assert run(["integrations", "list", "--url", "http://127.0.0.1:1"]) == 2
    assert "does not answer" in capsys.readouterr().err


@pytest.mark.parametrize("kind", get_args(Program))
def test_a_sample_is_what_a_receiver_is_sent(kind: str, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run(["integrations", "sample", kind]) == 0
    told = capsysbinary.readouterr().out
    assert told.count(b"beacon") > 1
    read: dict[str, Callable[[], list[str]]] = {
        "splunk": lambda: [json.loads(each)["event"]["kind"] for each in told.split(b"\n")],
        "elastic": lambda: [json.loads(each)["event"]["action"] for each in told.splitlines()[1::2]],
        "sentinel": lambda: [each["Kind"] for each in json.loads(told)],
        "webhook": lambda: [json.loads(each)["type"] for each in told.split(b"\n")],
    }
    found = read[kind]() if kind in read else [each.split(b" ")[6].decode() for each in entries(told)]
    assert found == ["incident.raised", "detection.found"]


def entries(text: bytes) -> Iterator[bytes]:
    """Yield entries of syslog that have their length before them (RFC 6587)."""
    while text:
        size, _, rest = text.partition(b" ")
        yield b"- " + rest[: int(size)]
        text = rest[int(size) :]


def test_a_sample_has_the_format_that_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["integrations", "sample", "splunk", "--format", "cef", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["format"]) == ("splunk", "cef")
    assert json.loads(told["text"].split("\n")[0])["event"].startswith("CEF:0|")
    assert run(["integrations", "sample", "webhook", "--format", "cef"]) == 2
