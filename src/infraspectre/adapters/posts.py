"""Posts: one request to a receiver, of bounded time and answer, and what its answer means for those that follow."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

import httpx

from infraspectre.adapters.outgoing import EXCHANGE_S, Deadline, reason_of
from infraspectre.errors import AccessError
from infraspectre.records.delivery import Failure, Receipt
from infraspectre.telemetry import span

MOST_ANSWER = 1 << 20
"""Bytes of an answer that are read."""
BODY_S = 10.0
"""For the rest of an answer whose status is known."""
ABOUT_CONTENT = frozenset({400, 405, 406, 409, 411, 413, 414, 415, 422})
"""Statuses by which a receiver refuses what it was sent, and not to be sent anything."""
LONGEST_WAIT_S = 86_400.0


class Answer(NamedTuple):
    """Is what a receiver answered."""

    status: int
    body: bytes
    retry_after_s: float = 0.0

    @property
    def is_success(self) -> bool:
        """Tell whether what was sent was taken."""
        return 200 <= self.status < 300

    @property
    def refusal(self) -> str:
        """Return why the content was refused; empty where it was not, or not for what it is."""
        return f"refused with status {self.status}" if self.status in ABOUT_CONTENT else ""

    @property
    def failure(self) -> Failure:
        """Return what an answer that is no success says about the receiver."""
        return Failure(f"answered with status {self.status}", self.retry_after_s, is_gone=self.status == 410)


def post(
    client: httpx.Client,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    exchange_s: float = EXCHANGE_S,
    *,
    parent: str = "",
) -> Answer | Failure:
    """Send a request, and return the answer, or why there is none; redirects are not followed.

    The receiver is told of which trace it is: within the span of `parent`, else within the one around.
    """
    with span("POST", "client", {"http.request.method": "POST"}, parent=parent) as traced:
        told = {"traceparent": known} if (known := traced.traceparent or parent) else {}
        answer = exchanged(client, url, {**headers, **told}, body, exchange_s)
        if isinstance(answer, Failure):
            traced.end("no answer")
        else:
            traced.set({"http.response.status_code": answer.status})
            if answer.status >= 400:
                traced.end(str(answer.status))
        return answer


def exchanged(
    client: httpx.Client, url: str, headers: Mapping[str, str], body: bytes, exchange_s: float
) -> Answer | Failure:
    """Send a request, and return the answer, or why there is none within so many seconds."""
    with Deadline(exchange_s) as deadline:
        try:
            with client.stream(
                "POST", url, content=body, headers=headers, extensions={"trace": deadline.watch}
            ) as response:
                return Answer(response.status_code, beginning(response), retry_after(response.headers))
        except AccessError as error:
            return Failure(f"may not be called: it {error.message}")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            late = f"did not answer within {exchange_s:g} s"
            return Failure(late if deadline.is_over else f"did not answer: {reason_of(error)}")


def refused_alike(count: int, answer: Answer) -> Receipt:
    """Return that a batch was refused as a whole: alone, its one event is; else less is to be sent at once."""
    return Receipt(count, dict.fromkeys(range(count), answer.refusal))


def accepted(answer: Answer | Failure, count: int) -> Answer | Receipt:
    """Return the answer to a batch that was taken, else what became of the batch."""
    if isinstance(answer, Failure):
        return Receipt(0, {}, answer)
    if answer.refusal:
        return refused_alike(count, answer)
    return answer if answer.is_success else Receipt(0, {}, answer.failure)


def beginning(response: httpx.Response) -> bytes:
    """Return the first bytes of an answer, as many as come in time."""
    until = time.monotonic() + BODY_S
    body = bytearray()
    for part in response.iter_raw(1 << 16):
        body += part
        if len(body) >= MOST_ANSWER or time.monotonic() > until:
            break
    return bytes(body[:MOST_ANSWER])


def retry_after(headers: httpx.Headers) -> float:
    """Return for how many seconds a receiver wants to be left alone (RFC 9110 section 10.2.3), at most a day."""
    written = headers.get("retry-after", "").strip()
    if written.isascii() and written.isdecimal():
        return min(float(written[:9]), LONGEST_WAIT_S)
    try:
        until = parsedate_to_datetime(written)
    except (ValueError, OverflowError):  # no date, or one beyond all numbers
        return 0.0
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return min(max((until - datetime.now(UTC)).total_seconds(), 0.0), LONGEST_WAIT_S)
