"""Senders: what brings events to Splunk, Elastic, Sentinel, and to whatever takes syslog, such as QRadar."""

from __future__ import annotations

import socket
import ssl
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import msgspec

from infraspectre.adapters.outgoing import Deadline, connected, reason_of, trusted
from infraspectre.adapters.posts import Answer, accepted, post
from infraspectre.adapters.siem.facts import Facts, facts_of, milliseconds
from infraspectre.adapters.siem.formats import as_line, as_value, value_of
from infraspectre.adapters.siem.lines import framed, syslog
from infraspectre.adapters.siem.objects import encoded
from infraspectre.errors import AccessError
from infraspectre.records.delivery import Destination, Failure, Outgoing, Receipt

JSON = {"content-type": "application/json", "user-agent": "InfraSpectre"}
MOST_BATCH_BYTES = 900 << 10
"""Bytes of one request: Sentinel takes no more than 1 MiB, others more."""
ACKNOWLEDGED_S = 20.0
"""How long it is asked whether an indexer has what it was sent."""
ASK_S = 0.25
PARTING_S = 2.0
"""How long the other end has to say that it has read everything."""
LOGIN = "https://login.microsoftonline.com"
SCOPE = "https://monitor.azure.com/.default"
EARLY_S = 120.0
"""An access token is not used for its last seconds."""
NO_ROOM = 429
CONFLICT = 409
SERVER_ERROR = 500


def halved(send: Callable[[Sequence[Outgoing]], Receipt], events: Sequence[Outgoing]) -> Receipt:
    """Send events; of a batch that is refused as a whole, halves are tried, so that good events of it arrive."""
    receipt = send(events)
    if receipt.failure or receipt.answered < 2 or len(receipt.refused) < receipt.answered:
        return receipt
    middle = receipt.answered // 2
    first = halved(send, events[:middle])
    if first.failure or first.answered < middle:
        return first
    second = halved(send, events[middle : receipt.answered])
    refused = {**first.refused, **{middle + index: problem for index, problem in second.refused.items()}}
    return Receipt(middle + second.answered, refused, second.failure)


def fitting(parts: Sequence[bytes]) -> int:
    """Return how many parts fit into one request, at least one."""
    size = 0
    for index, part in enumerate(parts):
        size += len(part) + 1
        if size > MOST_BATCH_BYTES and index:
            return index
    return len(parts)


class Splunk:
    """Sends to an HTTP Event Collector, and waits until its indexer has the events where it acknowledges."""

    def __init__(
        self, client: httpx.Client, destination: Destination, token: str, pause: Callable[[float], None] = time.sleep
    ) -> None:
        """Send to a collector by a token; `index` and `sourcetype` are options."""
        self._client, self._url, self._format = client, destination.url.rstrip("/"), destination.format
        self._named = {name: destination.options[name] for name in ("index",) if name in destination.options}
        self._type = destination.options.get("sourcetype", f"infraspectre:{destination.format}")
        self._channel = str(uuid.uuid5(uuid.NAMESPACE_URL, f"infraspectre {destination.key}"))
        self._headers = {**JSON, "authorization": f"Splunk {token}", "x-splunk-request-channel": self._channel}
        self._pause = pause

    def send(self, events: Sequence[Outgoing]) -> Receipt:
        """Hand over events."""
        return halved(self._send, events)

    def _send(self, events: Sequence[Outgoing]) -> Receipt:
        parts = self.parts(events)
        count = fitting(parts)
        answer = post(self._client, f"{self._url}/services/collector/event", self._headers, self.body(parts[:count]))
        taken = accepted(answer, count)
        if isinstance(taken, Receipt):
            return taken
        failure = self._acknowledged(taken)
        return Receipt(0, {}, failure) if failure else Receipt(count)

    def parts(self, events: Sequence[Outgoing]) -> list[bytes]:
        """Return what each event becomes in a request."""
        return [encoded(self._enveloped(each)) for each in events]

    def body(self, parts: Sequence[bytes]) -> bytes:
        """Return the body of a request."""
        return b"\n".join(parts)

    def _enveloped(self, outgoing: Outgoing) -> dict[str, Any]:
        return {
            "time": milliseconds(outgoing.event.at) / 1_000,
            "source": "infraspectre",
            "sourcetype": self._type,
            **self._named,
            "event": value_of(outgoing, self._format),
            "fields": {"event_id": outgoing.key, "tenant": outgoing.event.tenant},
        }

    def _acknowledged(self, answer: Answer) -> Failure | None:
        """Wait until an indexer has what was sent; return a failure where it does not say so in time."""
        number = decoded(answer.body).get("ackId")
        if not isinstance(number, int):
            return None
        asked = msgspec.json.encode({"acks": [number]})
        for _ in range(int(ACKNOWLEDGED_S / ASK_S)):
            told = post(
                self._client, f"{self._url}/services/collector/ack?channel={self._channel}", self._headers, asked
            )
            if isinstance(told, Failure):
                return told
            acks = decoded(told.body).get("acks")
            if isinstance(acks, dict) and acks.get(str(number)) is True:
                return None
            self._pause(ASK_S)
        return Failure("took events, and did not say that they are indexed")


