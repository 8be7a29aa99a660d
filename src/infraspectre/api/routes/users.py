"""Users of a tenant, for its administrators."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, patch, post
from litestar.params import JSONBody
from msgspec import UNSET, Meta, UnsetType

from infraspectre.api.access.door import Door
from infraspectre.api.access.passwords import LEAST, MOST
from infraspectre.api.etags import tagged
from infraspectre.api.given import (
    GivenDoor,
    GivenPlatform,
    GivenPrincipal,
    GivenQuestion,
    GivenRevision,
    InPath,
)
from infraspectre.api.pages import PageOf, Question, asked
from infraspectre.api.problems import Flaw, RefusedError
from infraspectre.api.reading import soon
from infraspectre.api.routes.sessions import limit_logins
from infraspectre.ports import Stored
from infraspectre.records.access import USER_NAME, Principal, Role, UserRecord
from infraspectre.records.collections import USERS
from infraspectre.records.times import rfc3339
from infraspectre.serving.platform import Platform

UserName = Annotated[str, Meta(pattern=f"^{USER_NAME.pattern}$", description="In small letters.")]
NewPassword = Annotated[str, Meta(min_length=LEAST, max_length=MOST)]


class User(msgspec.Struct, frozen=True):
    """Is a user as others see it."""

    name: str
    role: Role
    created_at: str
    is_disabled: bool


class NewUser(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Is a user to be added."""

    name: UserName
    role: Role
    password: NewPassword


class UserChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Says what is to be changed of a user; what is left out stays."""

    role: Role | UnsetType = UNSET
    is_disabled: bool | UnsetType = UNSET
    password: NewPassword | UnsetType = UNSET


class PasswordChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Is the user's own wish for a new password."""

    old: Annotated[str, Meta(max_length=MOST)]
    new: NewPassword


def record_of(stored: Stored) -> UserRecord:
    """Return a stored user."""
    return msgspec.json.decode(stored.body, type=UserRecord)


def shown(stored: Stored) -> dict[str, Any]:
    """Return what is shown of a stored user."""
    record = record_of(stored)
    return {
        "name": record.name,
        "role": record.role,
        "created_at": rfc3339(record.created_at),
        "is_disabled": record.is_disabled,
    }


def found(platform: Platform, tenant: str, name: str) -> Stored:
    """Return a user of a tenant; raises RefusedError."""
    stored = platform.records.get(tenant, USERS, name)
    if stored is None:
        raise RefusedError("not-found", "there is no such user")
    return stored


def users_of(platform: Platform, tenant: str, question: Question) -> PageOf[User]:
    """Return a page of the users of a tenant."""
    page = platform.records.page(tenant, USERS, question.query)
    answer: PageOf[User] = question.page((shown(row) for row in page.rows), page.next)
    return answer


@get(
    "/api/v1/users",
    opt={"permission": "administer"},
    dependencies={"question": asked(USERS.fields, User.__struct_fields__)},
)
async def list_users(platform: GivenPlatform, principal: GivenPrincipal, question: GivenQuestion) -> PageOf[User]:
    """List the users of the tenant."""
    return await soon(platform.records, question.is_short, users_of, platform, principal.tenant, question)


@get("/api/v1/users/{name:str}", opt={"permission": "administer"})
async def show_user(platform: GivenPlatform, principal: GivenPrincipal, name: InPath) -> Response[User]:
    """Show a user of the tenant."""
    stored = await soon(platform.records, True, found, platform, principal.tenant, name)
    return tagged(shown(stored), stored)


@post("/api/v1/users", opt={"permission": "administer"})
async def add_user(
    platform: GivenPlatform, principal: GivenPrincipal, door: GivenDoor, data: JSONBody[NewUser]
) -> Response[User]:
    """Add a user to the tenant."""
    password = await door.passwords.hash_later(data.password)
    record = UserRecord(data.name, data.role, password, platform.clock.now())
    stored = await asyncio.to_thread(
        platform.records.put, principal.tenant, USERS, data.name, msgspec.to_builtins(record), 0
    )
    return tagged(shown(stored), stored, 201, {"location": f"/api/v1/users/{data.name}"})


@patch("/api/v1/users/{name:str}", opt={"permission": "administer", "statuses": (409,)})
async def change_user(
    platform: GivenPlatform,
    principal: GivenPrincipal,
    door: GivenDoor,
    expected: GivenRevision,
    name: InPath,
    data: JSONBody[UserChange],
) -> Response[User]:
    """Change role, password or state of a user; all sessions of the user end."""
    check_other(principal, name, data.role is not UNSET or data.is_disabled is not UNSET)
    stored = await asyncio.to_thread(found, platform, principal.tenant, name)
    given = {each: value for each, value in msgspec.structs.asdict(data).items() if value is not UNSET}
    if "password" in given:
        given["password"] = await door.passwords.hash_later(given["password"])
    record = msgspec.structs.replace(record_of(stored), **given)
    changed = await asyncio.to_thread(
        platform.records.put, principal.tenant, USERS, name, msgspec.to_builtins(record), expected
    )
    await asyncio.to_thread(end_sessions, door, principal.tenant, name)
    return tagged(shown(changed), changed)


@delete("/api/v1/users/{name:str}", opt={"permission": "administer", "statuses": (409,)}, sync_to_thread=True)
def remove_user(
    platform: GivenPlatform, principal: GivenPrincipal, door: GivenDoor, expected: GivenRevision, name: InPath
) -> None:
    """Remove a user, and end the user's sessions."""
    check_other(principal, name, is_role_changed=True)
    found(platform, principal.tenant, name)
    platform.records.delete(principal.tenant, USERS, name, expected)
    end_sessions(door, principal.tenant, name)


@post("/api/v1/me/password", opt={"permission": "read", "idempotency": False}, status_code=204)
async def change_password(
    platform: GivenPlatform,
    principal: GivenPrincipal,
    door: GivenDoor,
    request: Request[Any, Any, Any],
    data: JSONBody[PasswordChange],
) -> None:
    """Change the own password; all own sessions end."""
    limit_logins(door, request.scope, f"{principal.tenant} {principal.subject}")
    stored = await asyncio.to_thread(platform.records.get, principal.tenant, USERS, principal.subject)
    kept = record_of(stored).password if stored else None
    if not await door.passwords.fits(data.old, kept) or stored is None:
        raise RefusedError("forbidden", "the old password is another one", [Flaw("is not the password", "old")])
    record = msgspec.structs.replace(record_of(stored), password=await door.passwords.hash_later(data.new))
    await asyncio.to_thread(
        platform.records.put,
        principal.tenant,
        USERS,
        principal.subject,
        msgspec.to_builtins(record),
        stored.revision,
    )
    await asyncio.to_thread(end_sessions, door, principal.tenant, principal.subject)


@get("/api/v1/me", opt={"permission": "read"}, sync_to_thread=False)
def show_me(principal: GivenPrincipal) -> Principal:
    """Show on whose behalf this is asked."""
    return principal


def check_other(principal: Principal, name: str, is_role_changed: bool) -> None:
    """Refuse that administrators shut themselves out."""
    if is_role_changed and principal.subject == name:
        raise RefusedError("conflict", "that is yourself; ask another administrator")


def end_sessions(door: Door, tenant: str, name: str) -> None:
    """End all sessions of a user at once."""
    door.sessions.close_all(tenant, name)
    door.authentication.forget()


HANDLERS = [list_users, show_user, add_user, change_user, remove_user, change_password, show_me]
