"""Following the stream: events as they happen, over server-sent events, without loss across broken connections."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import httpx
import msgspec

from infraspectre.client.connection import ProblemError, problem_of

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
SILENCE_S = 60.0
"""The server says something every 15 s; after so long the connection is dead."""
FATAL = frozenset({400, 401, 403, 404, 406, 422})
"""Statuses that asking again does not change."""


class Message(NamedTuple):
    """Is one message of the stream."""

    kind: str
    """events, summary, gap, throttle, subscribed or error; `lost` is of the client itself: the connection broke."""
    position: str
    data: dict[str, Any]


def follow(
    http: httpx.Client,
    key: str,
    *,
    channels: Sequence[str] = (),
    filters: Sequence[str] = (),
    resume: str = "",
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[Message]:
    """Yield messages for ever; after a break, those that came meanwhile first.

    Raises ProblemError for what is refused.
    """
    failures = 0
    while True:
        headers = {"authorization": f"Bearer {key}", "accept": "text/event-stream"}
        if resume:
            headers["last-event-id"] = resume
        asked = {"channel": list(channels), "filter": list(filters)}
        try:
            with http.stream("GET", "/api/v1/stream", params=asked, headers=headers, timeout=SILENCE_S) as answer:
                if answer.status_code in FATAL:
                    answer.read()
                    raise ProblemError(answer.status_code, problem_of(answer))
                answer.raise_for_status()
                for message in messages(answer.iter_lines()):
                    failures = 0
                    resume = message.position or resume
                    yield message
            reason = "the server ended it"
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
        failures += 1
        yield Message("lost", resume, {"reason": reason})
        longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**failures)
        pause(longest * (0.5 + random.random() / 2))  # noqa: S311 - no secret


def messages(lines: Iterable[str]) -> Iterator[Message]:
    """Yield the messages of a stream of lines (HTML Living Standard, section 9.2.6)."""
    kind, position, data = "", "", []
    for line in lines:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "event":
                kind = value
            case "id":
                position = value
            case "data":
                data.append(value)
            case "" if not line:
                if data:
                    yield Message(kind or "message", position, msgspec.json.decode("\n".join(data)))
                kind, position, data = "", "", []
