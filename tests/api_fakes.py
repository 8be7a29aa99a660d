"""Keys and users for tests of the API."""

from __future__ import annotations

import msgspec

from infraspectre.api.access.credentials import Credential
from infraspectre.api.access.passwords import Passwords
from infraspectre.records.access import KeyRecord, Role, UserRecord
from infraspectre.records.collections import KEYS, USERS
from infraspectre.serving.platform import Platform


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
