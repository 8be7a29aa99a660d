"""Intelligence of tenants: what they imported beside what the settings name, read once for each state of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from threading import Lock
from typing import Any

import msgspec

from infraspectre.errors import InputError, OverloadError
from infraspectre.intel.indicators import Collection
from infraspectre.intel.indicators.reading import read_content
from infraspectre.ports import RecordStore
from infraspectre.records.collections import INTELLIGENCE, INTELLIGENCE_CONTENTS
from infraspectre.records.queries import Query
from infraspectre.records.rules import Refusal
from infraspectre.serving.platform import Platform

MOST_IMPORTS = 50
"""Imports that a tenant keeps."""
MOST_BYTES = 64 << 20
"""Bytes of all of them."""
MOST_READ = 16
"""Tenants whose intelligence is held in memory."""
READING = Lock()
"""Is held while intelligence is read, so that several who ask at once read it once."""


class Import(msgspec.Struct, frozen=True):
    """Is what was imported under one name, without its content."""

    name: str
    at: int
    """Nanoseconds since the epoch."""
    by: str
    size: int
    digest: str
    indicators: dict[str, int]
    """Distinct ones by kind."""
    reports: int
    unusable: dict[str, int]
    """Sound entries that say nothing about network traffic, by reason."""
    refused: int


class Content(msgspec.Struct, frozen=True):
    """Is the content of an import as it is kept."""

    text: str


def intelligence_of(platform: Platform, tenant: str) -> Collection:
    """Return what the settings name, and what a tenant imported."""
    versions = tuple((row.key, import_of(row).digest) for row in imports(platform, tenant))
    if not versions:
        return platform.intelligence
    with READING:
        records = platform.records  # stores are told apart by identity
        return combined(records, tenant, versions, platform.intelligence)  # type: ignore[arg-type]


def imports(platform: Platform, tenant: str) -> Sequence[Any]:
    """Return the records of what a tenant imported, by name."""
    return platform.records.page(tenant, INTELLIGENCE, Query(limit=MOST_IMPORTS)).rows


@lru_cache(maxsize=MOST_READ)
def combined(records: RecordStore, tenant: str, versions: Sequence[tuple[str, str]], base: Collection) -> Collection:
    """Return a collection of what the settings name and what was imported with these digests."""
    made = Collection()
    made.files, made.warninglists = base.files, base.warninglists
    made.findings.indicators += base.findings.indicators
    made.findings.reports += base.findings.reports
    for name, _ in versions:
        stored = records.get(tenant, INTELLIGENCE_CONTENTS, name)
        if stored is not None:
            read_content(msgspec.json.decode(stored.body, type=Content).text.encode(), made, name)
    return made


def keep(platform: Platform, tenant: str, by: str, name: str, content: bytes) -> tuple[Import, list[Refusal]]:
    """Keep what is imported under a name, in place of what was; return what it holds, and what of it is refused.

    Raises InputError where it holds nothing that can be used, and OverloadError for too much.
    """
    read = Collection()
    read_content(content, read, name)
    check = read.check()
    if not (check.indicators or read.findings.reports):
        raise nothing(check.unusable, check.refused)
    others = [each for each in map(import_of, imports(platform, tenant)) if each.name != name]
    if len(others) >= MOST_IMPORTS or sum(each.size for each in others) + len(content) > MOST_BYTES:
        told = f"a tenant keeps {MOST_IMPORTS} imports of {MOST_BYTES >> 20} MiB together"
        raise OverloadError(told, remedy="remove one, or name folders in detection.intel")
    digest = hashlib.sha256(content).hexdigest()
    made = Import(
        name=name,
        at=platform.clock.now(),
        by=by,
        size=len(content),
        digest=digest,
        indicators=check.indicators,
        reports=len(read.findings.reports),
        unusable=dict(list(check.unusable.items())[:100]),
        refused=len(check.refused),
    )
    platform.records.put(tenant, INTELLIGENCE_CONTENTS, name, {"text": content.decode("utf-8", "replace")})
    platform.records.put(tenant, INTELLIGENCE, name, msgspec.to_builtins(made))
    return made, check.refused


def nothing(unusable: Mapping[str, int], refused: Sequence[Refusal]) -> InputError:
    """Return the error that nothing of an import can be used, with the first reason."""
    reason = refused[0].reason if refused else next(iter(unusable), "it is empty")
    line = refused[0].line if refused else None
    return InputError(f"holds no indicator: {reason}", field="content", line=line)


def remove(platform: Platform, tenant: str, name: str) -> bool:
    """Remove an import, and tell whether there was one."""
    found = platform.records.delete(tenant, INTELLIGENCE, name)
    platform.records.delete(tenant, INTELLIGENCE_CONTENTS, name)
    return found


def import_of(stored: Any) -> Import:
    """Return what was imported, of its record."""
    return msgspec.json.decode(stored.body, type=Import)
