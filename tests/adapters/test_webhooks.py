from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
import time
from contextlib import suppress
from typing import Any

import httpx
import msgspec
import pytest
import standardwebhooks
from benches import strangers
from benches.report import UnavailableError
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from infraspectre.adapters.outgoing import outgoing_client
from infraspectre.adapters.posts import post, retry_after
from infraspectre.adapters.system_clock import SystemClock
from infraspectre.adapters.webhooks import MOST_BODY, Secret, Webhook
from infraspectre.records.delivery import Failure, Outgoing, Receipt
from infraspectre.records.feed import FeedEvent
from log_fakes import START, SetClock
from receivers import LOOPBACK, Reply, Request, receiver

SECRET = Secret(b"s" * 32, b"p" * 32)
CLIENT = outgoing_client(LOOPBACK, ("http",))


def outgoing(number: int = 0, data: bytes = b"{}") -> Outgoing:
    event = FeedEvent(
        "default", "threat", "incident.raised", "2026-01-01T00:00:00Z", f"i-{number}", data=msgspec.Raw(data)
    )
    return Outgoing(f"evt_a_{number}", event, msgspec.json.encode(event).decode())


def sent(url: str, *events: Outgoing) -> Receipt:
    return Webhook(CLIENT, url, SECRET, SetClock()).send(events)


def test_requests_carry_identity_time_and_both_signatures() -> None:
    with receiver() as there:
        assert sent(there.url + "/hook", outgoing(), outgoing(1)) == Receipt(2)
    first, second = there.requests
    at_s = START // 1_000_000_000
    assert (first.headers["webhook-id"], first.headers["webhook-timestamp"]) == ("evt_a_0", str(at_s))
    assert second.headers["webhook-id"] == "evt_a_1"
    assert msgspec.json.decode(first.body)["data"]["subject"] == "i-0"
    signed = f"evt_a_0.{at_s}.".encode() + first.body
    kinds = dict(each.split(",") for each in first.headers["webhook-signature"].split(" "))
    key = base64.b64decode(SECRET.shared.removeprefix("whsec_"))
    assert base64.b64decode(kinds["v1"]) == hmac.new(key, signed, hashlib.sha256).digest()
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(SECRET.public.removeprefix("whpk_")))
    public.verify(base64.b64decode(kinds["v1a"]), signed)
    with pytest.raises(InvalidSignature):
        public.verify(base64.b64decode(kinds["v1a"]), signed + b" ")


def test_a_secret_is_read_as_it_was_written() -> None:
    made = Secret.new()
    assert Secret.of(str(made)) == made
    assert made != Secret.new()


@pytest.mark.parametrize("status", [400, 413, 422])
def test_an_event_that_is_refused_does_not_end_a_batch(status: int) -> None:
    def answer(request: Request) -> Reply:
        return Reply(status if request.headers["webhook-id"] == "evt_a_0" else 204)

    with receiver(answer) as there:
        assert sent(there.url, outgoing(), outgoing(1)) == Receipt(2, {0: f"refused with status {status}"})


@pytest.mark.parametrize("status", [301, 401, 404, 429, 500, 503])
def test_a_receiver_that_fails_ends_a_batch_and_is_not_followed_elsewhere(status: int) -> None:
    with receiver(lambda _: Reply(status, headers={"retry-after": "7", "location": "/there"})) as there:
        receipt = sent(there.url, outgoing(), outgoing(1))
    assert receipt == Receipt(0, {}, Failure(f"answered with status {status}", 7.0))
    assert len(there.requests) == 1


def test_status_410_asks_for_nothing_more() -> None:
    with receiver(lambda _: Reply(410)) as there:
        failure = sent(there.url, outgoing()).failure
    assert failure is not None
    assert failure.is_gone


def test_nobody_there_is_a_failure_and_so_is_an_address_that_may_not_be_called() -> None:
    with receiver() as there:
        pass
    assert sent(there.url, outgoing()).failure == Failure(
        "did not answer: it refused the connection, nothing listens there"
    )
    with receiver() as there:
        guarded = Webhook(outgoing_client((), ("http",)), there.url, SECRET, SetClock())
        failure = guarded.send([outgoing()]).failure
    assert failure is not None
    assert "not public" in failure.problem
    assert there.requests == []


