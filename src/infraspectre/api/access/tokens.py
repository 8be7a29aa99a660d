"""Access tokens: JSON Web Tokens (RFC 7519, RFC 9068) that this server alone signs and reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

ALGORITHM = "HS256"
"""One server signs and reads, so that a shared key does; it takes a tenth of the time of a signature."""
NAME = "infraspectre"
NANOSECONDS = 1_000_000_000


class Claims(NamedTuple):
    """Is what an access token says."""

    tenant: str
    user: str
    session: str
    expires_at: int
    """Nanoseconds since the epoch, UTC."""


class Tokens:
    """Signs and reads access tokens."""

    def __init__(self, key: bytes) -> None:
        """Use a secret key."""
        self._key = OctKey.import_key(key)

    def sign(self, claims: Claims, now: int) -> str:
        """Return the token of claims, made at a time."""
        said = {
            "iss": NAME,
            "aud": NAME,
            "sub": claims.user,
            "tenant": claims.tenant,
            "sid": claims.session,
            "iat": now // NANOSECONDS,
            "exp": claims.expires_at // NANOSECONDS,
        }
        return jwt.encode({"alg": ALGORITHM, "typ": "at+jwt"}, said, self._key)

    def read(self, text: str, now: int) -> Claims | None:
        """Return the claims of a token that is ours and not over; None for any other."""
        try:
            token = jwt.decode(text, self._key, algorithms=[ALGORITHM])
        except (JoseError, ValueError):
            return None
        said = token.claims
        texts = (said.get("tenant"), said.get("sub"), said.get("sid"))
        is_ours = said.get("iss") == NAME and said.get("aud") == NAME and all(isinstance(each, str) for each in texts)
        expires = said.get("exp")
        if not is_ours or not isinstance(expires, int) or expires <= now // NANOSECONDS:
            return None
        return Claims(*texts, expires * NANOSECONDS)  # type: ignore[arg-type]

    def seal(self, content: Mapping[str, str], until: int) -> str:
        """Return texts so that they can be kept elsewhere, and only come back as they were, until a time."""
        return jwt.encode({"alg": ALGORITHM}, {"sealed": dict(content), "exp": until // NANOSECONDS}, self._key)

    def unseal(self, text: str, now: int) -> dict[str, str] | None:
        """Return what was sealed; None for what was not by us, or is over."""
        try:
            said = jwt.decode(text, self._key, algorithms=[ALGORITHM]).claims
        except (JoseError, ValueError):
            return None
        sealed: dict[str, str] | None = said.get("sealed")
        return sealed if sealed and said["exp"] > now // NANOSECONDS else None
