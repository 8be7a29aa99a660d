"""The application: all routes within one frame, one policy and one form of problems."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

from litestar import Request
from litestar.concurrency import sync_to_thread
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.types import ControllerRouterHandler

from infraspectre.api.access.authentication import Authentication
from infraspectre.api.access.policy import Policy
from infraspectre.api.bodies import MOST_BODY, StrictRequest
from infraspectre.api.etags import expected
from infraspectre.api.frame import Api
from infraspectre.api.problems import answer_problem
from infraspectre.api.routes import analysis, exports, health, incidents, models, predictions, tables, users
from infraspectre.records.access import Principal
from infraspectre.serving.platform import Platform

HANDLERS: tuple[ControllerRouterHandler, ...] = tuple(
    handler
    for part in (health, users, incidents, exports, tables, predictions, models, analysis)
    for handler in part.HANDLERS
)
"""Every route; whoever adds one says in its `opt` which permission it needs."""


def make_app(platform: Platform, handlers: Sequence[ControllerRouterHandler] = HANDLERS) -> Api:
    """Return the application that answers for a platform."""
    return Api(
        route_handlers=[fresh(each) for each in handlers],
        middleware=[Policy(Authentication(platform))],
        dependencies={
            "platform": Provide(lambda: platform, sync_to_thread=False, use_cache=True),
            "principal": Provide(principal_of, sync_to_thread=False),
            "expected": Provide(expected, sync_to_thread=False),
        },
        exception_handlers={Exception: answer_problem},
        request_class=StrictRequest,
        request_max_body_size=MOST_BODY,
        openapi_config=None,
        logging_config=None,
    )


def fresh(handler: ControllerRouterHandler) -> ControllerRouterHandler:
    """Return a copy of a route, as registration changes it, that runs in a thread if it says so.

    Litestar itself wraps a function once more for each further method of its path, and then awaits only the outermost.
    """
    own = copy(handler)
    if isinstance(own, HTTPRouteHandler) and own.sync_to_thread and not iscoroutinefunction(own.fn):
        own._fn = threaded(own.fn)
    return own


def threaded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a coroutine function that runs a function in a thread."""

    @wraps(function)
    async def run(**arguments: Any) -> Any:
        return await sync_to_thread(function, **arguments)

    return run


def principal_of(request: Request[Any, Any, Any]) -> Principal:
    """Return on whose behalf a request is answered."""
    principal: Principal = request.user
    return principal
