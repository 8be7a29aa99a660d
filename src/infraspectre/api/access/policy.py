"""The policy: each route says which permission it needs or that it is public; a route that says nothing is closed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from infraspectre.api.access.authentication import Authentication
from infraspectre.api.frame import header
from infraspectre.api.problems import RefusedError
from infraspectre.records.access import Permission, Principal

CHALLENGE = {"www-authenticate": 'Bearer realm="infraspectre"'}
"""How to authenticate (RFC 6750 section 3)."""


class Policy(ASGIMiddleware):
    """Lets a request through to its route if whoever asks may."""

    def __init__(self, authentication: Authentication) -> None:
        """Ask the authentication who it is."""
        self._authentication = authentication

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Find the principal, check the permission, and go on; raises RefusedError."""
        opt = scope["route_handler"].opt
        if opt.get("public") is not True:
            scope["user"] = self._checked(scope, permission_of(opt))
        await next_app(scope, receive, send)

    def _checked(self, scope: Scope, permission: Permission | None) -> Principal:
        given = (header(scope["headers"], b"authorization") or b"").decode("latin-1")
        principal = self._authentication.principal(given)
        if principal is None:
            raise RefusedError("unauthenticated", "there is no valid key or access token", headers=CHALLENGE)
        if permission is None or not principal.may(permission):
            raise RefusedError(
                "forbidden", f"the role {principal.role} lacks the permission {permission or 'for this'}"
            )
        return principal


def permission_of(opt: Mapping[str, Any]) -> Permission | None:
    """Return the permission that a route names; None if it names none, which nobody has."""
    permission: Permission | None = opt.get("permission")
    return permission
