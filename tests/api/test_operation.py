"""Functions of routes are given what they take, and what they return is the answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
import pytest
from litestar import Response, delete, get, post
from litestar.datastructures import Cookie
from litestar.params import CookieParameter, HeaderParameter, JSONBody, QueryParameter
from litestar.response import Stream
from litestar.testing import TestClient

from infraspectre.api.app import make_app
from infraspectre.api.frame import Api
from infraspectre.api.given import GivenPlatform, InPath
from infraspectre.serving.platform import Platform

OPEN = {"public": True}


class Thing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Is something that is sent."""

    size: int


@get("/things/{name:str}", opt=OPEN, sync_to_thread=False)
def look(
    platform: GivenPlatform,
    name: InPath,
    kind: Annotated[str, QueryParameter(max_length=4)],
    limit: Annotated[int, QueryParameter(ge=1, le=9)] = 5,
    tags: Annotated[list[str] | None, QueryParameter(name="tag", max_items=2)] = None,
    since: Annotated[float | None, HeaderParameter(name="x-since", ge=0)] = None,
    colour: Annotated[str, CookieParameter(name="colour")] = "red",
) -> dict[str, Any]:
    """Tell what was given."""
    assert platform.records
    return {"name": name, "kind": kind, "limit": limit, "tags": tags, "since": since, "colour": colour}


@post("/things", opt={**OPEN, "audit": False}, status_code=202, request_max_body_size=64)
async def keep(data: JSONBody[Thing]) -> Response[Thing]:
    """Give back what was sent."""
    return Response(data, headers={"X-Size": str(data.size)}, cookies=[Cookie("last", value="thing")])


@delete("/things/{name:str}", opt={**OPEN, "audit": False}, sync_to_thread=True)
def drop(name: InPath) -> None:
    """Do nothing."""
    assert name


@get("/text", opt={**OPEN, "produces": ("text/plain",)}, sync_to_thread=False)
def tell() -> Response[str]:
    """Tell a text."""
    return Response("größer", media_type="text/plain")


@get("/half", opt={**OPEN, "produces": ("text/plain",)}, sync_to_thread=False)
def break_off() -> Stream:
    """Begin an answer, and fail."""

    async def parts() -> AsyncIterator[bytes]:
        yield b"a" * 64
        raise LookupError("the rest is gone")

    return Stream(parts(), media_type="text/plain")


@pytest.fixture
def things(platform: Platform) -> TestClient[Api]:
    return TestClient(make_app(platform, [look, keep, drop, tell, break_off]))


def test_parameters_are_read_from_where_they_are_written(things: TestClient[Api]) -> None:
    answer = things.get(
        "/things/a%20b?kind=x&limit=2&tag=c&tag=d%2Be", headers={"x-since": "1.5", "cookie": "colour=blue"}
    )
    assert answer.json() == {
        "name": "a b", "kind": "x", "limit": 2, "tags": ["c", "d+e"], "since": 1.5, "colour": "blue",
    }  # fmt: skip
    assert things.get("/things/a?kind=x").json() == {
        "name": "a", "kind": "x", "limit": 5, "tags": None, "since": None, "colour": "red",
    }  # fmt: skip


def test_all_parameters_that_are_wrong_are_named(things: TestClient[Api]) -> None:
    answer = things.get("/things/a?limit=0&tag=1&tag=2&tag=3", headers={"x-since": "soon"})
    assert answer.status_code == 400
    assert {each["field"]: each["problem"] for each in answer.json()["errors"]} == {
        "kind": "is missing",
        "limit": "Expected `int` >= 1",
        "tag": "Expected `array` of length <= 2",
        "x-since": "Expected `float | null`, got `str`",
    }


def test_what_a_function_returns_is_the_answer(things: TestClient[Api]) -> None:
    kept = things.post("/things", json={"size": 3})
    assert (kept.status_code, kept.json(), kept.headers["x-size"]) == (202, {"size": 3}, "3")
    assert kept.cookies["last"] == "thing"
    gone = things.delete("/things/a")
    assert (gone.status_code, gone.content, "content-type" in gone.headers) == (204, b"", False)
    text = things.get("/text", headers={"accept": "text/plain"})
    assert (text.text, text.headers["content-type"]) == ("größer", "text/plain; charset=utf-8")


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", "application/json", 400),
        (b'{"size": 3}', "text/plain", 415),
        (b'{"size": "3"}', "application/json; charset=utf-8", 400),
        (b'{"size": 3, "size": 3}', "application/json", 400),
        (b'{"size": 3, "text": ": : :"}', "application/json", 400),
        (b'{"size": 3' + b" " * 64 + b"}", "application/json", 413),
        (b'{"size": 3.0}', "application/JSON", 202),
    ],
)
def test_bodies_are_those_that_a_route_takes(things: TestClient[Api], body: bytes, kind: str, status: int) -> None:
    assert things.post("/things", content=body, headers={"content-type": kind}).status_code == status


def test_a_body_in_parts_is_bounded_too(things: TestClient[Api]) -> None:
    parts = (b" " * 40 for _ in range(2))
    answer = things.post("/things", content=parts, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["type"]) == (413, "/api/v1/problems/too-large")


def test_an_answer_that_has_begun_is_not_answered_again(things: TestClient[Api]) -> None:
    with pytest.raises(ExceptionGroup, match="TaskGroup"):
        things.get("/half", headers={"accept": "text/plain"})


def test_hosts_that_are_none_are_refused(things: TestClient[Api]) -> None:
    answer = things.get("/text", headers={"host": 'a"b', "accept": "text/plain"})
    assert (answer.status_code, answer.json()["detail"]) == (400, "the header host is not sound")
