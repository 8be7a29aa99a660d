"""What routes there are: the methods of a path, and the name of an operation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import Litestar, Router
from litestar.exceptions import HTTPException
from litestar.types import ControllerRouterHandler, Method

METHODS: tuple[Method, ...] = ("DELETE", "GET", "PATCH", "POST", "PUT")


def allowed(app: Litestar, path: str) -> str:
    """Return the value of Allow for a path; of one that does not exist, that is OPTIONS alone."""
    found = [method for method in METHODS if is_routed(app, path, method)]
    return ", ".join(sorted([*found, "OPTIONS", *(["HEAD"] if "GET" in found else [])]))


def is_routed(app: Litestar, path: str, method: Method) -> bool:
    """Tell whether a path has a method."""
    try:
        app.asgi_router.handle_routing(path=path.rstrip("/") or "/", method=method)
    except HTTPException:
        return False
    return True


def grouped(handlers: Sequence[ControllerRouterHandler]) -> list[ControllerRouterHandler]:
    """Return handlers so that all of a path are registered at once.

    One after another, those that run in threads would be wrapped once for each (Litestar 2.25).
    """
    return [Router("/", route_handlers=handlers)]


def operation_name(handler: Any) -> str:
    """Return the name of an operation, such as add_user: that of its function, which may run in threads."""
    return str(getattr(handler.fn, "func", handler.fn).__name__)
