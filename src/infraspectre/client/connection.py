"""The connection of the client: requests out, answers or problems back, and patience with a busy server."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from infraspectre.errors import InfraSpectreError

T = TypeVar("T")
ATTEMPTS = 4
BUSY = frozenset({429, 503})
"""Statuses that say when to ask again."""
LONGEST_PAUSE_S = 30.0


class ProblemError(InfraSpectreError):
    """Says why the server did not do what was asked (RFC 9457)."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        """Take the problem that the server told."""
        flaws = problem.get("errors") or [{}]
        detail = str(problem.get("detail") or problem.get("title") or f"status {status}")
        super().__init__(detail, field=flaws[0].get("field") or None, remedy=flaws[0].get("remedy") or None)
        self.status = status
        self.kind = str(problem.get("type", "")).rpartition("/")[2]
        self.request_id = str(problem.get("request_id", ""))


class Connection:
    """Sends requests on behalf of a key; what a busy server refused is sent again."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        verify: bool | str = True,
        timeout_s: float = 60.0,
        http: httpx.Client | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Speak with the server at an address such as https://127.0.0.1:8443; `verify` may name a CA file."""
        self._http = http or httpx.Client(base_url=url, verify=verify, timeout=timeout_s)
        self._headers = {"authorization": f"Bearer {key}"}
        self._pause = pause

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._http.close()

    def ask(
        self,
        method: str,
        path: str,
        returns: type[T],
        *,
        within: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | None] | None = None,
        body: Any = None,
    ) -> T:
        """Send a request and return its answer as a type; raises ProblemError."""
        chosen = {name: value for name, value in (query or {}).items() if value is not None}
        sent = self._headers | {name: value for name, value in (headers or {}).items() if value is not None}
        content = None if body is None else encoded(body)
        if body is not None:
            sent["content-type"] = "application/x-ndjson" if isinstance(body, bytes) else "application/json"
        if method == "POST":
            sent.setdefault("idempotency-key", secrets.token_hex(16))  # so that sending again does nothing twice
        for name, value in (within or {}).items():
            path = path.replace(f"{{{name}}}", quote(value, safe=":@"))
        answer = self._sent(method, path, chosen, sent, content)
        if answer.status_code >= 400:
            raise ProblemError(answer.status_code, problem_of(answer))
        return decoded(answer, returns)

    def _sent(
        self, method: str, path: str, query: Mapping[str, Any], headers: Mapping[str, str], content: bytes | None
    ) -> httpx.Response:
        for attempt in range(1, ATTEMPTS + 1):
            answer = self._http.request(method, path, params=query, headers=dict(headers), content=content)
            if answer.status_code not in BUSY or attempt == ATTEMPTS:
                break
            self._pause(pause_of(answer, attempt))
        return answer


def pause_of(answer: httpx.Response, attempt: int) -> float:
    """Return how many seconds to wait: what the server says, else ever longer, and never all at once."""
    told = answer.headers.get("retry-after", "")
    least = float(told) if told.isdecimal() else 0.5 * 2**attempt
    return min(LONGEST_PAUSE_S, least) * (1 + random.random() / 4)  # noqa: S311 - no secret


def encoded(body: Any) -> bytes:
    """Return a body as JSON; bytes are sent as they are."""
    return body if isinstance(body, bytes) else msgspec.json.encode(body)


def decoded(answer: httpx.Response, returns: type[T]) -> T:
    """Return an answer as a type; what newer servers add is passed over."""
    if returns is bytes:
        return answer.content  # type: ignore[return-value]
    if returns is type(None):
        return None
    return msgspec.json.decode(answer.content, type=returns)


def problem_of(answer: httpx.Response) -> Mapping[str, Any]:
    """Return the problem that an answer tells; of one that tells none, its status."""
    try:
        problem = msgspec.json.decode(answer.content)
    except msgspec.DecodeError:
        problem = None
    return problem if isinstance(problem, dict) else {"title": answer.reason_phrase}


def pages(ask: Callable[..., Any], **arguments: Any) -> Iterator[Any]:
    """Yield the items of all pages of a list, such as `pages(client.list_incidents, order="-value")`."""
    after = arguments.pop("after", None)
    while True:
        page = ask(**arguments, after=after)
        yield from page.items
        after = page.next
        if not after:
            return
