"""Sessions: users log in, renew what they were given, and log out."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from litestar import Request, delete, post
from litestar.params import JSONBody
from msgspec import Meta

from infraspectre.api.access.credentials import Credential
from infraspectre.api.access.door import Door
from infraspectre.api.access.passwords import MOST
from infraspectre.api.access.policy import CHALLENGE, address_of, granted
from infraspectre.api.access.sessions import Grant
from infraspectre.api.given import GivenDoor, GivenPlatform, GivenPrincipal
from infraspectre.api.problems import RefusedError
from infraspectre.errors import AccessError
from infraspectre.records.access import DEFAULT_TENANT, TENANT_NAME, UserRecord
from infraspectre.records.collections import USERS
from infraspectre.records.times import rfc3339


class Login(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Says who logs in."""

    user: Annotated[str, Meta(min_length=1, max_length=64)]
    password: Annotated[str, Meta(min_length=1, max_length=MOST)]
    tenant: Annotated[str, Meta(pattern=f"^{TENANT_NAME.pattern}$")] = DEFAULT_TENANT


class Renewal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Exchanges a refresh token."""

    refresh_token: Annotated[str, Meta(min_length=1, max_length=256)]


class Session(msgspec.Struct, frozen=True):
    """Is what a login gives (named as in RFC 6749 section 5.1)."""

    access_token: str
    token_type: str
    expires_in: int
    """Seconds for which the access token is good."""
    refresh_token: str
    """To be exchanged once for the next tokens."""
    session_expires_at: str
    user: str
    tenant: str


def session_of(grant: Grant) -> Session:
    """Return what is told of tokens."""
    return Session(
        access_token=grant.access,
        token_type="Bearer",  # noqa: S106 - the kind of token, none itself
        expires_in=grant.access_s,
        refresh_token=str(grant.refresh),
        session_expires_at=rfc3339(grant.session.expires_at),
        user=grant.session.user,
        tenant=grant.refresh.tenant,
    )


@post("/api/v1/sessions", opt={"public": True, "statuses": (401,)})
async def open_session(
    platform: GivenPlatform, door: GivenDoor, request: Request[Any, Any, Any], data: JSONBody[Login]
) -> Session:
    """Log in with a password."""
    scope = request.scope
    scope["state"]["claimed"] = (data.tenant, data.user, "")
    limit_logins(door, scope, f"{data.tenant} {data.user}")
    stored = await asyncio.to_thread(platform.records.get, data.tenant, USERS, data.user)
    record = msgspec.json.decode(stored.body, type=UserRecord) if stored else None
    fits = await door.passwords.fits(data.password, record.password if record else None)
    if record is None or record.is_disabled or not fits:
        raise RefusedError("unauthenticated", "user or password is wrong", headers=CHALLENGE)
    grant = await asyncio.to_thread(door.sessions.open, data.tenant, data.user)
    return session_of(grant)


@post("/api/v1/sessions/renewal", opt={"public": True, "statuses": (401,)}, sync_to_thread=True)
def renew_session(door: GivenDoor, request: Request[Any, Any, Any], data: JSONBody[Renewal]) -> Session:
    """Exchange a refresh token for new tokens; each is good once, and used twice it ends the session."""
    known = Credential.of("isr", data.refresh_token)
    request.scope["state"]["claimed"] = (known.tenant if known else DEFAULT_TENANT, known.id if known else "", "")
    try:
        return session_of(door.sessions.renew(data.refresh_token))
    except AccessError as error:
        door.authentication.forget()
        raise RefusedError("unauthenticated", error.problem, headers=CHALLENGE) from error


@delete("/api/v1/sessions/current", opt={"permission": "read", "statuses": (404,)}, sync_to_thread=True)
def close_session(principal: GivenPrincipal, door: GivenDoor, request: Request[Any, Any, Any]) -> None:
    """Log out: the tokens of this session are good no more."""
    if not request.auth:
        raise RefusedError("not-found", "an API key has no session")
    door.sessions.close(principal.tenant, request.auth)
    door.authentication.forget()


def limit_logins(door: Door, scope: Any, who: str) -> None:
    """Bound guesses from an address, at a user from an address, and at a user from anywhere; raises RefusedError."""
    address = address_of(scope)
    granted(scope, door.logins, f"address {address}")
    granted(scope, door.logins, f"user {who} from {address}")
    granted(scope, door.guesses, f"user {who}")


HANDLERS = [open_session, renew_session, close_session]
