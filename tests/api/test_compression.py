"""Large answers are compressed for those who take it, and none beside which a secret could stand."""

from __future__ import annotations

import gzip

import httpx
import msgspec
import pytest
from litestar.testing import TestClient

from api_fakes import bearer, key_of
from api_platform import of
from infraspectre.api.compression import LEAST, may_compress, takes_gzip
from infraspectre.api.frame import Api
from infraspectre.api.routes.keys import new_key
from infraspectre.records.collections import KEYS
from infraspectre.serving.platform import Platform

TAKES = {"accept-encoding": "gzip"}


def plain(client: TestClient[Api], path: str, headers: dict[str, str]) -> httpx.Response:
    return client.get(path, headers=headers | {"accept-encoding": "identity"})


@pytest.mark.parametrize(
    ("given", "is_taken"),
    [("gzip", True), ("br, GZIP;q=0.5", True), ("*", True), ("gzip;q=0, *", False), ("gzip; q=0.000", False),
     ("identity", False), ("", False)],
)  # fmt: skip
def test_clients_say_whether_they_take_gzip(given: str, is_taken: bool) -> None:
    assert takes_gzip([(b"accept-encoding", given.encode())]) == is_taken


def test_large_answers_are_compressed_for_those_who_take_it(asking: TestClient[Api], stored: Platform) -> None:
    headers = of(stored, "viewer")
    whole = plain(asking, "/api/v1/openapi.json", headers)
    small = asking.get("/api/v1/openapi.json", headers=headers | TAKES)
    assert (small.headers["content-encoding"], small.headers["vary"]) == ("gzip", "accept-encoding")
    assert int(small.headers["content-length"]) < int(whole.headers["content-length"]) / 4
    assert small.content == whole.content
    assert ("content-encoding" not in whole.headers, whole.headers["vary"]) == (True, "accept-encoding")


def test_an_incident_has_one_tag_in_both_forms(
    asking: TestClient[Api], stored: Platform, incidents: list[dict[str, object]]
) -> None:
    """What was read compressed can be asked for again, and changed."""
    headers = of(stored)
    paths = [f"/api/v1/incidents/{each['incident_id']}" for each in incidents]
    path = next(each for each in paths if len(plain(asking, each, headers).content) >= LEAST)
    tag = asking.get(path, headers=headers | TAKES).headers["etag"]
    assert tag == "W/" + plain(asking, path, headers).headers["etag"]
    assert asking.get(path, headers=headers | TAKES | {"if-none-match": tag}).status_code == 304
    changed = asking.patch(path, json={"status": "open"}, headers=headers | TAKES | {"if-match": tag})
    assert (changed.status_code, "content-encoding" in changed.headers) == (200, False)


def test_what_could_hold_secrets_is_never_compressed(client: TestClient[Api], platform: Platform, app: Api) -> None:
    for number in range(150):
        key, record = new_key("default", f"program {number}", "viewer", 0, 0)
        platform.records.put("default", KEYS, key.id, msgspec.to_builtins(record))
    answer = client.get("/api/v1/keys?limit=1000", headers=bearer(key_of(platform)) | TAKES)
    assert len(answer.content) >= LEAST
    assert "content-encoding" not in answer.headers
    handlers = [handler for route in app.routes for handler in getattr(route, "route_handlers", [])]
    open_ones = {next(iter(each.paths)) for each in handlers if may_compress(each.opt) and each.opt.get("public")}
    assert open_ones == {"/api/v1/openapi.json"}


def test_bytes_are_the_same_each_time() -> None:
    """No time stands in the head of what is compressed, so that two answers can be told to be equal."""
    from infraspectre.api.compression import gzipped

    assert gzipped(b"a" * LEAST) == gzip.compress(b"a" * LEAST, 1, mtime=0)
