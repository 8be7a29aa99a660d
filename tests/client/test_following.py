from __future__ import annotations

from itertools import islice

import httpx
import pytest

from infraspectre.client import ProblemError
from infraspectre.client.following import follow, messages

EVENTS = 'event: events\nid: e.{0}\ndata: {{"events":[{{"kind":"incident.raised","position":"e.{0}"}}]}}\n\n'


def server(*answers: httpx.Response | Exception) -> tuple[httpx.Client, list[httpx.Request]]:
    asked: list[httpx.Request] = []
    waiting = list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        told = waiting.pop(0)
        if isinstance(told, Exception):
            raise told
        return told

    return httpx.Client(transport=httpx.MockTransport(answer), base_url="http://127.0.0.1"), asked


def stream(*numbers: int) -> httpx.Response:
    return httpx.Response(200, text="".join(map(EVENTS.format, numbers)))


def test_messages_are_read_line_by_line() -> None:
    lines = [": heartbeat", "retry: 2000", "event: gap", "id: e.1", "data: {", "data: }", ""]
    lines += ["data: {}", "", "event: unfinished"]
    assert [(each.kind, each.position, each.data) for each in messages(lines)] == [
        ("gap", "e.1", {}),
        ("message", "", {}),
    ]


def test_after_a_break_it_goes_on_where_it_was() -> None:
    http, asked = server(stream(1, 2), httpx.ConnectError("refused"), stream(3))
    pauses: list[float] = []
    found = list(islice(follow(http, "isk_x", filters=["severity>=high"], pause=pauses.append), 5))
    assert [(each.kind, each.position) for each in found] == [
        ("events", "e.1"), ("events", "e.2"), ("lost", "e.2"), ("lost", "e.2"), ("events", "e.3"),
    ]  # fmt: skip
    assert [each.headers.get("last-event-id") for each in asked] == [None, "e.2", "e.2"]
    assert asked[0].url.params.get_list("filter") == ["severity>=high"]
    assert pauses[0] < pauses[1] * 2


def test_what_is_refused_is_told_at_once() -> None:
    http, asked = server(httpx.Response(401, json={"title": "unknown", "type": "/api/v1/problems/unauthenticated"}))
    with pytest.raises(ProblemError, match="unknown"):
        next(follow(http, "isk_x"))
    assert len(asked) == 1


def test_a_busy_server_is_asked_again() -> None:
    http, _ = server(httpx.Response(503), stream(7))
    found = list(islice(follow(http, "isk_x", pause=lambda _: None), 2))
    assert [each.kind for each in found] == ["lost", "events"]
