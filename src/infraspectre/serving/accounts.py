"""Accounts of people, changed beside a running server by whoever may write its store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from infraspectre.adapters.system_clock import SystemClock
from infraspectre.errors import ConflictError, UsageError
from infraspectre.ports import Clock, RecordStore, every
from infraspectre.records.access import DEFAULT_TENANT, TENANT_NAME, USER_NAME, Role, UserRecord
from infraspectre.records.collections import SESSIONS, TENANTS, USERS
from infraspectre.records.queries import Filter, Query
from infraspectre.settings import Settings, StoreSettings


class Accounts:
    """Adds, lists and disables the users of a tenant."""

    def __init__(self, records: RecordStore, clock: Clock, tenant: str = DEFAULT_TENANT) -> None:
        """Work on the records of a tenant; raises UsageError for one that there is not."""
        self._records = records
        self._clock = clock
        self._tenant = tenant
        is_known = tenant == DEFAULT_TENANT or records.get(DEFAULT_TENANT, TENANTS, tenant) is not None
        if not TENANT_NAME.fullmatch(tenant) or not is_known:
            raise UsageError("there is no such tenant", field="--tenant", remedy="add it with POST /api/v1/tenants")

    def add(self, name: str, role: Role, password_hash: str) -> None:
        """Add a user; raises UsageError for a name that is none or is taken."""
        if not USER_NAME.fullmatch(name):
            raise UsageError("is no name of a user", field="NAME", remedy="use small letters, digits and . _ @ + -")
        record = UserRecord(name, role, password_hash, self._clock.now())
        try:
            self._records.put(self._tenant, USERS, name, msgspec.to_builtins(record), expected=0)
        except ConflictError as error:
            raise UsageError("there is such a user already", field="NAME", remedy="choose another name") from error

    def change(self, name: str, **changes: object) -> None:
        """Change a user: password, role or is_disabled; all sessions of the user end. Raises UsageError for nobody."""
        stored = self._records.get(self._tenant, USERS, name)
        if stored is None:
            raise UsageError("there is no such user", field="NAME", remedy="'infraspectre users list' shows all")
        record = msgspec.structs.replace(msgspec.json.decode(stored.body, type=UserRecord), **changes)
        self._records.put(self._tenant, USERS, name, msgspec.to_builtins(record), expected=stored.revision)
        end_sessions(self._records, self._tenant, name)

    def all(self) -> Iterator[UserRecord]:
        """Yield all users in the order of their names."""
        for row in every(self._records, self._tenant, USERS):
            yield msgspec.json.decode(row.body, type=UserRecord)


def end_sessions(records: RecordStore, tenant: str, user: str, but: str = "") -> None:
    """End all sessions of a user, but for one: whoever holds a token of another has to log in again."""
    query = Query((Filter("user", "=", (user,)),), limit=1_000)
    while rows := [row for row in records.page(tenant, SESSIONS, query).rows if row.key != but]:
        for row in rows:
            records.delete(tenant, SESSIONS, row.key)


@contextmanager
def open_accounts(store: Path | None, tenant: str, settings: Settings) -> Iterator[Accounts]:
    """Open the accounts in the store of the settings, or in the folder of another one."""
    from infraspectre.serving.opening import open_records

    if store is not None:
        settings = msgspec.structs.replace(settings, store=StoreSettings(folder=str(store)))
    clock = SystemClock()
    records = open_records(settings, clock)
    try:
        yield Accounts(records, clock, tenant)
    finally:
        records.close()