def decoded(body: bytes) -> dict[str, Any]:
    """Return the object of an answer; an empty one for anything else."""
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return {}


class Elastic:
    """Sends to an index or data stream by `_bulk`; each event has its identity, so that none is there twice."""

    def __init__(self, client: httpx.Client, destination: Destination, key: str) -> None:
        """Send to a cluster by an API key; the option `index` names where to."""
        self._client, self._url, self._format = client, destination.url.rstrip("/"), destination.format
        self._index = destination.options.get("index", "logs-infraspectre-default")
        self._headers = {**JSON, "content-type": "application/x-ndjson", "authorization": f"ApiKey {key}"}

    def send(self, events: Sequence[Outgoing]) -> Receipt:
        """Hand over events."""
        return halved(self._send, events)

    def _send(self, events: Sequence[Outgoing]) -> Receipt:
        parts = self.parts(events)
        count = fitting(parts)
        answer = post(self._client, f"{self._url}/_bulk", self._headers, self.body(parts[:count]))
        taken = accepted(answer, count)
        return taken if isinstance(taken, Receipt) else itemised(decoded(taken.body), count)

    def parts(self, events: Sequence[Outgoing]) -> list[bytes]:
        """Return what each event becomes in a request: two lines."""
        return [self._action(each) for each in events]

    def body(self, parts: Sequence[bytes]) -> bytes:
        """Return the body of a request."""
        return b"".join(parts)

    def _action(self, outgoing: Outgoing) -> bytes:
        action = {"create": {"_index": self._index, "_id": outgoing.key}}
        return encoded(action) + b"\n" + document_of(value_of(outgoing, self._format), outgoing.event.at) + b"\n"


def document_of(value: Any, at: str) -> bytes:
    """Return a value as a document with the time that data streams ask for, its own where it has one."""
    if isinstance(value, dict):  # which others may have posted
        return encoded({**value, "@timestamp": value.get("@timestamp", at)})
    written = encoded({"message": value} if isinstance(value, str) else value)
    return written if written.startswith(b'{"@timestamp":') else b'%b,"@timestamp":%b}' % (written[:-1], encoded(at))


def itemised(answer: Mapping[str, Any], count: int) -> Receipt:
    """Return what a bulk answer says of each event; what was there already has arrived."""
    items = answer.get("items")
    if not isinstance(items, list) or len(items) != count:
        return Receipt(0, {}, Failure("answered something that is no answer to a bulk request"))
    refused: dict[int, str] = {}
    for index, item in enumerate(items):
        status = status_of(item)
        if status == NO_ROOM or status >= SERVER_ERROR or status <= 0:
            return Receipt(index, refused, Failure(f"answered with status {status} for an event"))
        if not (200 <= status < 300 or status == CONFLICT):
            refused[index] = f"refused with status {status}"
    return Receipt(count, refused)


def status_of(item: object) -> int:
    """Return the status of an item of a bulk answer; 0 for what is none."""
    created = item.get("create") if isinstance(item, dict) else None
    status = created.get("status") if isinstance(created, dict) else None
    return status if isinstance(status, int) else 0


