"""Users of a tenant, for its administrators."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response, get

from infraspectre.api.etags import tagged
from infraspectre.api.given import GivenPlatform, GivenPrincipal, GivenQuestion, InPath
from infraspectre.api.pages import PageOf, asked
from infraspectre.api.problems import RefusedError
from infraspectre.records.access import USERS, Role, UserRecord


class User(msgspec.Struct, frozen=True):
    """Is a user as others see it."""

    name: str
    role: Role
    created_at: int
    is_disabled: bool


def user_of(body: bytes) -> dict[str, Any]:
    """Return what is shown of a stored user."""
    record = msgspec.json.decode(body, type=UserRecord)
    return {name: getattr(record, name) for name in User.__struct_fields__}


@get(
    "/api/v1/users",
    opt={"permission": "administer"},
    dependencies={"question": asked(USERS.fields, User.__struct_fields__)},
    sync_to_thread=True,
)
def list_users(platform: GivenPlatform, principal: GivenPrincipal, question: GivenQuestion) -> PageOf[User]:
    """List the users of the tenant."""
    page = platform.records.page(principal.tenant, USERS, question.query)
    answer: PageOf[User] = question.page((user_of(row.body) for row in page.rows), page.next)
    return answer


@get("/api/v1/users/{name:str}", opt={"permission": "administer"}, sync_to_thread=True)
def show_user(platform: GivenPlatform, principal: GivenPrincipal, name: InPath) -> Response[User]:
    """Show a user of the tenant."""
    stored = platform.records.get(principal.tenant, USERS, name)
    if stored is None:
        raise RefusedError("not-found", "there is no such user")
    return tagged(user_of(stored.body), stored)


HANDLERS = [list_users, show_user]
