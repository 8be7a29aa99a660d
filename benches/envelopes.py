"""What receivers get over HTTP, as they get it: the bodies of the requests that senders make for hostile events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx
import msgspec

from infraspectre.adapters.siem.formats import value_of
from infraspectre.adapters.siem.senders import Elastic, Splunk
from infraspectre.records.delivery import Destination, Format, Kind, Outgoing, Receipt

INDEX = "logs-x"


def destination(kind: Kind, chosen: Format) -> Destination:
    """Return a receiver that nobody listens for."""
    options = {"index": INDEX}
    return Destination(
        key="x", kind=kind, name="x", url="https://x.invalid", created_at=0, format=chosen, options=options
    )


class Taken:
    """Takes requests in place of a network, and keeps their bodies."""

    def __init__(self) -> None:
        """Begin with none."""
        self.bodies: list[bytes] = []
        self.client = httpx.Client(transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.bodies.append(request.content)
        count = request.content.count(b"\n") // 2
        answer = msgspec.json.encode({"items": [{"create": {"status": 201}}] * count})
        return httpx.Response(200, stream=httpx.ByteStream(answer))


def splunk_bodies(events: Sequence[Outgoing], chosen: Format) -> list[bytes]:
    """Return what an HTTP Event Collector is sent."""
    taken = Taken()
    sent(Splunk(taken.client, destination("splunk", chosen), "token"), events)
    return taken.bodies


def elastic_bodies(events: Sequence[Outgoing], chosen: Format) -> list[bytes]:
    """Return what `_bulk` is sent."""
    taken = Taken()
    sent(Elastic(taken.client, destination("elastic", chosen), "key"), events)
    return taken.bodies


def sent(sender: Splunk | Elastic, events: Sequence[Outgoing]) -> None:
    """Send all events, in as many requests as they need."""
    while events:
        receipt: Receipt = sender.send(events)
        assert receipt.answered
        assert not receipt.refused
        events = events[receipt.answered :]


def splunk_wanted(outgoing: Outgoing, chosen: Format) -> list[Any]:
    """Return what of an event has to be read in the body for an HTTP Event Collector."""
    fields = {"event_id": outgoing.key, "tenant": outgoing.event.tenant}
    head = {"time": 1_767_229_200.5, "source": "infraspectre", "sourcetype": f"infraspectre:{chosen}", "index": INDEX}
    return [{**head, "event": plainly(value_of(outgoing, chosen)), "fields": fields}]


def elastic_wanted(outgoing: Outgoing, chosen: Format) -> list[Any]:
    """Return what of an event has to be read in the body for `_bulk`."""
    value = plainly(value_of(outgoing, chosen))
    document = {"message": value} if isinstance(value, str) else value
    return [{"create": {"_index": INDEX, "_id": outgoing.key}}, {"@timestamp": outgoing.event.at} | document]


def plainly(value: Any) -> Any:
    """Return a value as plain objects."""
    return msgspec.json.decode(msgspec.json.encode(value))
