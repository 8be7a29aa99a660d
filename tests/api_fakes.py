"""Doubles of what the API is given: a store in memory, and a log that remembers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from infraspectre.api.access.authentication import as_record
from infraspectre.api.access.keys import Key
from infraspectre.errors import ConflictError
from infraspectre.ports import Page, Stored
from infraspectre.records.access import KEYS, USERS, KeyRecord, Role, UserRecord
from infraspectre.records.queries import Collection, Query
from infraspectre.serving.platform import Platform


class Records:
    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], dict[str, Stored]] = {}

    def put(
        self, tenant: str, collection: Collection, key: str, record: Mapping[str, Any], expected: int | None = None
    ) -> Stored:
        rows = self.rows.setdefault((tenant, collection.name), {})
        revision = rows[key].revision if key in rows else 0
        if expected is not None and revision != expected:
            raise ConflictError("was changed meanwhile")
        rows[key] = Stored(key, revision + 1, 0, msgspec.json.encode(record))
        return rows[key]

    def get(self, tenant: str, collection: Collection, key: str) -> Stored | None:
        return self.rows.get((tenant, collection.name), {}).get(key)

    def delete(self, tenant: str, collection: Collection, key: str, expected: int | None = None) -> bool:
        return self.rows.get((tenant, collection.name), {}).pop(key, None) is not None

    def page(self, tenant: str, collection: Collection, query: Query) -> Page:
        rows = sorted(self.rows.get((tenant, collection.name), {}).items())
        kept = [row for key, row in rows if query.after is None or key > query.after]
        part = kept[: query.limit]
        return Page(part, part[-1].key if len(kept) > len(part) else None)


def key_of(platform: Platform, role: Role = "administrator", tenant: str = "default", expires_at: int = 0) -> Key:
    """Give somebody of a tenant a key."""
    key = Key.new(tenant)
    record = KeyRecord(key.key_id, "test", f"{role}-of-{tenant}", role, key.digest, 0, expires_at)
    platform.records.put(tenant, KEYS, key.key_id, as_record(record))
    return key


def bearer(key: Key) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def add_user(platform: Platform, name: str, tenant: str = "default", role: Role = "viewer") -> None:
    platform.records.put(tenant, USERS, name, as_record(UserRecord(name, role, "", 0)))
