"""Doubles of what the API is given: a store in memory, and a log that remembers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import msgspec

from infraspectre.api.access.credentials import Credential
from infraspectre.api.access.passwords import Passwords
from infraspectre.errors import ConflictError
from infraspectre.ports import Page, Stored
from infraspectre.records.access import KEYS, USERS, KeyRecord, Role, UserRecord
from infraspectre.records.events import Entry
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

    def count(self, tenant: str, collection: Collection, query: Query, most: int = 10_000) -> int:
        return min(most, len(self.rows.get((tenant, collection.name), {})))

    def page(self, tenant: str, collection: Collection, query: Query) -> Page:
        rows = sorted(self.rows.get((tenant, collection.name), {}).items())
        kept = [row for key, row in rows if query.after is None or key > query.after]
        part = kept[: query.limit]
        return Page(part, part[-1].key if len(kept) > len(part) else None)


class FakeTopic:
    """Keeps entries in memory; what is appended is durable at once."""

    epoch = "e1"
    begin = 0

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.failure: Exception | None = None

    @property
    def end(self) -> int:
        return len(self.entries)

    def append(self, data: Sequence[bytes]) -> Future[int]:
        done: Future[int] = Future()
        if self.failure:
            done.set_exception(self.failure)
            return done
        done.set_result(len(self.entries))
        self.entries += [Entry(self.end + number, 0, each) for number, each in enumerate(data)]
        return done

    def read(self, start: int, most: int = 1_000, wait_s: float = 0.0) -> list[Entry]:
        return self.entries[start : start + most]


class FakeLog:
    """Keeps topics in memory."""

    def __init__(self) -> None:
        self.topics: dict[str, FakeTopic] = {}

    def topic(self, name: str) -> FakeTopic:
        return self.topics.setdefault(name, FakeTopic())


def key_of(
    platform: Platform, role: Role = "administrator", tenant: str = "default", expires_at: int = 0
) -> Credential:
    """Give somebody of a tenant a key."""
    key = Credential.new("isk", tenant)
    record = KeyRecord(key.id, f"{role}-of-{tenant}", role, key.digest, 0, expires_at)
    platform.records.put(tenant, KEYS, key.id, msgspec.to_builtins(record))
    return key


def bearer(key: Credential | str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def add_user(platform: Platform, name: str, tenant: str = "default", role: Role = "viewer", password: str = "") -> None:
    hashed = Passwords(32).hash(password) if password else ""
    platform.records.put(tenant, USERS, name, msgspec.to_builtins(UserRecord(name, role, hashed, 0)))
