"""Who may do what: roles, and the principal on whose behalf something is asked."""

from __future__ import annotations

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


class Principal(msgspec.Struct, frozen=True):
    """Is who asks: a user, a program with a key, or a sensor, of one tenant."""

    tenant: str
    subject: str
    role: Role

    def may(self, permission: Permission) -> bool:
        """Tell whether the role has a permission."""
        return permission in PERMISSIONS[self.role]
