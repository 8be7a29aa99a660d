"""Tenants, for the administrators of the first one, who run the platform."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Response, get, post
from litestar.params import JSONBody
from msgspec import Meta

from infraspectre.api.etags import tagged
from infraspectre.api.given import GivenPlatform, GivenPrincipal, GivenQuestion
from infraspectre.api.pages import PageOf, asked
from infraspectre.api.problems import RefusedError
from infraspectre.api.routes.keys import new_key
from infraspectre.records.access import DEFAULT_TENANT, TENANT_NAME, Principal, TenantRecord
from infraspectre.records.collections import KEYS, TENANTS
from infraspectre.records.times import rfc3339

FIRST_KEY_DAYS = 7


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    """Is a tenant: people and data that others never see."""

    name: str
    title: str
    created_at: str


class MadeTenant(Tenant, frozen=True, kw_only=True):
    """Is a new tenant."""

    key: str
    """An administrator's key of the tenant, good for seven days, to add its first users; shown this once."""


class NewTenant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Is a tenant to be added."""

    name: Annotated[str, Meta(pattern=f"^{TENANT_NAME.pattern}$")]
    title: Annotated[str, Meta(max_length=200)] = ""


def shown(record: TenantRecord) -> dict[str, Any]:
    """Return what is shown of a tenant."""
    return {"name": record.name, "title": record.title, "created_at": rfc3339(record.created_at)}


def check_operator(principal: Principal) -> None:
    """Refuse whoever does not run the platform."""
    if principal.tenant != DEFAULT_TENANT:
        raise RefusedError("forbidden", "that is for those who run the platform")


@get(
    "/api/v1/tenants",
    opt={"permission": "administer"},
    dependencies={"question": asked(TENANTS.fields, Tenant.__struct_fields__)},
    sync_to_thread=True,
)
def list_tenants(platform: GivenPlatform, principal: GivenPrincipal, question: GivenQuestion) -> PageOf[Tenant]:
    """List the tenants that were added."""
    check_operator(principal)
    page = platform.records.page(DEFAULT_TENANT, TENANTS, question.query)
    records = (msgspec.json.decode(row.body, type=TenantRecord) for row in page.rows)
    answer: PageOf[Tenant] = question.page((shown(record) for record in records), page.next)
    return answer


@post("/api/v1/tenants", opt={"permission": "administer", "idempotency": False}, sync_to_thread=True)
def add_tenant(platform: GivenPlatform, principal: GivenPrincipal, data: JSONBody[NewTenant]) -> Response[MadeTenant]:
    """Add a tenant, and make the key by which its first users are added."""
    check_operator(principal)
    if data.name == DEFAULT_TENANT:
        raise RefusedError("conflict", "the first tenant is there already")
    record = TenantRecord(data.name, data.title, platform.clock.now())
    stored = platform.records.put(DEFAULT_TENANT, TENANTS, data.name, msgspec.to_builtins(record), 0)
    key, kept = new_key(data.name, "first-administrator", "administrator", record.created_at, FIRST_KEY_DAYS)
    platform.records.put(data.name, KEYS, key.id, msgspec.to_builtins(kept), 0)
    return tagged({**shown(record), "key": str(key)}, stored, 201)


HANDLERS = [list_tenants, add_tenant]