def test_an_event_that_is_too_large_is_sent_without_its_record() -> None:
    with receiver() as there:
        sent(there.url, outgoing(data=b'{"title":"' + b"x" * MOST_BODY + b'"}'))
    told = msgspec.json.decode(there.requests[0].body)
    assert told["is_shortened"] is True
    assert told["data"]["subject"] == "i-0"


DATA = [
    b"{}", '{"title":"\u65e5\u672c \U0001f600 \u202e"}'.encode(), b'{"title":"\\u0000 \\\\ \\" . whsec_"}',
    b'{"x":' + b"[" * 50 + b"]" * 50 + b"}",
]  # fmt: skip


def real_requests(secret: Secret) -> list[Request]:
    """Send events at the time that it is, as official libraries take no old ones."""
    with receiver() as there:
        Webhook(CLIENT, there.url, secret, SystemClock()).send([outgoing(n, data) for n, data in enumerate(DATA)])
    assert len(there.requests) == len(DATA)
    return there.requests


def changed(request: Request) -> list[Request]:
    """Return what an attacker could make of a request."""
    headers = request.headers
    early = headers | {"webhook-timestamp": str(int(headers["webhook-timestamp"]) - 1)}
    foreign = headers | {"webhook-signature": "v1," + base64.b64encode(b"x" * 32).decode()}
    return [
        request._replace(body=request.body.replace(b"incident", b"incidenT", 1)),
        request._replace(headers=headers | {"webhook-id": headers["webhook-id"] + "0"}),
        request._replace(headers=early),
        request._replace(headers=foreign),
    ]


def test_the_official_library_of_python_accepts_what_is_sent_and_nothing_else() -> None:
    secret = Secret.new()
    verifier = standardwebhooks.Webhook(secret.shared)
    for request in real_requests(secret):
        assert verifier.verify(request.body.decode(), request.headers) == json.loads(request.body)
        for wrong in changed(request):
            with pytest.raises(standardwebhooks.WebhookVerificationError):
                verifier.verify(wrong.body.decode(), wrong.headers)
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            standardwebhooks.Webhook(Secret.new().shared).verify(request.body.decode(), request.headers)


VERIFY = """
const { Webhook } = require("standardwebhooks")
const crypto = require("crypto")
const { shared, publicKey, requests } = JSON.parse(require("fs").readFileSync(0, "utf8"))
const der = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), Buffer.from(publicKey, "base64")])
const key = crypto.createPublicKey({ key: der, format: "der", type: "spki" })
const symmetric = ({ body, headers }) => {
  try { new Webhook(shared).verify(body, headers) } catch { return false }
  return true
}
const asymmetric = ({ body, headers }) => {
  const one = headers["webhook-signature"].split(" ").find(each => each.startsWith("v1a,"))
  const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`
  return Boolean(one) && crypto.verify(null, Buffer.from(signed), key, Buffer.from(one.slice(4), "base64"))
}
console.log(JSON.stringify(requests.map(each => [symmetric(each), asymmetric(each)])))
"""


def test_the_official_library_of_javascript_and_its_ed25519_accept_it_too() -> None:
    secret = Secret.new()
    good = real_requests(secret)
    bad = [wrong for each in good for wrong in changed(each)]
    told: dict[str, Any] = {"shared": secret.shared, "publicKey": secret.public.removeprefix("whpk_")}
    told["requests"] = [{"body": each.body.decode(), "headers": each.headers} for each in [*good, *bad]]
    try:
        found = json.loads(strangers.node(VERIFY, json.dumps(told).encode(), "standardwebhooks"))
    except UnavailableError as reason:
        pytest.skip(str(reason))
    assert found == [[True, True]] * len(good) + [[False, False]] * len(bad)


def test_a_receiver_that_answers_a_sign_at_a_time_is_left_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ended = threading.Event()

        def drip() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\nx: ")
                while not ended.wait(0.02):
                    connection.sendall(b"x")

        thread = threading.Thread(target=drip)
        thread.start()
        begin = time.monotonic()
        answer = post(CLIENT, f"http://127.0.0.1:{listener.getsockname()[1]}/", {}, b"{}", 0.3)
        assert answer == Failure("did not answer within 0.3 s")
        assert time.monotonic() - begin < 5
        ended.set()
        thread.join()


@pytest.mark.parametrize("year", ["0", "99999999999999999999"])
def test_a_receiver_that_names_a_date_beyond_all_numbers_is_waited_for_as_any(year: str) -> None:
    assert retry_after(httpx.Headers({"retry-after": f"Mon, 01 Jan {year} 00:00:00 GMT"})) == 0.0
