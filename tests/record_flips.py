"""Bits of a small store flipped one by one, and what becomes of its answers."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from infraspectre.adapters.record_store import SqlRecordStore, open_sqlite
from infraspectre.errors import InfraSpectreError
from infraspectre.records.queries import Collection, Filter, Order, Query

THINGS = Collection("things", {"name": "text", "size": "integer", "weight": "real", "tags": "texts"}, is_listed=True)
TENANTS = ("a", "b")
Outcome = Literal["unchanged", "refused", "found", "unnoticed"]


class Clock:
    """Tells always the same time."""

    def now(self) -> int:
        return 1_763_640_000_000_000_000


def records(count: int = 12) -> dict[str, dict[str, Any]]:
    """Return records, one of which is too large for a page."""
    draw = random.Random(1)
    return {
        f"key{n}": {
            "name": f"name {n}", "size": n * 1_000_003, "weight": n / 3, "tags": [f"tag{n % 3}", f"10.0.0.{n}"],
            "rest": "x" * (9_000 if n == 5 else draw.randrange(200)),
        }
        for n in range(count)
    }  # fmt: skip


def make(path: Path) -> None:
    """Make a store with some records written, changed and removed."""
    store = open_sqlite(path, Clock())
    for tenant in TENANTS:
        store.put_many(tenant, THINGS, records())
        store.put(tenant, THINGS, "key1", {"name": "changed", "tags": ["tag1"]})
        store.delete(tenant, THINGS, "key2")
    store.close()


def answers(store: SqlRecordStore) -> list[Any]:
    """Return what a store answers to questions of all kinds."""
    found: list[Any] = [store.tenants(THINGS)]
    orders = [None, *(Order(name, descending) for name in ("name", "size", "weight") for descending in (False, True))]
    filters = [
        (), (Filter("size", ">", (3,)),), (Filter("weight", "<=", (2.0,)),), (Filter("tags", "=", ("tag1",)),),
        (Filter("tags", "^", ("10.",)), Filter("name", "~", ("NAME",))), (Filter("name", "=", ("name 7",)),),
    ]  # fmt: skip
    for tenant in TENANTS:
        found += [store.get(tenant, THINGS, key) for key in records()]
        found += [store.page(tenant, THINGS, Query(each, order)).rows for each in filters for order in orders]
        found += [store.count(tenant, THINGS, Query(each)) for each in filters]
    return found


def outcome(path: Path, right: list[Any]) -> Outcome:
    """Return what becomes of the answers of a store, and whether what is wrong is found."""
    try:
        store = open_sqlite(path, Clock())
    except InfraSpectreError:
        return "refused"
    try:
        is_right = answers(store) == right
        is_refused = False
    except InfraSpectreError:
        is_right, is_refused = False, True
    try:
        is_found = bool(store.verify())
    except InfraSpectreError:
        is_found = True
    store.close()
    if is_found:
        return "found"
    return "unchanged" if is_right else "refused" if is_refused else "unnoticed"


def flipped(whole: bytes, folder: Path, bits: Iterable[int]) -> Iterable[tuple[int, Path]]:
    """Yield files that differ from a whole one in one bit."""
    path = folder / "flipped.db"
    for bit in bits:
        for rest in ("-wal", "-shm"):
            path.with_name(path.name + rest).unlink(missing_ok=True)
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        yield bit, path
