"""The application: all routes within one frame, one policy and one form of problems."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import Request
from litestar.di import Provide
from litestar.types import ControllerRouterHandler

from infraspectre.api.access.authentication import Authentication
from infraspectre.api.access.policy import Policy
from infraspectre.api.bodies import MOST_BODY, StrictRequest
from infraspectre.api.etags import expected
from infraspectre.api.frame import Api
from infraspectre.api.problems import answer_problem
from infraspectre.api.routes import health, users
from infraspectre.records.access import Principal
from infraspectre.serving.platform import Platform

HANDLERS: tuple[ControllerRouterHandler, ...] = (*health.HANDLERS, *users.HANDLERS)
"""Every route; whoever adds one says in its `opt` which permission it needs."""


def make_app(platform: Platform, handlers: Sequence[ControllerRouterHandler] = HANDLERS) -> Api:
    """Return the application that answers for a platform."""
    return Api(
        route_handlers=handlers,
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


def principal_of(request: Request[Any, Any, Any]) -> Principal:
    """Return on whose behalf a request is answered."""
    principal: Principal = request.user
    return principal
