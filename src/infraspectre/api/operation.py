"""Operations: the short way from a request to the function of its route, and from what that returns to the answer.

Litestar declares routes, finds them and describes them. What it would find out anew for every request, such as which
parameters a function takes and which of them are the same for all, is found out here once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Litestar, Request, Response
from litestar.routes import HTTPRoute
from litestar.types import Receive, Send

from infraspectre.api.bodies import JSON_TYPE, body_of
from infraspectre.api.compression import LEAST, may_compress, shrunk
from infraspectre.api.parameters import Parameters
from infraspectre.api.problems import send_problem

if TYPE_CHECKING:
    from litestar._kwargs import KwargsModel
    from litestar._kwargs.dependencies import DependencyContainer
    from litestar.handlers import HTTPRouteHandler

OF_A_REQUEST: Mapping[str, Callable[[Any, Receive, Send], Any]] = {
    "scope": lambda scope, receive, send: scope,
    "state": lambda scope, receive, send: scope["litestar_app"].state,
    "request": Request,
}
"""What functions may take of a request beside its parameters and its body, by the names that Litestar gives them."""
BODILESS = frozenset({204, 304})
"""Statuses of answers without a body (RFC 9110 sections 15.3.5 and 15.4.5)."""
ENCODER = msgspec.json.Encoder()
JSON = JSON_TYPE.encode()


def operations_of(app: Litestar) -> dict[tuple[str, str], Operation]:
    """Return the operations of an application by path and method."""
    return {
        (route.path_format, method): Operation(handler, model)
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method, (handler, model) in route.route_handler_map.items()
    }


class Operation:
    """Answers the requests for a path and method."""

    def __init__(self, handler: HTTPRouteHandler, model: KwargsModel) -> None:
        """Find out what the function of the route takes; dependencies that take nothing are the same for all."""
        self._handler = handler
        self._names = tuple(handler.parsed_fn_signature.parameters)
        self._reserved = [(name, made) for name, made in OF_A_REQUEST.items() if name in model.expected_reserved_kwargs]
        self._may_compress = may_compress(handler.opt) and "GET" in handler.http_methods
        self._most = handler.resolve_request_max_body_size() or 0
        self._data = handler.parsed_data_field.annotation if handler.parsed_data_field else None
        provided = [each for batch in model.dependency_batches for each in batch]
        kinds = {name: kind for each in provided for name, kind in annotations_of(each).items()}
        self._parameters = Parameters(model, kinds | handler.signature_model.__annotations__)
        self._constants = {each.key: each.provide.dependency() for each in provided if not annotations_of(each)}
        self._dependencies = [
            (each.key, each.provide.dependency, tuple(annotations_of(each)))
            for each in provided
            if each.key not in self._constants
        ]

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer a request, and tell what goes wrong as any other answer, so that all that is around sees it."""
        try:
            await self._answer(scope, receive, send)
        except Exception as error:
            if scope["state"]["answer"].status:
                raise
            await send_problem(scope, send, error)

    async def _answer(self, scope: Any, receive: Receive, send: Send) -> None:
        given = {**self._constants, **self._parameters.read(scope)}
        if self._data is not None:
            given["data"] = await body_of(scope, receive, self._data, self._most)
        for name, made in self._reserved:
            given[name] = made(scope, receive, send)
        for name, function, fields in self._dependencies:
            given[name] = function(**{field: given[field] for field in fields})
        found: Any = self._handler.fn(**{name: given[name] for name in self._names})
        await self._send(found if self._handler.has_sync_callable else await found, scope, receive, send)

    async def _send(self, found: Any, scope: Any, receive: Receive, send: Send) -> None:
        """Send what a function returned: mostly values or answers that are whole, else what sends by itself."""
        if callable(found) or (isinstance(found, Response) and type(found) is not Response):
            request: Request[Any, Any, Any] = Request(scope, receive, send)
            made: Any = await self._handler.to_response(scope["litestar_app"], found, request)
            await made(scope, receive, send)
            return
        answer = found if isinstance(found, Response) else Response(found)
        status = answer.status_code or self._handler.status_code
        headers = [(name.lower().encode(), str(value).encode("latin-1")) for name, value in answer.headers.items()]
        headers += [each.to_encoded_header() for each in answer.cookies]
        body = b""
        if status not in BODILESS:
            body, kind = encoded(answer.content), content_type(answer)
            if len(body) >= LEAST and self._may_compress and kind == JSON:
                body, headers = await shrunk(scope, body, headers)
            headers += [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


def annotations_of(provided: DependencyContainer) -> dict[str, Any]:
    """Return what a dependency takes, by name."""
    return provided.provide.signature_model.__annotations__ if provided.provide.signature_model._fields else {}


def encoded(content: Any) -> bytes:
    """Return the body of an answer: bytes and text as they are, all else as JSON."""
    if isinstance(content, bytes):
        return content
    return content.encode() if isinstance(content, str) else ENCODER.encode(content)


def content_type(answer: Response[Any]) -> bytes:
    """Return the content type of an answer, that of text with its encoding."""
    kind = str(answer.media_type or JSON_TYPE)
    return (f"{kind}; charset=utf-8" if kind.startswith("text/") else kind).encode()
