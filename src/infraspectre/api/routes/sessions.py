"""Sessions: users log in, renew what they were given, and log out."""

from __future__ import annotations

import asyncio
import hmac
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.datastructures import Cookie
from litestar.params import CookieParameter, JSONBody, QueryParameter
from litestar.response import Redirect
from msgspec import Meta

from infraspectre.api.access.credentials import Credential
from infraspectre.api.access.door import Door
from infraspectre.api.access.oidc import Attempt, Provider
from infraspectre.api.access.passwords import MOST
from infraspectre.api.access.policy import CHALLENGE, address_of, granted
from infraspectre.api.access.sessions import Grant
from infraspectre.api.given import GivenDoor, GivenPlatform, GivenPrincipal
from infraspectre.api.problems import RefusedError
from infraspectre.errors import AccessError
from infraspectre.records.access import DEFAULT_TENANT, TENANT_NAME, Role, UserRecord
from infraspectre.records.collections import USERS
from infraspectre.records.times import rfc3339
from infraspectre.security import is_loopback
from infraspectre.serving.platform import Platform

COOKIE = "infraspectre_refresh"
LEEWAY_S = 30
"""For so long the cookie before is taken, too: a page that is left while it renews never gets the next one."""
COOKIE_PATH = "/api/v1/sessions"
ATTEMPT_COOKIE = "infraspectre_login"
OIDC_PATH = "/api/v1/oidc"
ATTEMPT_S = 600
"""How long a login by a provider may take."""
ATTEMPT_NS = ATTEMPT_S * 1_000_000_000
SameSite = Literal["lax", "strict"]
Keep = Literal["body", "cookie"]


