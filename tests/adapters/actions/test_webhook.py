from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
import pytest

from infraspectre.adapters.actions.webhook import TRIES, Clock, Webhook
from infraspectre.errors import ConfigError, OutputError
from infraspectre.records.response import Action

NOW = 1_800_000_000 * 10**9
KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
BLOCK = Action("a1", "i1", "webhook", "203.0.113.9", "Scan", "high", NOW, NOW + 3_600 * 10**9, 20.0)


class Service:
    """Answers requests with the statuses that it is given, the last one forever, and keeps what came."""

    def __init__(self) -> None:
        self.statuses = [200]
        self.got: list[tuple[dict[str, str], bytes]] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                service.got.append(({key.lower(): value for key, value in self.headers.items()}, body))
                status = service.statuses.pop(0) if len(service.statuses) > 1 else service.statuses[0]
                self.send_response(status)
                self.send_header("location", "http://127.0.0.1:1/elsewhere")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/act?site=1"


@pytest.fixture
def service() -> Iterator[Service]:
    served = Service()
    thread = threading.Thread(target=served.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    served.server.shutdown()
    served.server.server_close()
    thread.join()


def webhook(service: Service, pauses: list[float] | None = None) -> Webhook:
    clock = Clock(now=lambda: NOW, sleep=(pauses if pauses is not None else []).append)
    return Webhook(service.url, SECRET, allow_http=True, clock=clock)


def test_requests_are_signed(service: Service) -> None:
    assert "took the request to block 203.0.113.9" in webhook(service).run(BLOCK)
    ((headers, body),) = service.got
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("a1-block", "1800000000")
    told = json.loads(body)
    assert (told["type"], told["data"]["target"], told["data"]["expires_at"]) == (
        "response.block", "203.0.113.9", "2027-01-15T09:00:00.000000Z",
    )  # fmt: skip


def test_undoing_is_another_message(service: Service) -> None:
    webhook(service).undo(BLOCK)
    ((headers, body),) = service.got
    assert (headers["webhook-id"], json.loads(body)["type"]) == ("a1-unblock", "response.unblock")


def test_what_may_pass_is_tried_again_as_the_same_message(service: Service) -> None:
    service.statuses = [503, 429, 204]
    pauses: list[float] = []
    assert "try 3" in webhook(service, pauses).run(BLOCK)
    assert len({(headers["webhook-id"], body) for headers, body in service.got}) == 1
    assert pauses == [0.5, 1.0]


@pytest.mark.parametrize(("status", "tries"), [(500, TRIES), (400, 1), (302, 1)])
def test_failures_are_bounded_and_redirects_are_not_followed(service: Service, status: int, tries: int) -> None:
    service.statuses = [status]
    with pytest.raises(OutputError, match=f"status {status}"):
        webhook(service).run(BLOCK)
    assert len(service.got) == tries


def test_the_deadline_ends_the_tries(service: Service) -> None:
    service.statuses = [500]
    moments = iter([0.0, 0.0, 0.0, 99.0, 99.0])
    clock = Clock(now=lambda: NOW, monotonic=lambda: next(moments), sleep=lambda _: None)
    with pytest.raises(OutputError, match="status 500"):
        Webhook(service.url, SECRET, allow_http=True, clock=clock).run(BLOCK)
    assert len(service.got) == 1


def test_a_service_that_is_not_there_is_told(service: Service) -> None:
    gone = Webhook("http://127.0.0.1:9/", SECRET, allow_http=True, clock=Clock(sleep=lambda _: None))
    with pytest.raises(OutputError, match="ConnectionRefused"):
        gone.run(msgspec.structs.replace(BLOCK, deadline_s=1.0))


def test_a_preview_sends_nothing(service: Service) -> None:
    assert webhook(service).preview(BLOCK).startswith(f"POST {service.url}\n")
    assert service.got == []


@pytest.mark.parametrize(
    "url",
    [
        *("http://example.org/", "ftp://example.org/", "example.org", "https://", "https://example.org:99999/"),
        *("https://example.org:port/", "https://[::1/", "https://example.org/\u00e4", "https://me:hush@example.org/"),
    ],
)
def test_only_https_is_taken_by_default(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Webhook(url, SECRET)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "no base64!", "whsec_\u00e9"])
def test_a_secret_that_is_none_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Webhook("https://example.org/", secret)
    assert len(secret) < 7 or secret not in str(caught.value)