class Sentinel:
    """Sends to Microsoft Sentinel by the Logs Ingestion API, as an application that may."""

    def __init__(
        self,
        client: httpx.Client,
        destination: Destination,
        secret: str,
        login: str = LOGIN,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Send to an endpoint; options: directory, client, rule (immutable id of the data collection rule), stream."""
        self._client, self._format, self._secret, self._now = client, destination.format, secret, now
        options = {name: quote(value, safe="") for name, value in destination.options.items()}
        self._application = destination.options["client"]
        self._login = f"{login}/{options['directory']}/oauth2/v2.0/token"
        path = f"/dataCollectionRules/{options['rule']}/streams/{options['stream']}?api-version=2023-01-01"
        self._url = destination.url.rstrip("/") + path
        self._token, self._good_until = "", 0.0

    def send(self, events: Sequence[Outgoing]) -> Receipt:
        """Hand over events."""
        return halved(self._send, events)

    def _send(self, events: Sequence[Outgoing]) -> Receipt:
        failure = self._logged_in()
        if failure:
            return Receipt(0, {}, failure)
        parts = self.parts(events)
        count = fitting(parts)
        headers = {**JSON, "authorization": f"Bearer {self._token}"}
        answer = post(self._client, self._url, headers, self.body(parts[:count]))
        taken = accepted(answer, count)
        if isinstance(taken, Receipt):
            self._token = "" if taken.failure else self._token
            return taken
        return Receipt(count)

    def parts(self, events: Sequence[Outgoing]) -> list[bytes]:
        """Return what each event becomes in a request: a row of the stream."""
        return [encoded(self._row(facts_of(each))) for each in events]

    def body(self, parts: Sequence[bytes]) -> bytes:
        """Return the body of a request."""
        return b"[" + b",".join(parts) + b"]"

    def _row(self, facts: Facts) -> dict[str, Any]:
        event = facts.event
        return {
            "TimeGenerated": event.at,
            "EventId": facts.key,
            "Tenant": event.tenant,
            "Kind": event.kind,
            "Severity": event.severity,
            "Title": facts.title,
            "Event": as_value(facts, self._format),
        }

    def _logged_in(self) -> Failure | None:
        """Get an access token unless the one before is still good; return why there is none."""
        if self._token and self._now() < self._good_until:
            return None
        form = {
            "grant_type": "client_credentials",
            "client_id": self._application,
            "client_secret": self._secret,
            "scope": SCOPE,
        }
        headers = {**JSON, "content-type": "application/x-www-form-urlencoded"}
        answer = post(self._client, self._login, headers, urlencode(form).encode())
        if isinstance(answer, Failure):
            return answer
        told = decoded(answer.body)
        token, lasts = told.get("access_token"), told.get("expires_in")
        if not answer.is_success or not isinstance(token, str) or not isinstance(lasts, int):
            return Failure(f"the login was answered with status {answer.status}", answer.retry_after_s)
        self._token, self._good_until = token, self._now() + lasts - EARLY_S
        return None


class Syslog:
    """Sends entries of syslog over TLS (RFC 5425) or TCP (RFC 6587), each with its length before it.

    Syslog has no acknowledgement. A batch counts as delivered when the other end closed after it, or took it without a
    reset; what a receiver loses afterwards nobody can know.
    """

    def __init__(
        self,
        destination: Destination,
        allowed: Sequence[str] = (),
        context: ssl.SSLContext | None = None,
        host: str | None = None,
    ) -> None:
        """Send to `tls://HOST:PORT` or `tcp://HOST:PORT`, to public addresses and those within allowed networks."""
        self._url, self._format, self._allowed = destination.url, destination.format, tuple(allowed)
        self._context = context or trusted()
        self._host = host or socket.gethostname()

    def send(self, events: Sequence[Outgoing]) -> Receipt:
        """Hand over events."""
        entries = self.body(self.parts(events))
        try:
            with Deadline() as deadline, self._connected(deadline) as connection:
                connection.sendall(entries)
                parted(connection)
        except AccessError as error:
            return Receipt(0, {}, Failure(f"may not be called: it {error.message}"))
        except OSError as error:
            return Receipt(0, {}, Failure(f"did not take events: {reason_of(error)}"))
        return Receipt(len(events))

    def parts(self, events: Sequence[Outgoing]) -> list[bytes]:
        """Return what each event becomes on a connection: an entry with its length before it."""
        return [framed(syslog(each, as_line(each, self._format), self._host)) for each in map(facts_of, events)]

    def body(self, parts: Sequence[bytes]) -> bytes:
        """Return what is sent over a connection."""
        return b"".join(parts)

    def _connected(self, deadline: Deadline) -> socket.socket:
        target, connection = connected(self._url, ("tls", "tcp"), self._allowed)
        deadline.over(connection)
        if target.scheme == "tcp":
            return connection
        try:
            return self._context.wrap_socket(connection, server_hostname=target.host)
        except OSError:
            connection.close()
            raise


def parted(connection: socket.socket) -> None:
    """Say that nothing more comes, and wait a little for the other end to close; raises OSError where it resets."""
    connection.settimeout(PARTING_S)
    try:
        plain = connection.unwrap() if isinstance(connection, ssl.SSLSocket) else connection
        plain.shutdown(socket.SHUT_WR)
        while plain.recv(1 << 12):
            pass
    except (TimeoutError, ssl.SSLEOFError):
        return  # it keeps the connection open, or closes it without a word of TLS, as many do
