"""Problems: every answer that is no success says what, where and what to do, as problem+json (RFC 9457)."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec
import structlog
from litestar.exceptions import HTTPException
from litestar.types import Scope, Send

from infraspectre.api.routing import allowed
from infraspectre.errors import (
    AccessError,
    ConflictError,
    InfraSpectreError,
    InputError,
    OutputError,
    OverloadError,
    UsageError,
)

PROBLEM_TYPE = "application/problem+json"
PROBLEMS_PATH = "/api/v1/problems"
RETRY_AFTER_S = 2
"""What clients are asked to wait where nothing better is known."""
MOST_FLAWS = 100
CLOSE_BASE = 4_000
"""Codes from here on are free for applications (RFC 6455 section 7.4.2): a refusal's is its HTTP status beyond this."""
log = structlog.get_logger("infraspectre.api")


class Kind(NamedTuple):
    """Is a kind of problem, told apart by the last part of its type."""

    status: int
    title: str
    meaning: str


KINDS: dict[str, Kind] = {
    "bad-request": Kind(400, "The request is not understood", "Something in the request has no or another meaning."),
    "unauthenticated": Kind(401, "Who asks is not known", "Send a key or an access token as a bearer token."),
    "forbidden": Kind(403, "Who asks may not do that", "The role lacks the permission that the operation needs."),
    "not-found": Kind(404, "There is no such thing", "It never was, is gone, or belongs to somebody else."),
    "method-not-allowed": Kind(405, "The method is not allowed here", "The header Allow names those that are."),
    "not-acceptable": Kind(406, "The answer has another content type", "Accept what the operation answers."),
    "too-slow": Kind(408, "The request came too slowly", "Its body has to be sent within the time limit."),
    "conflict": Kind(409, "The state forbids it", "It exists already, or somebody else is doing the same."),
    "changed-meanwhile": Kind(412, "It was changed meanwhile", "Read it again; If-Match names an older revision."),
    "too-large": Kind(413, "The request is too large", "Send less at once."),
    "unsupported-content": Kind(415, "The content type is not understood", "Send what the operation takes."),
    "not-valid": Kind(422, "The content cannot be taken", "It is understood, but cannot be done."),
    "precondition-required": Kind(428, "A condition is needed", "Send If-Match with the ETag that you have read."),
    "too-many-requests": Kind(429, "Too many requests", "Wait as long as Retry-After says."),
    "internal": Kind(500, "Something went wrong here", "It is in the log of the server under the request id."),
    "unavailable": Kind(503, "Something that is needed is down", "Try again when it is up; /health/ready tells."),
    "overloaded": Kind(503, "More is asked for than can be done now", "Wait as long as Retry-After says."),
    "timed-out": Kind(504, "It took too long", "Ask for less, or for a job."),
}
BY_STATUS = {kind.status: name for name, kind in KINDS.items()}


class Flaw(msgspec.Struct, frozen=True, omit_defaults=True):
    """Is one thing that is wrong with a request."""

    problem: str
    field: str = ""
    """The parameter, header or place in the body."""
    line: int = 0
    """The line of the body, from 1, where it has lines."""
    remedy: str = ""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Describes why a request was not answered as asked (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    """The path that was asked for."""
    request_id: str
    errors: list[Flaw] = []


class RefusedError(Exception):
    """Says why a request is refused, as a kind of problem."""

    def __init__(
        self, kind: str, detail: str, errors: list[Flaw] | None = None, headers: dict[str, str] | None = None
    ) -> None:
        """Name the kind of problem, and what about this request is so."""
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.errors = errors or []
        self.headers = headers or {}

    @property
    def status(self) -> int:
        """Return the HTTP status."""
        return KINDS[self.kind].status


ERROR_KINDS: tuple[tuple[type[InfraSpectreError], str], ...] = (
    (InputError, "bad-request"),
    (UsageError, "bad-request"),
    (ConflictError, "conflict"),
    (OverloadError, "overloaded"),
    (OutputError, "unavailable"),
    (AccessError, "forbidden"),
)


def refused_of(error: Exception, method: str) -> RefusedError:
    """Return how any error is told; what is not foreseen is told as nothing but that."""
    match error:
        case RefusedError():
            return error
        case InputError() if error.field == "after":
            return RefusedError("not-found", "there is no such page of this list", flaws_of(error))
        case ConflictError() if method != "POST":
            return RefusedError("changed-meanwhile", error.problem, flaws_of(error))
        case InfraSpectreError():
            kind = next((kind for kind_of, kind in ERROR_KINDS if isinstance(error, kind_of)), "internal")
            retry = {"retry-after": str(RETRY_AFTER_S)} if KINDS[kind].status == 503 else {}
            return RefusedError(kind, error.detail, flaws_of(error), retry)
        case HTTPException() if error.status_code in BY_STATUS and error.status_code < 500:
            return RefusedError(BY_STATUS[error.status_code], error.detail)
    return RefusedError("internal", "the request could not be answered")


@contextmanager
def about_content() -> Iterator[None]:
    """Tell of what cannot be done with a sound body as content that cannot be taken (422)."""
    try:
        yield
    except (InputError, UsageError) as error:
        raise RefusedError("not-valid", error.detail, flaws_of(error)) from error


def flaws_of(error: InfraSpectreError) -> list[Flaw]:
    """Return what an error and its others name; paths of this machine are not told."""
    return [
        Flaw(each.problem, each.field or "", each.line or 0, each.remedy or "")
        for each in [error, *error.others][:MOST_FLAWS]
    ]


def problem_of(refusal: RefusedError, path: str, request_id: str) -> Problem:
    """Return the problem that tells a refusal."""
    kind = KINDS[refusal.kind]
    return Problem(
        type=f"{PROBLEMS_PATH}/{refusal.kind}",
        title=kind.title,
        status=kind.status,
        detail=refusal.detail,
        instance=path,
        request_id=request_id,
        errors=refusal.errors,
    )


async def send_problem(scope: Scope, send: Send, error: Exception) -> None:
    """Answer with the problem of an error; what was not foreseen is logged with its traceback."""
    problem, headers = told(scope, error)
    given = [(b"content-type", PROBLEM_TYPE.encode()), *((k.encode(), v.encode()) for k, v in headers.items())]
    body = msgspec.json.encode(problem)
    given.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": problem.status, "headers": given})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def send_close(scope: Scope, send: Send, error: Exception) -> None:
    """Close a WebSocket for an error; what was not foreseen is logged with its traceback."""
    problem, _ = told(scope, error)
    await send({"type": "websocket.close", "code": CLOSE_BASE + problem.status, "reason": problem.detail})


def told(scope: Any, error: Exception) -> tuple[Problem, dict[str, str]]:
    """Return the problem of an error, and the headers that go with it."""
    refused = refused_of(error, scope.get("method", ""))
    request_id, path = scope["state"].get("request_id", ""), scope["path"]
    if refused.kind == "internal":
        trace = "".join(traceback.format_exception(error))  # without locals, among which are credentials
        log.error("unforeseen", request_id=request_id, path=path, traceback=trace)
    headers = dict(refused.headers)
    if refused.kind == "method-not-allowed":
        headers["allow"] = allowed(scope["litestar_app"], path)
    return problem_of(refused, path, request_id), headers
