from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from infraspectre.adapters.outgoing import outgoing_client
from infraspectre.adapters.siem.senders import MOST_BATCH_BYTES, Elastic, Sentinel, Splunk, Syslog
from infraspectre.records.delivery import Destination, Failure, Format, Kind, Outgoing, Receipt
from infraspectre.records.feed import FeedEvent
from receivers import LOOPBACK, Reply, Request, receiver, self_signed

CLIENT = outgoing_client(LOOPBACK, ("http",))
LOGIN = {"directory": "d", "client": "c", "rule": "dcr-1", "stream": "Custom-X"}


def events(count: int, data: bytes = b'{"title":"x"}') -> list[Outgoing]:
    made = [
        FeedEvent("default", "threat", "incident.raised", "2026-01-01T00:00:00Z", f"i-{number}", data=msgspec.Raw(data))
        for number in range(count)
    ]
    return [Outgoing(f"evt_a_{number}", each, "") for number, each in enumerate(made)]


def to(url: str, kind: Kind, chosen: Format = "json", options: dict[str, str] | None = None) -> Destination:
    told = options or {}
    return Destination(key="x", kind=kind, name="x", url=url, created_at=0, format=chosen, batch=100, options=told)


def json(value: object, status: int = 200) -> Reply:
    return Reply(status, msgspec.json.encode(value))


def test_splunk_waits_until_the_indexer_has_the_events() -> None:
    asked: list[Request] = []

    def answer(request: Request) -> Reply:
        if request.path.startswith("/services/collector/ack?channel="):
            asked.append(request)
            return json({"acks": {"5": len(asked) > 2}})
        return json({"text": "Success", "code": 0, "ackId": 5})

    with receiver(answer) as there:
        splunk = Splunk(CLIENT, to(there.url, "splunk", "cef", {"index": "main"}), "token", pause=lambda _: None)
        assert splunk.send(events(3)) == Receipt(3)
    sent = there.requests[0]
    assert sent.path == "/services/collector/event"
    assert sent.headers["authorization"] == "Splunk token"
    lines = [msgspec.json.decode(each) for each in sent.body.split(b"\n")]
    assert [each["fields"]["event_id"] for each in lines] == ["evt_a_0", "evt_a_1", "evt_a_2"]
    assert (lines[0]["index"], lines[0]["time"], lines[0]["event"][:6]) == ("main", 1767225600.0, "CEF:0|")
    assert len(asked) == 3


def test_splunk_that_never_says_so_has_not_got_them() -> None:
    with receiver(lambda request: json({"acks": {"5": False}} if "ack" in request.path else {"ackId": 5})) as there:
        receipt = Splunk(CLIENT, to(there.url, "splunk"), "token", pause=lambda _: None).send(events(1))
    assert (receipt.answered, receipt.failure) == (0, Failure("took events, and did not say that they are indexed"))


def test_splunk_without_acknowledgement_is_believed() -> None:
    with receiver(lambda _: json({"text": "Success", "code": 0})) as there:
        assert Splunk(CLIENT, to(there.url, "splunk"), "token").send(events(2)) == Receipt(2)


def test_one_event_that_is_refused_does_not_keep_its_batch_from_arriving() -> None:
    def answer(request: Request) -> Reply:
        return json({"code": 6}, 400) if b"evt_a_5" in request.body else json({"code": 0})

    with receiver(answer) as there:
        receipt = Splunk(CLIENT, to(there.url, "splunk"), "token").send(events(16))
    assert receipt == Receipt(16, {5: "refused with status 400"})


