from __future__ import annotations

import io
import json
from collections import Counter, deque
from pathlib import Path

import pytest
from rich.console import Console

from infraspectre.cli import run
from infraspectre.cli.options import Common
from infraspectre.cli.watch import KEY_VARIABLE, key_of, line, say, table
from infraspectre.client.following import Message

EVENT = {
    "kind": "incident.raised", "at": "2026-01-05T08:00:00Z", "severity": "high", "subject": "c1",
    "data": {"title": "Port scan of 10.0.0.7\x1b[2J"},
}  # fmt: skip


def test_an_event_is_a_line_that_moves_no_cursor() -> None:
    assert line(EVENT) == "2026-01-05T08:00:00Z  high           incident.raised  Port scan of 10.0.0.7\\x1b[2J"


def test_each_event_is_a_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    say(Message("events", "e.2", {"events": [EVENT, EVENT]}), Common(json=True))
    say(Message("gap", "e.2", {"reason": "retention"}), Common(json=True))
    told = capsys.readouterr()
    assert [json.loads(each) for each in told.out.splitlines()] == [EVENT, EVENT]
    assert "gap: reason retention" in told.err


def test_the_table_shows_the_newest_first() -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    older = EVENT | {"kind": "detection.found"}
    console.print(table(deque([older, EVENT]), Counter({"incident.raised": 1}), "following"))
    text = console.export_text()
    assert text.index("incident.raised") < text.index("detection.found")
    assert "following" in text


def test_the_key_comes_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "isk_environment")
    assert key_of(None) == "isk_environment"
    (tmp_path / "key").write_text("isk_file\n")
    assert key_of(tmp_path / "key") == "isk_file"


def test_without_a_key_it_says_how_to_give_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    assert run(["watch"]) == 2
    assert "--key-file" in capsys.readouterr().err
