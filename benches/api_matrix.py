"""Calls every operation as every role of every tenant: `python -m benches.api_matrix CALLS` looks for what leaks.

What a tenant has holds marks that no other tenant's text has. Each answer is searched for marks of the others, each
refusal is compared with what the description of the API says of the operation, and what was asked for by name is mostly
another tenant's.
"""

from __future__ import annotations

import itertools
import random
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from litestar.testing import TestClient

from benches.api_fuzz import FREE
from infraspectre.adapters.log.local import LocalLog
from infraspectre.adapters.record_store import open_sqlite
from infraspectre.adapters.system_clock import SystemClock
from infraspectre.api.access.credentials import Credential
from infraspectre.api.app import make_app
from infraspectre.api.frame import Api
from infraspectre.api.openapi import operations
from infraspectre.api.routes.keys import new_key
from infraspectre.records.access import PERMISSIONS, ROLES, Role, UserRecord
from infraspectre.records.collections import KEYS, USERS
from infraspectre.serving.platform import Platform
from infraspectre.settings import Settings

TENANTS = ("default", "red", "blue")
SEED = 1
ECHO = re.compile(r'"(target|instance)":"[^"]*"')
"""What callers asked for themselves is told them again: it is no leak."""


class Caller(NamedTuple):
    """Is somebody who calls."""

    tenant: str
    role: Role
    key: Credential


def marked(platform: Platform) -> list[Caller]:
    """Give each tenant users and keys with marks, and return who calls."""
    callers = []
    for tenant, role in itertools.product(TENANTS, ROLES):
        now = platform.clock.now()
        user = UserRecord(f"mark-{tenant}-{role}", "viewer", "", now)
        platform.records.put(tenant, USERS, user.name, msgspec.to_builtins(user))
        key, record = new_key(tenant, f"mark-{tenant}-{role}", role, now, 0)
        platform.records.put(tenant, KEYS, key.id, msgspec.to_builtins(record))
        callers.append(Caller(tenant, role, key))
    return callers


def calls(document: dict[str, Any], callers: list[Caller], draw: random.Random) -> Iterator[tuple[Caller, Any]]:
    """Yield calls without an end, each as method, path, permission and whose names are in the path."""
    known = list(operations(document))
    while True:
        caller, owner = draw.choice(callers), draw.choice(callers)
        path, method, operation = draw.choice(known)
        place = filled(path, owner)
        is_own = owner.tenant == caller.tenant
        if method != "delete" or not is_own:  # nobody who still has to call is removed
            yield caller, (method.upper(), place, operation.get("x-permission"), owner if place != path else None)


def filled(path: str, owner: Caller) -> str:
    """Return a path with the names of what somebody has."""
    names = {"key_id": owner.key.id, "name": f"mark-{owner.tenant}-{owner.role}"}
    return re.sub(r"\{(\w+)\}", lambda part: names.get(part[1], f"mark-{owner.tenant}-viewer"), path)


def leaks(text: str, tenant: str) -> bool:
    """Tell whether a text holds a mark of another tenant."""
    return any(f"mark-{other}-" in text or f"isk_{other}_" in text for other in TENANTS if other != tenant)


def verdict(client: TestClient[Api], caller: Caller, call: Any) -> str:
    """Make a call, and say what is wrong with its answer; nothing if it is as it has to be."""
    method, place, permission, owner = call
    headers = {"authorization": f"Bearer {caller.key}", "if-match": '"999"'}
    body = b"{}" if method in ("POST", "PATCH", "PUT") else None
    if body:
        headers["content-type"] = "application/x-ndjson" if place.endswith("/events") else "application/json"
    answer = client.request(method, place, headers=headers, content=body, follow_redirects=False)
    told = ECHO.sub("", answer.text.replace(place, ""))
    if leaks(told, caller.tenant):
        return f"leak: {told[:200]}"
    if answer.status_code >= 500:
        return f"server error {answer.status_code}"
    if permission and permission not in PERMISSIONS[caller.role]:
        return "" if answer.status_code == 403 else f"{answer.status_code} without the permission {permission}"
    is_strange = owner is not None and owner.tenant != caller.tenant and permission is not None
    if is_strange and answer.status_code not in (400, 403, 404, 406, 409, 422):
        return f"{answer.status_code} for what is {owner.tenant}'s"
    return ""


def main() -> None:
    """Call, and count what is wrong."""
    wanted = int(sys.argv[1])
    clock, draw, wrong = SystemClock(), random.Random(SEED), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        records = open_sqlite(Path(folder) / "records.db", clock)
        log = LocalLog(Path(folder) / "log", clock)
        platform = Platform(records, None, log, Settings(access=FREE))  # type: ignore[arg-type]
        callers = marked(platform)
        with TestClient(make_app(platform)) as client:
            document = client.get("/api/v1/openapi.json").json()
            for caller, call in itertools.islice(calls(document, callers, draw), wanted):
                if problem := verdict(client, caller, call):
                    wrong[f"{call[0]} {call[1]} as {caller.role} of {caller.tenant}: {problem}"] += 1
    for problem, count in wrong.most_common(20):
        print(f"{count} x {problem}")
    print(f"{wanted:,} calls, {sum(wrong.values())} wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
