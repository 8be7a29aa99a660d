"""Authentication: a bearer token becomes the principal on whose behalf a request is answered."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from infraspectre.api.access.credentials import Credential
from infraspectre.api.access.tokens import Tokens
from infraspectre.ports import Clock, RecordStore
from infraspectre.records.access import KeyRecord, Principal, SessionRecord, UserRecord
from infraspectre.records.collections import KEYS, SESSIONS, USERS

BEARER = "bearer "
MOST_CREDENTIAL = 4_096
GOOD_FOR_S = 1.0
"""How long an answer of the store is good: what another process revokes is refused after this time at the latest."""
MOST_REMEMBERED = 10_000


class Identity(NamedTuple):
    """Is who asks, and by which login."""

    principal: Principal
    session: str = ""
    """Empty for one who asks by an API key."""


class Authentication:
    """Finds out who asks; what a store says of a credential is remembered for a moment."""

    def __init__(
        self, records: RecordStore, tokens: Tokens, clock: Clock, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Ask records and tokens."""
        self._records = records
        self._tokens = tokens
        self._clock = clock
        self._monotonic = monotonic
        self._known: OrderedDict[bytes, tuple[float, Identity]] = OrderedDict()

    def identity(self, authorization: str) -> Identity | None:
        """Return whose credential that is; None if it is nobody's."""
        scheme, token = authorization[: len(BEARER)].lower(), authorization[len(BEARER) :].strip()
        if scheme != BEARER or not token.isascii() or len(token) > MOST_CREDENTIAL:
            return None
        name, now = hashlib.sha256(token.encode()).digest(), self._monotonic()
        until, known = self._known.get(name, (0.0, None))
        if known is not None and now < until:
            return known
        found = self._of_key(token) if token.startswith("isk_") else self._of_token(token)
        self._remember(name, now, found)
        return found

    def forget(self) -> None:
        """Ask the store anew for all, since some credential was changed or revoked."""
        self._known.clear()

    def _remember(self, name: bytes, now: float, found: Identity | None) -> None:
        self._known.pop(name, None)
        if found is not None:
            self._known[name] = (now + GOOD_FOR_S, found)
            if len(self._known) > MOST_REMEMBERED:
                self._known.popitem(last=False)

    def _of_key(self, text: str) -> Identity | None:
        key = Credential.of("isk", text)
        stored = key and self._records.get(key.tenant, KEYS, key.id)
        if not key or not stored:
            return None
        record = msgspec.json.decode(stored.body, type=KeyRecord)
        is_over = 0 < record.expires_at <= self._clock.now()
        if is_over or not key.fits(record.digest):
            return None
        return Identity(Principal(key.tenant, record.subject, record.role))

    def _of_token(self, text: str) -> Identity | None:
        now = self._clock.now()
        claims = self._tokens.read(text, now)
        if claims is None:
            return None
        session = self._records.get(claims.tenant, SESSIONS, claims.session)
        user = self._records.get(claims.tenant, USERS, claims.user)
        if session is None or user is None:
            return None
        login = msgspec.json.decode(session.body, type=SessionRecord)
        record = msgspec.json.decode(user.body, type=UserRecord)
        if record.is_disabled or login.user != claims.user or login.expires_at <= now:
            return None
        return Identity(Principal(claims.tenant, record.name, record.role), claims.session)
