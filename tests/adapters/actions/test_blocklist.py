from __future__ import annotations

import fcntl
from pathlib import Path

import msgspec
import pytest

from infraspectre.adapters.actions.blocklist import Blocklist
from infraspectre.errors import OutputError
from infraspectre.records.response import Action

NOW = 1_800_000_000 * 10**9
HOUR = 3_600 * 10**9


def action(name: str, target: str = "203.0.113.9", *, expires_at: int = NOW + HOUR) -> Action:
    return Action(name, "incident1", "blocklist", target, "Scan", "high", NOW, expires_at, 0.2)


def test_lines_of_others_stay_and_ours_go_with_their_lease(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("# mine\n198.51.100.1\n", encoding="utf-8")
    now = [NOW]
    blocklist = Blocklist(path, lambda: now[0])
    blocklist.run(action("a1"))
    blocklist.run(action("a2", "203.0.113.10", expires_at=NOW + 2 * HOUR))
    assert path.read_text().splitlines()[2:] == [
        "203.0.113.9 # infraspectre action=a1 incident=incident1 until=2027-01-15T09:00:00Z",
        "203.0.113.10 # infraspectre action=a2 incident=incident1 until=2027-01-15T10:00:00Z",
    ]
    now[0] += HOUR + 10**9
    blocklist.run(action("a3", "203.0.113.11", expires_at=now[0] + HOUR))
    assert [each.split()[0] for each in path.read_text().splitlines()] == [
        "#",
        "198.51.100.1",
        "203.0.113.10",
        "203.0.113.11",
    ]


def test_undoing_removes_the_line_and_can_be_repeated(tmp_path: Path) -> None:
    blocklist = Blocklist(tmp_path / "list.txt", lambda: NOW)
    blocklist.run(action("a1"))
    blocklist.run(action("a1"))
    assert len((tmp_path / "list.txt").read_text().splitlines()) == 1
    for _ in range(2):
        blocklist.undo(action("a1"))
        assert (tmp_path / "list.txt").read_text() == ""


def test_a_preview_changes_nothing(tmp_path: Path) -> None:
    assert "203.0.113.9 # infraspectre" in Blocklist(tmp_path / "list.txt").preview(action("a1"))
    assert list(tmp_path.iterdir()) == []


def test_a_list_that_others_hold_is_not_waited_for_beyond_the_deadline(tmp_path: Path) -> None:
    with (tmp_path / ".list.txt.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(OutputError, match="held by another process"):
            Blocklist(tmp_path / "list.txt").run(msgspec.structs.replace(action("a1"), deadline_s=0.05))