class Login(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Says who logs in."""

    user: Annotated[str, Meta(min_length=1, max_length=64)]
    password: Annotated[str, Meta(min_length=1, max_length=MOST)]
    tenant: Annotated[str, Meta(pattern=f"^{TENANT_NAME.pattern}$")] = DEFAULT_TENANT
    keep: Keep = "body"
    """Where the refresh token is kept: browsers ask for a cookie, which no script reads."""


class Renewal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Exchanges a refresh token."""

    refresh_token: Annotated[str, Meta(max_length=256)] = ""


class Session(msgspec.Struct, frozen=True):
    """Is what a login gives (named as in RFC 6749 section 5.1)."""

    access_token: str
    token_type: str
    expires_in: int
    """Seconds for which the access token is good."""
    refresh_token: str
    """To be exchanged once for the next tokens; empty where it is in the cookie."""
    session_expires_at: str
    user: str
    tenant: str


class OwnSession(msgspec.Struct, frozen=True):
    """Is a session of whoever asks."""

    session_id: str
    opened_at: str
    """When the login was; RFC 3339, as are all times."""
    renewed_at: str
    """When its tokens were last exchanged."""
    expires_at: str
    address: str
    """Where the login came from; empty where it was not kept."""
    agent: str
    """The program that it came from, as it calls itself."""
    is_current: bool
    """Whether it is the session by which this is asked."""


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


def in_cookie(grant: Grant, request: Request[Any, Any, Any]) -> Response[Session]:
    """Answer with tokens of which the refresh token is in the cookie alone."""
    session = msgspec.structs.replace(session_of(grant), refresh_token="")
    return Response(session, status_code=201, cookies=[refresh_cookie(grant, is_safe(address_of_page(request)))])


def address_of_page(request: Request[Any, Any, Any]) -> str:
    """Return the origin of the page that asks; where the browser does not tell, that of the request itself."""
    return request.headers.get("origin") or f"{request.scope['scheme']}://{request.headers.get('host', '')}"


def is_safe(address: str) -> bool:
    """Tell whether cookies of an address go by TLS alone: all but those of plain HTTP on loopback."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return True
    return parts.scheme != "http" or not is_loopback(parts.hostname or "")


def check_origin(request: Request[Any, Any, Any]) -> None:
    """Raise RefusedError for a request that a page of another origin makes (RFC 6454 section 7).

    A proxy in front that ends TLS leaves plain HTTP for us where the browser sees HTTPS.
    """
    host, scheme = request.headers.get("host", ""), request.scope["scheme"]
    if address_of_page(request) not in (f"{scheme}://{host}", f"https://{host}"):
        raise RefusedError("forbidden", "the request comes from a page of another origin")


@post("/api/v1/sessions", opt={"public": True, "statuses": (401, 403)})
async def open_session(
    platform: GivenPlatform, door: GivenDoor, request: Request[Any, Any, Any], data: JSONBody[Login]
) -> Response[Session]:
    """Log in with a password."""
    scope = request.scope
    scope["state"]["claimed"] = (data.tenant, data.user, "")
    limit_logins(door, scope, f"{data.tenant} {data.user}")
    if data.keep == "cookie":
        check_origin(request)
    stored = await asyncio.to_thread(platform.records.get, data.tenant, USERS, data.user)
    record = msgspec.json.decode(stored.body, type=UserRecord) if stored else None
    fits = await door.passwords.fits(data.password, record.password if record else None)
    if record is None or record.is_disabled or not fits:
        raise RefusedError("unauthenticated", "user or password is wrong", headers=CHALLENGE)
    grant = await asyncio.to_thread(door.sessions.open, data.tenant, data.user, *origin_of(request))
    return in_cookie(grant, request) if data.keep == "cookie" else Response(session_of(grant), status_code=201)


@post("/api/v1/sessions/renewal", opt={"public": True, "statuses": (401, 403)}, sync_to_thread=True)
def renew_session(
    door: GivenDoor,
    request: Request[Any, Any, Any],
    data: JSONBody[Renewal],
    kept: Annotated[str | None, CookieParameter(name=COOKIE, max_length=256)] = None,
) -> Response[Session]:
    """Exchange a refresh token for new tokens; each is good once, and used twice it ends the session.

    Without one in the body, the one of the cookie is taken, and the next one is in the cookie again.
    """
    if not data.refresh_token:
        check_origin(request)
    text = data.refresh_token or kept or ""
    known = Credential.of("isr", text)
    request.scope["state"]["claimed"] = (known.tenant if known else DEFAULT_TENANT, known.id if known else "", "")
    try:
        grant = door.sessions.renew(text, 0 if data.refresh_token else LEEWAY_S)
    except AccessError as error:
        door.authentication.forget()
        raise RefusedError("unauthenticated", error.problem, headers=CHALLENGE) from error
    request.scope["state"]["claimed"] = (grant.refresh.tenant, grant.session.user, "")
    if data.refresh_token:
        return Response(session_of(grant), status_code=201)
    return in_cookie(grant, request)


@get("/api/v1/oidc/login", opt={"public": True, "statuses": (404,)}, status_code=302, sync_to_thread=True)
def begin_login(
    platform: GivenPlatform,
    door: GivenDoor,
    next_page: Annotated[
        Literal["console"], QueryParameter(name="next", description="Where the browser goes once it is logged in.")
    ] = "console",
) -> Redirect:
    """Send the browser to the identity provider."""
    attempt = Attempt.new()
    address = provider_of(door).address(attempt)
    signed = door.tokens.seal(attempt._asdict(), platform.clock.now() + ATTEMPT_NS)
    begun = cookie(ATTEMPT_COOKIE, signed, OIDC_PATH, "lax", is_safe(platform.settings.access.oidc.redirect_url))
    return Redirect(address, status_code=302, cookies=[begun])


@get(
    "/api/v1/oidc/callback",
    opt={"public": True, "audit": True, "statuses": (401, 404)},
    status_code=303,
    sync_to_thread=True,
)
def finish_login(
    platform: GivenPlatform,
    door: GivenDoor,
    request: Request[Any, Any, Any],
    code: Annotated[str, QueryParameter(max_length=4_096)],
    begun_as: Annotated[str, QueryParameter(name="state", max_length=256)],
    iss: Annotated[str | None, QueryParameter(max_length=2_048, description="The provider (RFC 9207).")] = None,
    session_state: Annotated[str | None, QueryParameter(max_length=2_048, description="Not used.")] = None,
    signed: Annotated[str | None, CookieParameter(name=ATTEMPT_COOKIE, max_length=4_096)] = None,
) -> Redirect:
    """Log in whoever comes back from the identity provider, and send the browser to the first page."""
    provider = provider_of(door)
    limit_logins(door, request.scope, f"oidc {address_of(request.scope)}")
    begun = door.tokens.unseal(signed or "", platform.clock.now())
    if begun is None or not hmac.compare_digest(begun["state"].encode(), begun_as.encode()):
        raise RefusedError("unauthenticated", "the login did not begin here, or too long ago", headers=CHALLENGE)
    if iss not in (None, platform.settings.access.oidc.issuer):
        raise RefusedError("unauthenticated", "the answer is another provider's", headers=CHALLENGE)
    tenant = platform.settings.access.oidc.tenant
    try:
        name, role = provider.user(code, Attempt(**begun))
        request.scope["state"]["claimed"] = (tenant, name, role)
        known_user(platform, tenant, name, role)
    except AccessError as error:
        raise RefusedError("unauthenticated", error.problem, headers=CHALLENGE) from error
    grant = door.sessions.open(tenant, name, *origin_of(request))
    door.authentication.forget()
    secure = is_safe(platform.settings.access.oidc.redirect_url)
    over = cookie(ATTEMPT_COOKIE, "", OIDC_PATH, "lax", secure, 0)
    return Redirect("/", status_code=303, cookies=[refresh_cookie(grant, secure), over])


def provider_of(door: Door) -> Provider:
    """Return the identity provider; raises RefusedError where there is none."""
    if door.provider is None:
        raise RefusedError("not-found", "there is no identity provider")
    return door.provider


def known_user(platform: Platform, tenant: str, name: str, role: Role) -> None:
    """Add a user whom the provider knows, or give the role that it tells; raises AccessError."""
    stored = platform.records.get(tenant, USERS, name)
    record = msgspec.json.decode(stored.body, type=UserRecord) if stored else None
    if record and (record.password or record.is_disabled):
        raise AccessError("a user of this name logs in otherwise, or no more")
    if record and record.role == role:
        return
    new = UserRecord(name, role, "", record.created_at if record else platform.clock.now())
    platform.records.put(tenant, USERS, name, msgspec.to_builtins(new), stored.revision if stored else 0)


def refresh_cookie(grant: Grant, secure: bool) -> Cookie:
    """Return the cookie that keeps a refresh token from scripts and from other sites."""
    return cookie(COOKIE, str(grant.refresh), COOKIE_PATH, "strict", secure, grant.left_s)


def cookie(name: str, value: str, path: str, same_site: SameSite, secure: bool, seconds: int = ATTEMPT_S) -> Cookie:
    """Return a cookie that no script reads; a secure one is sent by TLS alone."""
    return Cookie(name, path, value, seconds, httponly=True, secure=secure, samesite=same_site)


@delete(
    "/api/v1/sessions/current", opt={"permission": "read", "statuses": (404,)}, status_code=204, sync_to_thread=True
)
def close_session(principal: GivenPrincipal, door: GivenDoor, request: Request[Any, Any, Any]) -> Response[None]:
    """Log out: the tokens of this session are good no more, and the cookie is taken back."""
    door.sessions.close(principal.tenant, session_asking(request))
    door.authentication.forget()
    gone = cookie(COOKIE, "", COOKIE_PATH, "strict", is_safe(address_of_page(request)), 0)
    return Response(None, status_code=204, cookies=[gone])


@get("/api/v1/sessions", opt={"permission": "read", "statuses": (404,)}, sync_to_thread=True)
def list_sessions(principal: GivenPrincipal, door: GivenDoor, request: Request[Any, Any, Any]) -> list[OwnSession]:
    """List one's own sessions that are open, the one that ends last first."""
    current = session_asking(request)
    return [
        OwnSession(
            session_id=name,
            opened_at=rfc3339(each.created_at),
            renewed_at=rfc3339(each.renewed_at or each.created_at),
            expires_at=rfc3339(each.expires_at),
            address=each.address,
            agent=each.agent,
            is_current=name == current,
        )
        for name, each in door.sessions.of(principal.tenant, principal.subject)
    ]


@delete("/api/v1/sessions", opt={"permission": "read", "statuses": (404,)}, status_code=204, sync_to_thread=True)
def close_other_sessions(principal: GivenPrincipal, door: GivenDoor, request: Request[Any, Any, Any]) -> None:
    """Log out everywhere else: all one's own sessions end but the one by which this is asked."""
    door.sessions.close_all(principal.tenant, principal.subject, session_asking(request))
    door.authentication.forget()


def session_asking(request: Request[Any, Any, Any]) -> str:
    """Return the session by which something is asked; raises RefusedError for a key, which has none."""
    if not request.auth:
        raise RefusedError("not-found", "an API key has no session")
    return str(request.auth)


def origin_of(request: Request[Any, Any, Any]) -> tuple[str, str]:
    """Return the address that a request comes from, and its program as it calls itself."""
    return address_of(request.scope), request.headers.get("user-agent", "")


def limit_logins(door: Door, scope: Any, who: str) -> None:
    """Bound guesses from an address, at a user from an address, and at a user from anywhere; raises RefusedError."""
    address = address_of(scope)
    granted(scope, door.logins, f"address {address}")
    granted(scope, door.logins, f"user {who} from {address}")
    granted(scope, door.guesses, f"user {who}")


HANDLERS = [
    open_session, list_sessions, close_other_sessions, renew_session, close_session, begin_login, finish_login,
]  # fmt: skip
