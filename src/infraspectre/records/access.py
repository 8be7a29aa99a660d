"""Who may do what: roles, and the principal on whose behalf something is asked."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

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
TENANT_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
USER_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}")


class Principal(msgspec.Struct, frozen=True):
    """Is who asks: a user, a program with a key, or a sensor, of one tenant."""

    tenant: str
    subject: str
    role: Role

    def may(self, permission: Permission) -> bool:
        """Tell whether the role has a permission."""
        return permission in PERMISSIONS[self.role]


class KeyRecord(msgspec.Struct, frozen=True):
    """Is an API key as it is kept; times are nanoseconds since the epoch, UTC."""

    key_id: str
    subject: str
    """What it is for, and on whose behalf it asks."""
    role: Role
    digest: str
    created_at: int
    expires_at: int = 0
    """0 is never."""


class UserRecord(msgspec.Struct, frozen=True):
    """Is a user as it is kept; times are nanoseconds since the epoch, UTC."""

    name: str
    role: Role
    password: str
    """Its argon2id hash; empty for one who comes from an identity provider."""
    created_at: int
    is_disabled: bool = False


class SessionRecord(msgspec.Struct, frozen=True):
    """Is a login as it is kept, for as long as its refresh token may be exchanged."""

    user: str
    digest: str
    """That of the one refresh token that is good; another that was good before is stolen, or its thief's."""
    created_at: int
    expires_at: int
    before: str = ""
    """The digest of the one that was exchanged last; a page that was reloaded meanwhile has no other yet."""
    renewed_at: int = 0
    address: str = ""
    """Where the login came from."""
    agent: str = ""
    """The program that it came from, as it calls itself (RFC 9110 section 10.1.5)."""


class TenantRecord(msgspec.Struct, frozen=True):
    """Is a tenant as it is kept."""

    name: str
    title: str
    created_at: int


class AuditEvent(msgspec.Struct, frozen=True):
    """Says who asked for what, and what came of it; the audit topic holds each as JSON."""

    tenant: str
    at: str
    """RFC 3339, UTC."""
    subject: str
    """Who asked; empty for somebody unknown."""
    role: str
    operation: str
    """The name of the operation, such as add_user."""
    target: str
    """The path that was asked for."""
    outcome: int
    """The HTTP status of the answer."""
    request_id: str
    address: str
    """Where the request came from."""
