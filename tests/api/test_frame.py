"""What holds for every answer: methods, ids, conditions, contents, bodies and limits."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace

import msgspec
import pytest
from litestar.testing import TestClient
from msgspec.structs import replace as changed

from api_fakes import add_user, bearer, key_of
from collectors import kept
from infraspectre.api.app import make_app
from infraspectre.api.bodies import MOST_BODY, MOST_DEPTH
from infraspectre.api.contents import Room
from infraspectre.api.frame import Api
from infraspectre.api.idempotency import digest
from infraspectre.api.limits import Buckets, network_of
from infraspectre.api.problems import KINDS, RefusedError
from infraspectre.records.collections import IDEMPOTENCY, USERS
from infraspectre.records.queries import Query
from infraspectre.serving.platform import Platform

NEW = {"name": "ada", "role": "viewer", "password": "correct horse battery"}


def test_options_and_head_are_as_http_asks(client: TestClient[Api], platform: Platform) -> None:
    asked = client.options("/api/v1/users/ada")
    assert (asked.status_code, asked.headers["allow"]) == (204, "DELETE, GET, HEAD, OPTIONS, PATCH")
    head = client.head("/api/v1/users", headers=bearer(key_of(platform)))
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) > 0


def test_a_wrong_method_is_told_the_right_ones(client: TestClient[Api]) -> None:
    answer = client.put("/api/v1/users")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS, POST")


@pytest.mark.parametrize(("given", "is_taken"), [("abcd-1234_x.y", True), ("short", False), ("a b c d e f g", False)])
def test_request_ids_are_taken_where_they_are_sane(client: TestClient[Api], given: str, is_taken: bool) -> None:
    answer = client.get("/api/v1/users", headers={"x-request-id": given})
    told = answer.headers["x-request-id"]
    assert (told == given) == is_taken
    assert answer.json()["request_id"] == told


def test_problems_lead_to_what_they_mean(client: TestClient[Api]) -> None:
    problem = client.get("/nowhere").json()
    assert problem["status"] == 404
    assert problem["instance"] == "/nowhere"
    assert client.get(problem["type"]).json()["title"] == problem["title"]
    assert {each["name"] for each in client.get("/api/v1/problems").json()} == set(KINDS)


def test_all_that_is_wrong_with_a_list_is_named(client: TestClient[Api], platform: Platform) -> None:
    query = {"filter": ["size>1", "role~view", "???"]}
    problem = client.get("/api/v1/users", params=query, headers=bearer(key_of(platform))).json()
    assert [each["field"] for each in problem["errors"]] == ["size", "???"]
    assert all(each["remedy"] for each in problem["errors"])


def test_unknown_parameters_are_refused(client: TestClient[Api], platform: Platform) -> None:
    answer = client.get("/api/v1/users?fitler=role=viewer", headers=bearer(key_of(platform)))
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "fitler"


def test_a_parameter_that_is_missing_is_named(client: TestClient[Api], platform: Platform) -> None:
    answer = client.get("/api/v1/export", headers=bearer(key_of(platform)))
    assert answer.status_code == 400
    assert answer.json()["errors"] == [{"problem": "is missing", "field": "format"}]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ('{"name": "ada", "role": "viewer", "password": "correct horse battery", "admin": true}', "admin"),
        ('{"name": "ada", "name": "eve", "role": "viewer", "password": "correct horse battery"}', "twice"),
        ('{"name": "ada", "role": "viewer", "password": "short"}', "length >= 12"),
        ('{"name": "ada", "role": "god", "password": "correct horse battery"}', "choose one of administrator, analyst"),
        ('{"name": 5, "role": "viewer", "password": "correct horse battery"}', "Expected `str`"),
        ('{"name": "ada"', "sound JSON"),
        ('{"name": NaN}', "sound JSON"),
        ("[" * (MOST_DEPTH + 1) + "]" * (MOST_DEPTH + 1), "deep"),
        ("[" * 100_000, "deep"),
        ('"\udcff"', "sound JSON"),
    ],
)
def test_bodies_are_read_strictly(client: TestClient[Api], platform: Platform, body: str, says: str) -> None:
    headers = bearer(key_of(platform)) | {"content-type": "application/json"}
    answer = client.post("/api/v1/users", content=body.encode("utf-8", "surrogateescape"), headers=headers)
    assert answer.status_code == 400
    assert says in answer.text
    assert not platform.records.tenants(USERS)


def test_contents_that_are_not_understood_are_refused(client: TestClient[Api], platform: Platform) -> None:
    headers = bearer(key_of(platform))
    post = client.post("/api/v1/users", content="name=ada", headers=headers | {"content-type": "text/plain"})
    assert post.status_code == 415
    assert client.get("/api/v1/users", headers=headers | {"accept": "text/html"}).status_code == 406
    assert client.get("/api/v1/users", headers=headers | {"accept": "text/html, */*;q=0.1"}).status_code == 200
    large = client.post("/api/v1/users", content=b" " * (MOST_BODY + 1), headers=headers)
    assert large.status_code in (413, 415)


def test_a_change_names_the_revision_that_it_changes(client: TestClient[Api], platform: Platform) -> None:
    add_user(platform, "ada")
    headers = bearer(key_of(platform))
    assert client.patch("/api/v1/users/ada", json={}, headers=headers).status_code == 428
    tag = client.get("/api/v1/users/ada", headers=headers).headers["etag"]
    first = client.patch("/api/v1/users/ada", json={"role": "analyst"}, headers=headers | {"if-match": tag})
    assert first.json()["role"] == "analyst"
    second = client.patch("/api/v1/users/ada", json={"role": "viewer"}, headers=headers | {"if-match": tag})
    assert second.status_code == 412


def test_the_same_key_does_the_same_once(client: TestClient[Api], platform: Platform) -> None:
    headers = bearer(key_of(platform)) | {"idempotency-key": "one"}
    first = client.post("/api/v1/users", json=NEW, headers=headers)
    again = client.post("/api/v1/users", json=NEW, headers=headers)
    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert client.post("/api/v1/users", json=NEW | {"name": "eve"}, headers=headers).status_code == 422
    other = bearer(key_of(platform, tenant="other")) | {"idempotency-key": "one"}
    assert "idempotency-replayed" not in client.post("/api/v1/users", json=NEW, headers=other).headers


def test_what_is_kept_of_a_request_cannot_be_searched_for_its_password(
    client: TestClient[Api], platform: Platform
) -> None:
    client.post("/api/v1/users", json=NEW, headers=bearer(key_of(platform)) | {"idempotency-key": "one"})
    row = platform.records.page("default", IDEMPOTENCY, Query()).rows[0]
    sent = msgspec.json.encode(NEW)
    guess = digest(b"POST", b"/api/v1/users", b"", sent)
    assert json.loads(row.body)["request"] not in (guess, hashlib.sha256(sent).hexdigest())
    assert NEW["password"] not in row.body.decode()


def test_a_key_is_forgotten_after_a_day(client: TestClient[Api], platform: Platform) -> None:
    headers = bearer(key_of(platform)) | {"idempotency-key": "one"}
    assert client.post("/api/v1/users", json=NEW, headers=headers).status_code == 201
    platform.clock.time += 25 * 3_600 * 1_000_000_000  # type: ignore[attr-defined]
    assert client.post("/api/v1/users", json=NEW, headers=headers).status_code == 409


def test_a_principal_has_a_rate(platform: Platform) -> None:
    access = changed(platform.settings.access, requests_per_s=1.0)
    slow = replace(platform, settings=changed(platform.settings, access=access))
    with TestClient(make_app(slow)) as client:
        headers = bearer(key_of(slow))
        answers = [client.get("/api/v1/me", headers=headers) for _ in range(3)]
        assert [each.status_code for each in answers] == [200, 200, 429]
        assert answers[0].headers["ratelimit-policy"] == '"default";q=2;w=2'
        assert answers[0].headers["ratelimit"] == '"default";r=1;t=0'
        assert answers[2].headers["retry-after"] == "1"
        assert client.get("/api/v1/me", headers=bearer(key_of(slow, tenant="other"))).status_code == 200


def test_buckets_fill_again_and_are_bounded() -> None:
    time = [0.0]
    buckets = Buckets(2.0, 2.0, most=3, now=lambda: time[0])
    assert [buckets.take("a").is_granted for _ in range(3)] == [True, True, False]
    time[0] = 0.5
    assert buckets.take("a").is_granted
    for name in "bcd":
        buckets.take(name)
    assert len(buckets._levels) == 3


def test_a_network_of_ipv6_is_one_who_asks() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff")
    assert network_of("192.0.2.1") != network_of("192.0.2.2")


def test_nothing_of_the_inside_is_told(client: TestClient[Api], platform: Platform) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("/secret/path and password")

    platform.records.page = broken  # type: ignore[method-assign, assignment]
    answer = client.get("/api/v1/users", headers=bearer(key_of(platform)))
    assert answer.status_code == 500
    assert not re.search(r"secret|RuntimeError|Traceback", answer.text)


def test_health_says_no_more_than_a_word(client: TestClient[Api], platform: Platform) -> None:
    for name in ("live", "ready", "startup"):
        assert client.get(f"/health/{name}").json() == {"state": "ok"}
    assert client.get("/api/v1/health").status_code == 401
    matrix = client.get("/api/v1/health", headers=bearer(key_of(platform, "viewer"))).json()
    assert {each["name"]: each["state"] for each in matrix["dependencies"]} == {"records": "up", "log": "up"}


def test_what_is_down_is_said_and_counted(platform: Platform) -> None:
    def down() -> None:
        raise RuntimeError("with a secret")

    with TestClient(make_app(replace(platform, checks={"broker": down}))) as client:
        assert client.get("/health/ready").status_code == 503
        headers = bearer(key_of(platform, "viewer"))
        broker = client.get("/api/v1/health", headers=headers).json()["dependencies"][-1]
        assert (broker["name"], broker["state"], broker["reason"]) == ("broker", "down", "RuntimeError")
        text = client.get("/metrics", headers=headers | {"accept": "text/plain;version=0.0.4"}).text
        assert 'infraspectre_dependency_up{dependency="broker"} 0.0' in text
        labels = 'http_request_method="GET",http_response_status_code="503",http_route="/health/ready"'
        assert f"http_server_request_duration_seconds_count{{{labels}}} 1.0" in text


def test_what_failed_though_all_else_goes_on_is_said_until_it_is_up_again(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infraspectre.serving.health.FRESH_S", 0.0)
    faults = {"detector scan": "ZeroDivisionError: division by zero"}
    with TestClient(make_app(replace(platform, faults=lambda: faults))) as client:
        headers = bearer(key_of(platform, "viewer"))
        health = client.get("/api/v1/health", headers=headers).json()
        scan = health["dependencies"][-1]
        assert (health["state"], scan["name"], scan["state"]) == ("degraded", "detector scan", "down")
        assert (scan["reason"], scan["is_needed"]) == (faults["detector scan"], False)
        assert client.get("/health/ready").status_code == 200, "requests are answered all the same"
        faults.clear()
        assert client.get("/api/v1/health", headers=headers).json()["dependencies"][-1]["state"] == "up"
        text = client.get("/metrics", headers=headers | {"accept": "text/plain"}).text
        assert 'infraspectre_dependency_up{dependency="detector scan"} 1.0' in text


def test_bodies_are_held_within_bounds_and_no_tenant_takes_all() -> None:
    room = Room(400)
    room.take("red", 100)
    with pytest.raises(RefusedError, match="too much is being received"):
        room.take("red", 1)
    room.take("blue", 60)
    room.give("red", 100)
    room.take("red", 100)


def test_a_body_for_which_there_is_no_room_is_refused_and_room_comes_back(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Room.__init__, "__defaults__", (400,))
    headers = bearer(key_of(platform, "sensor")) | {"content-type": "application/x-ndjson"}
    with TestClient(make_app(platform)) as client:
        for _ in range(3):
            refused = client.post("/api/v1/events", content=b'{"a":"' + b"x" * 100 + b'"}', headers=headers)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
            assert client.post("/api/v1/events", content=b'{"a":1}', headers=headers).status_code == 200


def test_what_the_stream_does_is_counted(platform: Platform) -> None:
    with TestClient(make_app(platform)) as client:
        headers = bearer(key_of(platform, "viewer"))
        client.app.state.hub.counts["shed_low"] = 7
        with client.websocket_connect("/api/v1/stream", headers=headers):
            text = client.get("/metrics", headers=headers).text
    assert "infraspectre_stream_clients 1.0" in text
    assert 'infraspectre_stream_counts{what="shed_low"} 7.0' in text


def test_a_request_is_traced_within_its_callers_trace_by_its_route(platform: Platform) -> None:
    caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    headers = bearer(key_of(platform, "viewer")) | {"traceparent": caller}
    with TestClient(make_app(platform)) as client, kept(ratio=0.0) as spans:
        client.get("/api/v1/incidents/no-such", headers=headers | {"x-request-id": "request-1"})
        client.get("/api/v1/incidents", headers=headers | {"traceparent": "garbage"})
    [told] = spans
    assert told.name == "GET /api/v1/incidents/{incident_id}"
    assert f"00-{told.trace.trace_id:032x}-{told.parent_id:016x}-01" == caller
    assert told.attributes == {
        "http.request.method": "GET",
        "http.route": "/api/v1/incidents/{incident_id}",
        "http.response.status_code": 404,
        "url.scheme": "http",
        "infraspectre.request_id": "request-1",
    }


def test_an_answer_that_failed_is_traced_whatever_was_drawn(platform: Platform) -> None:
    def down() -> None:
        raise RuntimeError

    broken = replace(platform, checks={"broker": down})
    with TestClient(make_app(broken)) as client, kept(ratio=0.0) as spans:
        client.get("/health/ready")
        client.get("/health/live")
    assert [(each.name, each.attributes["error.type"]) for each in spans] == [("GET /health/ready", "503")]


def test_a_method_that_there_is_not_is_counted_as_one_of_others(platform: Platform) -> None:
    with TestClient(make_app(platform)) as client:
        for number in range(3):
            client.request(f"STRANGE{number}", "/nowhere")
    told = platform.metrics.exposition().decode()
    labels = 'http_request_method="_OTHER",http_response_status_code="404",http_route=""'
    assert f"http_server_request_duration_seconds_count{{{labels}}} 3.0" in told
    assert "STRANGE" not in told
