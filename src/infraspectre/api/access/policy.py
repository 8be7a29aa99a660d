"""The policy: each route says which permission it needs or that it is public; a route that says nothing is closed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar.types import ASGIApp, Receive, Scope, Send

from infraspectre.api.access.door import Door
from infraspectre.api.headers import header
from infraspectre.api.limits import Allowance, Buckets, network_of
from infraspectre.api.problems import RefusedError, send_problem
from infraspectre.api.routing import operation_name
from infraspectre.errors import InfraSpectreError
from infraspectre.records.access import DEFAULT_TENANT, Permission, Principal

CHALLENGE = {"www-authenticate": 'Bearer realm="infraspectre"'}
"""How to authenticate (RFC 6750 section 3)."""
NOBODY = (DEFAULT_TENANT, "", "")
OFFERED = "bearer."
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Policy:
    """Lets a request through to its route if whoever asks may, and writes down changes and refusals."""

    def __init__(self, door: Door) -> None:
        """Ask the door who it is."""
        self._door = door

    async def handle(self, scope: Any, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Find the principal, check permission and rate, and go on; raises RefusedError."""
        opt = scope["route_handler"].opt
        try:
            self._enter(scope, opt)
        except RefusedError as refused:
            if refused.kind != "too-many-requests":
                await self.note(scope, refused.status)
            raise
        is_change = scope["type"] == "http" and opt.get("audit", scope["method"] not in SAFE and not only_reads(opt))
        await next_app(scope, receive, AuditedSend(self, scope, send) if is_change else send)

    def _enter(self, scope: Scope, opt: Mapping[str, Any]) -> None:
        if opt.get("public") is True:
            if opt.get("limited") is not False:
                granted(scope, self._door.requests, f"address {address_of(scope)}")
            return
        identity = self._door.authentication.identity(credential_of(scope))
        if identity is None:
            granted(scope, self._door.failures, f"address {address_of(scope)}")
            raise RefusedError("unauthenticated", "there is no valid key or access token", headers=CHALLENGE)
        principal = scope["user"] = identity.principal
        scope["auth"] = identity.session
        granted(scope, self._door.requests, f"{principal.tenant} {principal.subject}")
        permission: Permission | None = opt.get("permission")
        if permission is None or not principal.may(permission):
            raise RefusedError("forbidden", f"the role {principal.role} may not {permission or 'do this'}")

    async def note(self, scope: Scope, outcome: int) -> None:
        """Write down what came of a request; raises OutputError or OverloadError where that fails."""
        principal: Principal | None = scope.get("user")
        known = (principal.tenant, principal.subject, principal.role) if principal else NOBODY
        state = scope["state"]
        await self._door.audit.append(
            state.get("claimed", known),
            operation_name(scope["route_handler"]),
            scope["path"],
            outcome,
            state["request_id"],
            address_of(scope),
        )


def only_reads(opt: Mapping[str, Any]) -> bool:
    """Tell whether a route changes nothing whatever its method: a question may need a body."""
    return opt.get("permission") == "read"


class AuditedSend:
    """Sends an answer once it is written down; one that cannot be written down is not sent."""

    def __init__(self, policy: Policy, scope: Scope, send: Send) -> None:
        """Wrap the sending of an answer."""
        self._policy = policy
        self._scope = scope
        self._send = send
        self._is_withheld = False

    async def __call__(self, message: Any) -> None:
        """Send a message of an answer."""
        if message["type"] == "http.response.start":
            try:
                await self._policy.note(self._scope, message["status"])
            except InfraSpectreError as error:
                self._is_withheld = True
                await send_problem(self._scope, self._send, error)
        if not self._is_withheld:
            await self._send(message)


def granted(scope: Scope, buckets: Buckets, name: str) -> None:
    """Take a request from somebody's rate, and tell what is left; raises RefusedError."""
    allowance = buckets.take(name)
    headers = rate_headers(buckets, allowance)
    scope["state"]["headers"] = headers
    if not allowance.is_granted:
        retry = {"retry-after": str(allowance.wait_s)}
        raise RefusedError("too-many-requests", "the rate of requests is too high", headers=retry)


def rate_headers(buckets: Buckets, allowance: Allowance) -> list[tuple[bytes, bytes]]:
    """Return the headers that tell the rate and what is left of it (draft-ietf-httpapi-ratelimit-headers-10)."""
    left = f'"default";r={allowance.left};t={allowance.wait_s}'
    return [(b"ratelimit-policy", buckets.policy.encode()), (b"ratelimit", left.encode())]


def credential_of(scope: Any) -> str:
    """Return the credential of a request; browsers, which cannot set headers of a WebSocket, offer it as a protocol."""
    given = header(scope["headers"], b"authorization")
    if given is None and scope["type"] == "websocket":
        offered = (each for each in scope["subprotocols"] if each.startswith(OFFERED))
        return f"Bearer {next(offered, '').removeprefix(OFFERED)}"
    return (given or b"").decode("latin-1")


def address_of(scope: Scope) -> str:
    """Return where a request comes from, as it counts for rates."""
    client = scope.get("client")
    return network_of(client[0] if client else "")