def test_a_batch_is_cut_where_a_request_would_be_too_large() -> None:
    large = b'{"title":"' + b"x" * (MOST_BATCH_BYTES // 3) + b'"}'
    with receiver(lambda _: json({"code": 0})) as there:
        receipt = Splunk(CLIENT, to(there.url, "splunk"), "token").send(events(10, large))
    assert receipt == Receipt(2)
    assert len(there.requests[0].body) < MOST_BATCH_BYTES


def items(*statuses: int) -> Reply:
    return json({"errors": True, "items": [{"create": {"status": status}} for status in statuses]})


def test_elastic_is_told_identities_and_says_what_became_of_each_event() -> None:
    with receiver(lambda _: items(201, 409, 400, 201)) as there:
        receipt = Elastic(CLIENT, to(there.url, "elastic", "ecs", {"index": "alerts"}), "key").send(events(4))
    assert receipt == Receipt(4, {2: "refused with status 400"})
    [sent] = there.requests
    assert (sent.path, sent.headers["authorization"]) == ("/_bulk", "ApiKey key")
    lines = [msgspec.json.decode(each) for each in sent.body.splitlines()]
    assert lines[0] == {"create": {"_index": "alerts", "_id": "evt_a_0"}}
    assert lines[1]["@timestamp"] == "2026-01-01T00:00:00Z"
    assert len(lines) == 8


@pytest.mark.parametrize("reply", [items(201, 429, 201), items(201, 503, 201)])
def test_elastic_without_room_gets_the_rest_later(reply: Reply) -> None:
    with receiver(lambda _: reply) as there:
        receipt = Elastic(CLIENT, to(there.url, "elastic"), "key").send(events(3))
    assert receipt.answered == 1
    assert receipt.failure is not None


@pytest.mark.parametrize(
    "reply", [json({}), json({"items": []}), json([]), Reply(body=b"\xff"), items(0), items(201, 201)]
)
def test_nonsense_of_a_server_is_a_failure(reply: Reply) -> None:
    with receiver(lambda _: reply) as there:
        receipt = Elastic(CLIENT, to(there.url, "elastic"), "key").send(events(1))
    assert receipt.answered == 0
    assert receipt.failure is not None


def test_sentinel_logs_in_once_and_again_when_its_token_ends() -> None:
    def answer(request: Request) -> Reply:
        return json({"access_token": "t", "expires_in": 3_600}) if "oauth2" in request.path else Reply(204)

    now = [0.0]
    with receiver(answer) as there:
        target = to(there.url, "sentinel", options=LOGIN)
        sentinel = Sentinel(CLIENT, target, "secret", login=there.url, now=lambda: now[0])
        assert sentinel.send(events(2)) == sentinel.send(events(2)) == Receipt(2)
        now[0] = 3_500.0
        assert sentinel.send(events(1)) == Receipt(1)
    assert [each.path.split("?")[0] for each in there.requests] == [
        "/d/oauth2/v2.0/token", "/dataCollectionRules/dcr-1/streams/Custom-X",
        "/dataCollectionRules/dcr-1/streams/Custom-X", "/d/oauth2/v2.0/token",
        "/dataCollectionRules/dcr-1/streams/Custom-X",
    ]  # fmt: skip
    assert there.requests[1].headers["authorization"] == "Bearer t"
    assert [each["EventId"] for each in msgspec.json.decode(there.requests[1].body)] == ["evt_a_0", "evt_a_1"]


def test_sentinel_that_lets_nobody_in_gets_nothing() -> None:
    with receiver(lambda _: Reply(401)) as there:
        sentinel = Sentinel(CLIENT, to(there.url, "sentinel", options=LOGIN), "secret", login=there.url)
        assert sentinel.send(events(1)) == Receipt(0, {}, Failure("the login was answered with status 401"))


@contextmanager
def listening(context: ssl.SSLContext | None = None) -> Iterator[tuple[int, Callable[[], bytes]]]:
    """Take one connection, and give what came over it."""
    heard: list[bytes] = []

    def serve() -> None:
        connection, _ = listener.accept()
        try:
            if context:
                connection = context.wrap_socket(connection, server_side=True)
            with connection:
                while part := connection.recv(1 << 16):
                    heard.append(part)
        except OSError:
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()

        def ended() -> bytes:
            thread.join(10)
            return b"".join(heard)

        yield listener.getsockname()[1], ended


def entries(data: bytes) -> list[bytes]:
    """Read a stream of entries by their lengths."""
    found = []
    while data:
        size, _, data = data.partition(b" ")
        found.append(data[: int(size)])
        assert len(found[-1]) == int(size)
        data = data[int(size) :]
    return found


@pytest.mark.parametrize("chosen", ["cef", "leef", "json"])
def test_syslog_over_tcp_frames_each_entry(chosen: Format) -> None:
    with listening() as (port, heard):
        sender = Syslog(to(f"tcp://127.0.0.1:{port}", "syslog", chosen), LOOPBACK, host="here")
        assert sender.send(events(3)) == Receipt(3)
        found = entries(heard())
    assert [each.split(b" ")[0] for each in found] == [b"<110>1"] * 3
    assert b'id="evt_a_2"' in found[2]


def test_syslog_over_tls_trusts_whom_it_should_alone(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(certificate, key)
    with listening(served) as (port, heard):
        trusting = ssl.create_default_context(cafile=str(certificate))
        sender = Syslog(to(f"tls://127.0.0.1:{port}", "qradar", "leef"), LOOPBACK, trusting, "here")
        assert sender.send(events(2)) == Receipt(2)
        assert b"LEEF:2.0|" in entries(heard())[1]
    with listening(served) as (port, _):
        strange = Syslog(to(f"tls://127.0.0.1:{port}", "qradar", "leef"), LOOPBACK, host="here")
        failure = strange.send(events(1)).failure
    assert failure is not None
    assert failure.problem.startswith("did not take events: its certificate is not trusted: self")


def test_syslog_goes_to_no_address_that_is_not_allowed() -> None:
    failure = Syslog(to("tcp://127.0.0.1:9", "syslog", "cef"), host="here").send(events(1)).failure
    assert failure is not None
    assert "not public" in failure.problem
