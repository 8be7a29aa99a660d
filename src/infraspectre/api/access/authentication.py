"""Authentication: a bearer token becomes the principal on whose behalf a request is answered."""

from __future__ import annotations

from typing import Any

import msgspec

from infraspectre.api.access.keys import PREFIX, Key
from infraspectre.errors import InputError
from infraspectre.records.access import KEYS, KeyRecord, Principal
from infraspectre.serving.platform import Platform

BEARER = "bearer "
MOST_CREDENTIAL = 4_096


class Authentication:
    """Finds out who asks; what a store says of a credential holds for a moment only."""

    def __init__(self, platform: Platform) -> None:
        """Ask the platform's records."""
        self._platform = platform

    def principal(self, authorization: str) -> Principal | None:
        """Return whose credential that is; None if it is nobody's."""
        scheme, token = authorization[: len(BEARER)].lower(), authorization[len(BEARER) :].strip()
        if scheme != BEARER or not token or len(token) > MOST_CREDENTIAL:
            return None
        return self._of_key(token) if token.startswith(f"{PREFIX}_") else None

    def _of_key(self, text: str) -> Principal | None:
        try:
            key = Key.of(text)
        except InputError:
            return None
        stored = self._platform.records.get(key.tenant, KEYS, key.key_id)
        if stored is None:
            return None
        record = msgspec.json.decode(stored.body, type=KeyRecord)
        is_good = key.fits(record.digest) and not record.is_over(self._platform.clock.now())
        return Principal(key.tenant, record.subject, record.role) if is_good else None


def as_record(record: msgspec.Struct) -> dict[str, Any]:
    """Return a record as stores take it."""
    built: dict[str, Any] = msgspec.to_builtins(record)
    return built
