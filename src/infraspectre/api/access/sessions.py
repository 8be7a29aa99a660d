"""Sessions: a login gives a short access token, and a refresh token that is exchanged for the next one but once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from infraspectre.api.access.credentials import Credential
from infraspectre.api.access.tokens import NANOSECONDS, Claims, Tokens
from infraspectre.errors import AccessError, ConflictError
from infraspectre.ports import Clock, RecordStore
from infraspectre.records.access import SessionRecord, UserRecord
from infraspectre.records.collections import SESSIONS, USERS
from infraspectre.records.queries import MOST_ROWS, Filter, Order, Query
from infraspectre.serving.accounts import end_sessions
from infraspectre.settings import AccessSettings

MOST_AGENT = 200
"""Letters of the name of a program that are kept."""


class Grant(NamedTuple):
    """Is what a login gives."""

    access: str
    refresh: Credential
    access_s: int
    left_s: int
    """Seconds until the session ends."""
    session: SessionRecord


class Sessions:
    """Opens, renews and closes sessions."""

    def __init__(self, records: RecordStore, tokens: Tokens, clock: Clock, settings: AccessSettings) -> None:
        """Keep sessions in records."""
        self._records = records
        self._tokens = tokens
        self._clock = clock
        self._settings = settings

    def open(self, tenant: str, user: str, address: str = "", agent: str = "") -> Grant:
        """Return the tokens of a new session of a user who has shown who that is, and from where."""
        now = self._clock.now()
        refresh = Credential.new("isr", tenant)
        expires = now + self._settings.refresh_s * NANOSECONDS
        record = SessionRecord(user, refresh.digest, now, expires, address=address, agent=agent[:MOST_AGENT])
        self._records.put(tenant, SESSIONS, refresh.id, msgspec.to_builtins(record), expected=0)
        return self._grant(refresh, record)

    def renew(self, text: str, leeway_s: int = 0) -> Grant:
        """Exchange a refresh token for new tokens; raises AccessError.

        One that was exchanged before is in two hands: the session ends for both (RFC 9700 section 4.14.2), unless it
        is the one before, and was exchanged only so many seconds ago: then the answer may not have reached its page.
        """
        old = Credential.of("isr", text)
        stored = old and self._records.get(old.tenant, SESSIONS, old.id)
        if not old or not stored:
            raise AccessError("there is no such session")
        record = msgspec.json.decode(stored.body, type=SessionRecord)
        now = self._clock.now()
        is_late = old.fits(record.before) and now - record.renewed_at < leeway_s * NANOSECONDS
        if not old.fits(record.digest) and not is_late:
            self.close(old.tenant, old.id)
            raise AccessError("the refresh token was used before, so the session is over")
        self._check(old.tenant, record)
        new = Credential.new("isr", old.tenant, old.id)
        since = record.renewed_at if is_late else now
        renewed = msgspec.structs.replace(record, digest=new.digest, before=old.digest, renewed_at=since)
        try:
            self._records.put(old.tenant, SESSIONS, old.id, msgspec.to_builtins(renewed), expected=stored.revision)
        except ConflictError as error:
            self.close(old.tenant, old.id)
            raise AccessError("the refresh token is used twice at once, so the session is over") from error
        return self._grant(new, renewed)

    def close(self, tenant: str, session: str) -> bool:
        """End a session, and tell whether there was one."""
        return self._records.delete(tenant, SESSIONS, session)

    def close_all(self, tenant: str, user: str, but: str = "") -> None:
        """End all sessions of a user, but for one."""
        end_sessions(self._records, tenant, user, but)

    def of(self, tenant: str, user: str) -> Iterator[tuple[str, SessionRecord]]:
        """Yield the sessions of a user that are open, by their identities, the one that ends last first."""
        is_open = (Filter("user", "=", (user,)), Filter("expires_at", ">", (self._clock.now(),)))
        query = Query(is_open, Order("expires_at", descending=True), MOST_ROWS)
        for row in self._records.page(tenant, SESSIONS, query).rows:
            yield row.key, msgspec.json.decode(row.body, type=SessionRecord)

    def _check(self, tenant: str, record: SessionRecord) -> None:
        user = self._records.get(tenant, USERS, record.user)
        is_disabled = user is None or msgspec.json.decode(user.body, type=UserRecord).is_disabled
        if is_disabled or record.expires_at <= self._clock.now():
            raise AccessError("the session is over")

    def _grant(self, refresh: Credential, record: SessionRecord) -> Grant:
        now = self._clock.now()
        expires = min(now + self._settings.access_s * NANOSECONDS, record.expires_at)
        claims = Claims(refresh.tenant, record.user, refresh.id, expires)
        access_s, left_s = ((end - now) // NANOSECONDS for end in (expires, record.expires_at))
        return Grant(self._tokens.sign(claims, now), refresh, access_s, left_s, record)
