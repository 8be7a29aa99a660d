"""Logins by an OpenID provider: the authorization code flow with PKCE (OpenID Connect Core 1.0, RFC 7636, RFC 9700)."""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import httpx
import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from infraspectre.errors import AccessError, OutputError
from infraspectre.ports import Clock
from infraspectre.records.access import USER_NAME, Role
from infraspectre.serving.opening import read_secret
from infraspectre.settings import OidcSettings

DISCOVERY = "/.well-known/openid-configuration"
ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"]
"""Signatures of public keys alone: a shared secret or none could be made by others."""
MOST_ANSWER = 1 << 20
FRESH_S = 3_600.0
LEAST_WAIT_S = 30.0
"""Between two look-ups of keys since a token names one that is not known."""
LEEWAY_S = 60
NANOSECONDS = 1_000_000_000
MIGHTIEST_FIRST: tuple[Role, ...] = ("administrator", "engineer", "analyst", "viewer", "sensor")


class Endpoints(msgspec.Struct, frozen=True):
    """Is what a provider says of itself (OpenID Connect Discovery 1.0 section 3)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str


class TokenAnswer(msgspec.Struct, frozen=True):
    """Is what a provider gives for a code."""

    id_token: str


class Attempt(NamedTuple):
    """Is a login that has begun; the browser keeps it, signed, until it comes back."""

    state: str
    nonce: str
    verifier: str

    @classmethod
    def new(cls) -> Attempt:
        """Return a new random attempt."""
        return cls(*(secrets.token_urlsafe(32) for _ in range(3)))

    @property
    def challenge(self) -> str:
        """Return what the provider is shown of the verifier (RFC 7636 section 4.2)."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class Provider:
    """Asks an OpenID provider who somebody is."""

    def __init__(
        self,
        settings: OidcSettings,
        client: httpx.Client,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Ask by a client whose requests are checked; raises ConfigError for a secret that cannot be read."""
        self._settings = settings
        self._client = client
        self._clock = clock
        self._monotonic = monotonic
        self._secret = read_secret(Path(settings.client_secret_file)) if settings.client_secret_file else ""
        self._known: tuple[float, Endpoints, KeySet] | None = None

    def address(self, attempt: Attempt) -> str:
        """Return where a browser logs in; raises OutputError where the provider does not answer."""
        asked = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": self._settings.redirect_url,
            "scope": "openid profile",
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": attempt.challenge,
            "code_challenge_method": "S256",
        }
        return f"{self._read(FRESH_S)[0].authorization_endpoint}?{urlencode(asked)}"

    def user(self, code: str, attempt: Attempt) -> tuple[str, Role]:
        """Return name and role of whoever logged in; raises AccessError and OutputError."""
        claims = self._claims(self._id_token(code, attempt), attempt.nonce)
        name = claims.get(self._settings.name_claim)
        if not isinstance(name, str) or not USER_NAME.fullmatch(name.lower()):
            raise AccessError("the provider names nobody who can be a user")
        return name.lower(), self._role(claims.get(self._settings.role_claim))

    def _role(self, told: Any) -> Role:
        """Return the mightiest role of what a claim tells."""
        values = told if isinstance(told, list) else [told]
        found = {
            self._settings.roles[each] for each in values if isinstance(each, str) and each in self._settings.roles
        }
        for role in MIGHTIEST_FIRST:
            if role in found:
                return role
        raise AccessError("the provider names no role that is known")

    def _id_token(self, code: str, attempt: Attempt) -> str:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._settings.redirect_url,
            "code_verifier": attempt.verifier,
            "client_id": self._settings.client_id,
        }
        credentials = httpx.BasicAuth(self._settings.client_id, self._secret) if self._secret else None
        endpoint = self._read(FRESH_S)[0].token_endpoint
        body = self._ask(self._client.build_request("POST", endpoint, data=form), credentials)
        token: str = decoded(body, TokenAnswer).id_token
        return token

    def _claims(self, token: str, nonce: str) -> dict[str, Any]:
        """Return what a token says if it is for us, of now, and for this attempt; raises AccessError."""
        endpoints, keys = self._read(FRESH_S)
        try:
            claims = jwt.decode(token, keys, algorithms=ALGORITHMS).claims
        except (JoseError, ValueError):
            endpoints, keys = self._read(LEAST_WAIT_S)  # the provider may have new keys
            try:
                claims = jwt.decode(token, keys, algorithms=ALGORITHMS).claims
            except (JoseError, ValueError) as error:
                raise AccessError("the token of the provider is not signed by it") from error
        now, client_id = self._clock.now() // NANOSECONDS, self._settings.client_id
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        ends = claims.get("exp")
        is_ours = claims.get("iss") == endpoints.issuer and client_id in audiences
        is_ours = is_ours and claims.get("azp", client_id) == client_id
        is_now = isinstance(ends, int | float) and ends > now - LEEWAY_S
        if not is_ours or not is_now or not secrets.compare_digest(str(claims.get("nonce")), nonce):
            raise AccessError("the token of the provider is not for this login")
        return claims

    def _read(self, fresh_s: float) -> tuple[Endpoints, KeySet]:
        """Return what is known of the provider, read anew if it is older; raises OutputError."""
        now = self._monotonic()
        if self._known is None or now - self._known[0] > fresh_s:
            found = self._get(self._settings.issuer.rstrip("/") + DISCOVERY)
            endpoints = decoded(found, Endpoints)
            if endpoints.issuer != self._settings.issuer:
                raise OutputError("the identity provider calls itself by another name", field="access.oidc.issuer")
            self._known = (now, endpoints, keys_in(self._get(endpoints.jwks_uri)))
        return self._known[1], self._known[2]

    def _get(self, url: str) -> bytes:
        return self._ask(self._client.build_request("GET", url))

    def _ask(self, request: httpx.Request, credentials: httpx.Auth | None = None) -> bytes:
        """Return the body of an answer, of bounded size; raises AccessError for a refusal and OutputError."""
        try:
            answer = self._client.send(request, auth=credentials, stream=True)
            try:
                body = b"".join(bounded(answer))
            finally:
                answer.close()
        except (httpx.HTTPError, AccessError) as error:
            raise OutputError("the identity provider does not answer") from error
        if answer.status_code == 400:
            raise AccessError("the identity provider does not take the code")
        if answer.status_code != 200:
            raise OutputError(f"the identity provider answers {answer.status_code}")
        return body


def bounded(answer: httpx.Response) -> list[bytes]:
    """Return the parts of an answer; raises OutputError for one that is too large."""
    parts, size = [], 0
    for part in answer.iter_bytes():
        size += len(part)
        if size > MOST_ANSWER:
            raise OutputError("the identity provider answers with too much")
        parts.append(part)
    return parts


def decoded(body: bytes, wanted: Any) -> Any:
    """Return what a provider says; raises OutputError for what is something else."""
    try:
        return msgspec.json.decode(body, type=wanted)
    except msgspec.MsgspecError as error:
        raise OutputError("the identity provider answers with something else") from error


def keys_in(body: bytes) -> KeySet:
    """Return the keys that a provider shows; raises OutputError for what are none."""
    try:
        return KeySet.import_key_set(decoded(body, dict[str, Any]))
    except (JoseError, ValueError, KeyError, TypeError) as error:
        raise OutputError("the identity provider shows keys that cannot be used") from error
