from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar.testing import TestClient

from api_fakes import key_of
from api_platform import close_platform, fill, open_platform
from infraspectre.api.app import make_app
from infraspectre.client import Client, ProblemError, pages
from infraspectre.client.operations import IncidentChange, NewVerdict, PredictRequest
from infraspectre.serving.platform import Platform

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, analyzed: Path) -> Iterator[Platform]:
    platform = open_platform(tmp_path_factory.mktemp("platform"))
    fill(platform, analyzed)
    yield platform
    close_platform(platform)


@pytest.fixture(scope="module")
def client(platform: Platform) -> Iterator[Client]:
    with TestClient(make_app(platform)) as http:
        yield Client("http://testserver", str(key_of(platform)), http=http)


def test_the_operations_are_those_of_the_description() -> None:
    spec = importlib.util.spec_from_file_location("client_generator", ROOT / "tools" / "client.py")
    assert spec is not None
    assert spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    assert generator.OPERATIONS.read_text() == generator.formatted(), "run `make docs`"


def test_pages_go_on_by_themselves(client: Client) -> None:
    whole = client.list_incidents(order="-value")
    again = list(pages(client.list_incidents, order="-value", limit=1))
    assert [each.incident_id for each in whole.items] == [each.incident_id for each in again]
    assert len(again) > 1


def test_a_problem_says_what_is_wrong(client: Client) -> None:
    with pytest.raises(ProblemError, match="there is no such incident") as caught:
        client.show_incident("none")
    assert (caught.value.status, caught.value.kind) == (404, "not-found")
    with pytest.raises(ProblemError, match="columns are missing"):
        client.predict(PredictRequest(row={"x": 1}))


def test_a_record_is_changed_by_its_revision(client: Client) -> None:
    incident = client.list_incidents(limit=1).items[0]
    assert isinstance(incident.revision, int)
    tag = f'"{incident.revision}"'
    changed = client.change_incident(str(incident.incident_id), IncidentChange(status="open"), if_match=tag)
    assert changed.summary.status == "open"
    given = client.give_verdict(str(incident.incident_id), NewVerdict(verdict="benign"))
    assert given.verdict == "benign"


def test_files_come_as_bytes(client: Client) -> None:
    assert client.export_incidents(format="csv").startswith(b"incident_id,")


def busy(times: int) -> tuple[Client, list[float], list[httpx.Request]]:
    asked: list[httpx.Request] = []
    pauses: list[float] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if len(asked) <= times:
            return httpx.Response(503, headers={"retry-after": "2"}, json={"title": "too busy"})
        return httpx.Response(200, json={"name": "ada", "role": "viewer", "tenant": "default", "subject": "ada"})

    http = httpx.Client(transport=httpx.MockTransport(answer), base_url="http://127.0.0.1")
    return Client("http://127.0.0.1", "isk_x", http=http, pause=pauses.append), pauses, asked


def test_a_busy_server_is_asked_again_as_late_as_it_says() -> None:
    client, pauses, asked = busy(2)
    client.ask("GET", "/api/v1/me", dict[str, Any])
    assert len(asked) == 3
    assert all(2 <= pause <= 2.5 for pause in pauses)


def test_what_is_sent_again_has_the_same_key() -> None:
    client, _, asked = busy(1)
    client.ask("POST", "/api/v1/users", dict[str, Any], body={"name": "ada"})
    first, second = (each.headers["idempotency-key"] for each in asked)
    assert first == second


def test_a_server_that_stays_busy_is_a_problem() -> None:
    client, pauses, asked = busy(99)
    with pytest.raises(ProblemError, match="too busy"):
        client.ask("GET", "/api/v1/me", dict[str, Any])
    assert (len(asked), len(pauses)) == (4, 3)


def test_the_key_is_in_no_error() -> None:
    client, _, _ = busy(99)
    with pytest.raises(ProblemError) as caught:
        client.ask("GET", "/api/v1/me", dict[str, Any])
    assert "isk_x" not in repr(caught.value) + str(vars(caught.value))
