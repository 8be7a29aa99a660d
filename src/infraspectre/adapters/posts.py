"""Posts: one request to a receiver, of bounded time and answer, and what its answer means for those that follow."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

import httpx

from infraspectre.errors import AccessError
from infraspectre.records.delivery import Failure
from infraspectre.telemetry import span

MOST_ANSWER = 1 << 20
"""Bytes of an answer that are read."""
PATIENCE_S = 30.0
"""Until the end of an answer that has begun."""
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
    client: httpx.Client, url: str, headers: Mapping[str, str], body: bytes, *, parent: str = ""
) -> Answer | Failure:
    """Send a request, and return the answer, or why there is none; redirects are not followed.

    The receiver is told of which trace it is: within the span of `parent`, else within the one around.
    """
    with span("POST", "client", {"http.request.method": "POST"}, parent=parent) as traced:
        told = {"traceparent": known} if (known := traced.traceparent or parent) else {}
        try:
            with client.stream("POST", url, content=body, headers={**headers, **told}) as response:
                answer = Answer(response.status_code, beginning(response), retry_after(response.headers))
        except AccessError as error:
            traced.end(type(error).__name__)
            return Failure(f"may not be called: it {error.message}")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            traced.end(type(error).__name__)
            return Failure(f"did not answer: {type(error).__name__}")
        traced.set({"http.response.status_code": answer.status})
        if answer.status >= 400:
            traced.end(str(answer.status))
        return answer


def beginning(response: httpx.Response) -> bytes:
    """Return the first bytes of an answer, as many as come in time."""
    until = time.monotonic() + PATIENCE_S
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
    except ValueError:
        return 0.0
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return min(max((until - datetime.now(UTC)).total_seconds(), 0.0), LONGEST_WAIT_S)
