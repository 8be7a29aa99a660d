"""Who may do what: roles, and the principal on whose behalf something is asked."""

from __future__ import annotations

from typing import Literal

import msgspec

from infraspectre.records.queries import Collection

Role = Literal["viewer", "analyst", "engineer", "administrator", "sensor"]
ROLES: tuple[Role, ...] = ("viewer", "analyst", "engineer", "administrator", "sensor")
Permission = Literal["read", "triage", "respond", "engineer", "administer", "ingest"]
"""read: see; triage: verdicts and states of incidents; respond: approve actions; engineer: rules, models, integrations;
administer: users, keys, tenants, audit, erasure; ingest: send events and flows."""
PERMISSIONS: dict[Role, frozenset[Permission]] = {
    "viewer": frozenset({"read"}),
    "analyst": frozenset({"read", "triage", "respond"}),
    "engineer": frozenset({"read", "triage", "respond", "engineer", "ingest"}),
    "administrator": frozenset({"read", "triage", "respond", "engineer", "administer", "ingest"}),
    "sensor": frozenset({"ingest"}),
}
DEFAULT_TENANT = "default"


class Principal(msgspec.Struct, frozen=True):
    """Is who asks: a user, a program with a key, or a sensor, of one tenant."""

    tenant: str
    subject: str
    role: Role

    def may(self, permission: Permission) -> bool:
        """Tell whether the role has a permission."""
        return permission in PERMISSIONS[self.role]


KEYS = Collection("keys", {"subject": "text", "role": "text", "expires_at": "integer"})
USERS = Collection("users", {"name": "text", "role": "text"})


class KeyRecord(msgspec.Struct, frozen=True):
    """Is an API key as it is kept."""

    key_id: str
    name: str
    """What it is for."""
    subject: str
    """On whose behalf it asks."""
    role: Role
    digest: str
    created_at: int
    """Nanoseconds since the epoch, UTC."""
    expires_at: int = 0
    """Nanoseconds since the epoch, UTC; 0 is never."""

    def is_over(self, now: int) -> bool:
        """Tell whether it has expired."""
        return 0 < self.expires_at <= now


class UserRecord(msgspec.Struct, frozen=True):
    """Is a user as it is kept."""

    name: str
    role: Role
    password: str
    """Its argon2id hash; empty for one who comes from an identity provider."""
    created_at: int
    is_disabled: bool = False
