"""Events that are posted: kept before they are acknowledged, all of them or none."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from litestar.testing import TestClient

from api_fakes import bearer, key_of
from infraspectre.api.events import MOST_LINE, Waiting, entries_of
from infraspectre.api.frame import Api
from infraspectre.api.problems import RefusedError
from infraspectre.errors import OutputError, OverloadError
from infraspectre.records.feed import EVENTS_TOPIC
from infraspectre.serving.metrics import Metrics
from infraspectre.serving.platform import Platform

LINES = b'{"a":1}\n\n{"b":[2,{"c":"\\u00e9"}]}\r\n'


def send(client: TestClient[Api], platform: Platform, body: bytes, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    head = bearer(key_of(platform, "sensor", "red")) | {"content-type": "application/x-ndjson"} | named
    return client.post("/api/v1/events", content=body, headers=head)


def kept(platform: Platform) -> list[dict[str, Any]]:
    return [json.loads(entry.data) for entry in platform.log.topic(EVENTS_TOPIC).read(0)]


def test_events_are_kept_and_acknowledged(client: TestClient[Api], platform: Platform) -> None:
    answer = send(client, platform, LINES, x_request_id="request-0001").json()
    assert answer == {"accepted": 2, "first": f"{platform.log.topic(EVENTS_TOPIC).epoch}.0"}
    assert kept(platform) == [
        {"tenant": "red", "id": "request-0001.1", "event": {"a": 1}},
        {"tenant": "red", "id": "request-0001.3", "event": {"b": [2, {"c": "é"}]}},
    ]


def test_an_idempotency_key_gives_the_same_identities(client: TestClient[Api], platform: Platform) -> None:
    key = bearer(key_of(platform, "sensor", "red"))
    for _ in range(2):
        send(client, platform, b'{"a":1}', idempotency_key="one", **key)
    first, second = (each["id"] for each in kept(platform))
    assert first == second


def test_compressed_events_are_unpacked(client: TestClient[Api], platform: Platform) -> None:
    assert send(client, platform, gzip.compress(LINES), content_encoding="gzip").json()["accepted"] == 2
    assert send(client, platform, LINES, content_encoding="gzip").status_code == 422
    assert send(client, platform, gzip.compress(LINES)[:-9], content_encoding="gzip").status_code == 422
    bomb = gzip.compress(b"\n" * (65 << 20))
    assert send(client, platform, bomb, content_encoding="gzip").status_code == 422
    assert send(client, platform, LINES, content_encoding="br").status_code == 400
    assert len(kept(platform)) == 2


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (b'{"a":1}\n[1]', 2),
        (b'{"a":1}\n{"a":', 2),
        (b'{"a":1}\n"text"', 2),
        (b'{"a":1}\n{"a":1}{"b":2}', 2),
        (b'{"a":1}\n\xff', 2),
        (b'{"a":1}\n{"a":' + b"[" * 5_000 + b"]" * 5_000 + b"}", 2),
        (b'{"a":1}\n{"a":"' + b"x" * MOST_LINE + b'"}', 2),
        (b'{"a":NaN}', 1),
    ],
)
def test_a_line_that_is_none_is_named_and_nothing_kept(
    client: TestClient[Api], platform: Platform, body: bytes, line: int
) -> None:
    answer = send(client, platform, body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["line"] == line
    assert kept(platform) == []


def test_an_envelope_cannot_be_broken_out_of() -> None:
    line = b'{"a":"}"}'
    (entry,) = entries_of(line, None, "red", "origin")
    assert json.loads(entry) == {"tenant": "red", "id": "origin.1", "event": {"a": "}"}}
    with pytest.raises(RefusedError):
        entries_of(b'{"a":1},"tenant":"blue","x":{"y":1}', None, "red", "origin")


@pytest.mark.parametrize("failure", [OverloadError("too much waits"), OutputError("no space")])
def test_what_is_not_kept_is_not_acknowledged(client: TestClient[Api], platform: Platform, failure: Exception) -> None:
    platform.log.topic(EVENTS_TOPIC).failure = failure  # type: ignore[attr-defined]
    answer = send(client, platform, LINES)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    shed = f"infraspectre_events_shed_bytes_total {float(len(LINES))}" in platform.metrics.exposition().decode()
    assert shed == isinstance(failure, OverloadError)


def test_what_waits_is_bounded_and_counted() -> None:
    waiting, metrics = Waiting(10), Metrics()
    with waiting.room(8, metrics), pytest.raises(RefusedError), waiting.room(3, metrics):
        pass
    with waiting.room(10, metrics):
        assert "infraspectre_events_waiting_bytes 10.0" in metrics.exposition().decode()
    assert "infraspectre_events_shed_bytes_total 3.0" in metrics.exposition().decode()
    assert "infraspectre_events_waiting_bytes 0.0" in metrics.exposition().decode()


def test_events_are_of_the_tenant_of_the_key(client: TestClient[Api], platform: Platform) -> None:
    send(client, platform, b'{"tenant":"blue","a":1}')
    assert kept(platform)[0]["tenant"] == "red"


def test_zstandard_is_unpacked(client: TestClient[Api], platform: Platform, tmp_path: Any) -> None:
    packed = zstd(LINES)
    assert send(client, platform, packed, content_encoding="zstd").json()["accepted"] == 2


def zstd(data: bytes) -> bytes:
    """Return a Zstandard frame with one raw block (RFC 8878 section 3.1.1)."""
    block = (len(data) << 3 | 1).to_bytes(3, "little") + data
    return b"\x28\xb5\x2f\xfd" + b"\x20" + bytes([len(data)]) + block
