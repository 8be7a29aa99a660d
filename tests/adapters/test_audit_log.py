from __future__ import annotations

import stat
from pathlib import Path

import pytest

from infraspectre.adapters.audit_log import AuditLog
from infraspectre.errors import InputError
from infraspectre.records.response import Action, AuditEntry

ENTRY = AuditEntry(
    "2026-01-01T00:00:00Z", "begun", "me", "said\nmore", Action("a1", "i1", "x", "192.0.2.1", "r", "high", 1, 2, 3.0)
)


def test_entries_come_back_in_order_and_are_for_the_owner_alone(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "actions.jsonl")
    assert log.entries() == []
    log.append(ENTRY)
    log.append(ENTRY)
    assert log.entries() == [ENTRY, ENTRY]
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600


def test_a_line_cut_off_by_a_crash_costs_nothing_else(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "actions.jsonl")
    log.append(ENTRY)
    log.path.write_bytes(log.path.read_bytes()[:-20])
    assert log.entries() == []
    log.append(ENTRY)
    assert log.entries() == [ENTRY]


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "actions.jsonl")
    log.append(ENTRY)
    log.path.write_bytes(log.path.read_bytes() + b'{"at": 1}\n')
    with pytest.raises(InputError, match="audit entry") as caught:
        log.entries()
    assert caught.value.line == 2
