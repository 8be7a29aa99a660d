"""API keys of a tenant, for its administrators."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Response, delete, get, post
from litestar.params import JSONBody
from msgspec import Meta

from infraspectre.api.access.credentials import Credential
from infraspectre.api.etags import tagged
from infraspectre.api.given import GivenDoor, GivenPlatform, GivenPrincipal, GivenQuestion, InPath
from infraspectre.api.pages import PageOf, asked
from infraspectre.api.problems import RefusedError
from infraspectre.ports import Stored
from infraspectre.records.access import KeyRecord, Role
from infraspectre.records.collections import KEYS
from infraspectre.records.times import rfc3339

NANOSECONDS_PER_DAY = 86_400 * 1_000_000_000


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """Is an API key as others see it."""

    key_id: str
    subject: str
    role: Role
    created_at: str
    expires_at: str | None


class MadeKey(ApiKey, frozen=True, kw_only=True):
    """Is a new API key."""

    key: str
    """The key itself, which is shown this once."""


class NewKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Is an API key to be made."""

    subject: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$", description="What it is for.")]
    role: Role
    days: Annotated[int, Meta(ge=0, le=3_660, description="How long it is good; 0 is for ever.")] = 365


def shown(record: KeyRecord) -> dict[str, Any]:
    """Return what is shown of a key."""
    return {
        "key_id": record.key_id,
        "subject": record.subject,
        "role": record.role,
        "created_at": rfc3339(record.created_at),
        "expires_at": rfc3339(record.expires_at) if record.expires_at else None,
    }


def record_of(stored: Stored) -> KeyRecord:
    """Return a stored key."""
    return msgspec.json.decode(stored.body, type=KeyRecord)


def new_key(tenant: str, subject: str, role: Role, now: int, days: int) -> tuple[Credential, KeyRecord]:
    """Return a new key and its record."""
    key = Credential.new("isk", tenant)
    expires_at = now + days * NANOSECONDS_PER_DAY if days else 0
    return key, KeyRecord(key.id, subject, role, key.digest, now, expires_at)


@get(
    "/api/v1/keys",
    opt={"permission": "administer"},
    dependencies={"question": asked({"subject": "text", "role": "text"}, ApiKey.__struct_fields__)},
    sync_to_thread=True,
)
def list_keys(platform: GivenPlatform, principal: GivenPrincipal, question: GivenQuestion) -> PageOf[ApiKey]:
    """List the API keys of the tenant."""
    page = platform.records.page(principal.tenant, KEYS, question.query)
    answer: PageOf[ApiKey] = question.page((shown(record_of(row)) for row in page.rows), page.next)
    return answer


@get("/api/v1/keys/{key_id:str}", opt={"permission": "administer"}, sync_to_thread=False)
def show_key(platform: GivenPlatform, principal: GivenPrincipal, key_id: InPath) -> Response[ApiKey]:
    """Show an API key of the tenant, without the key itself."""
    stored = platform.records.get(principal.tenant, KEYS, key_id)
    if stored is None:
        raise RefusedError("not-found", "there is no such key")
    return tagged(shown(record_of(stored)), stored)


@post("/api/v1/keys", opt={"permission": "administer", "idempotency": False}, sync_to_thread=True)
def add_key(platform: GivenPlatform, principal: GivenPrincipal, data: JSONBody[NewKey]) -> Response[MadeKey]:
    """Make an API key of the tenant, which is shown this once."""
    key, record = new_key(principal.tenant, data.subject, data.role, platform.clock.now(), data.days)
    stored = platform.records.put(principal.tenant, KEYS, key.id, msgspec.to_builtins(record), 0)
    location = {"location": f"/api/v1/keys/{key.id}"}
    return tagged({**shown(record), "key": str(key)}, stored, 201, location)


@delete("/api/v1/keys/{key_id:str}", opt={"permission": "administer"}, sync_to_thread=True)
def remove_key(platform: GivenPlatform, principal: GivenPrincipal, door: GivenDoor, key_id: InPath) -> None:
    """Revoke an API key at once."""
    if not platform.records.delete(principal.tenant, KEYS, key_id):
        raise RefusedError("not-found", "there is no such key")
    door.authentication.forget()


HANDLERS = [list_keys, show_key, add_key, remove_key]
