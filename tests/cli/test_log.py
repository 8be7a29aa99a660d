"""`infraspectre log` shows what a log holds, and says by its status whether it is sound."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adapters.log.disks import QuickDisk
from infraspectre.adapters.log.local import LocalLog
from infraspectre.adapters.log.writing import Limits
from infraspectre.adapters.signing import make_key
from infraspectre.cli import run
from infraspectre.errors import EXIT_BAD_INPUT, EXIT_DONE, EXIT_FAILED, EXIT_LOSSES
from log_fakes import SetClock


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log of two topics, one with bytes that are no text."""
    folder = tmp_path / "log"
    log = LocalLog(folder, SetClock(), Limits(segment_bytes=600), disk=QuickDisk())
    for number in range(10):
        log.topic("events").append([b"%d" % number]).result(30)
    log.topic("flows").append([b"\xff\x00"]).result(30)
    log.move("worker", "events", 4)
    log.close()
    return folder


def damage(folder: Path) -> None:
    second = sorted(folder.glob("topics/events/*.log"))[1]
    second.write_bytes(second.read_bytes()[:-1] + b"?")


def told(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str]:
    status = run(["log", *map(str, words)])
    return status, capsys.readouterr().out


def test_show_lists_topics_and_consumers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out = told(capsys, "show", folder, "--json")
    assert status == EXIT_DONE
    events, flows = json.loads(out)
    assert (events["topic"], events["begin"], events["end"], events["cursors"]) == ("events", 0, 10, {"worker": 4})
    assert (flows["topic"], flows["end"], flows["segments"]) == ("flows", 1, 1)
    assert "worker 6 behind" in told(capsys, "show", folder)[1]


def test_verify_says_what_is_wrong_and_repair_mends_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "verify", folder)[0] == EXIT_DONE
    damage(folder)
    status, out = told(capsys, "verify", folder)
    assert status == EXIT_FAILED
    assert "a frame has a wrong checksum" in out
    assert "events: NOT sound" in out
    assert told(capsys, "verify", folder, "--topic", "flows")[0] == EXIT_DONE
    status, out = told(capsys, "repair", folder, "--json")
    assert status == EXIT_LOSSES
    assert [(each["topic"], each["lost_entries"]) for each in json.loads(out)] == [("events", 1), ("flows", 0)]
    status, out = told(capsys, "verify", folder)
    assert status == EXIT_LOSSES
    assert "a repair told that" in out
    assert told(capsys, "repair", folder)[0] == EXIT_DONE


def test_an_end_is_remembered(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out = told(capsys, "head", folder)
    assert status == EXIT_DONE
    heads = tmp_path / "heads.jsonl"
    heads.write_text(out)
    assert told(capsys, "verify", folder, "--head", heads)[0] == EXIT_DONE
    max(folder.glob("topics/events/*.log")).unlink()
    (folder / "topics" / "events" / "mark").unlink()
    status, out = told(capsys, "verify", folder, "--head", heads)
    assert status == EXIT_FAILED
    assert "lacks the remembered end before entry 10" in out
    heads.write_text("{}\n")
    assert told(capsys, "verify", folder, "--head", heads)[0] == EXIT_BAD_INPUT


def test_export_writes_entries_and_gaps(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out = told(capsys, "export", folder, "events", "--start", "3", "--end", "5")
    assert status == EXIT_DONE
    assert [json.loads(line) for line in out.splitlines()] == [
        {"sequence": number, "at": "2026-01-01T00:00:00.000000Z", "data": str(number)} for number in (3, 4)
    ]
    assert json.loads(told(capsys, "export", folder, "flows")[1])["base64"] == "/wA="
    damage(folder)
    status, out = told(capsys, "export", folder, "events")
    assert status == EXIT_LOSSES
    lines = [json.loads(line) for line in out.splitlines()]
    assert len(lines) == 10
    assert sum("gap" in line for line in lines) == 1
    assert told(capsys, "export", folder, "other")[0] == EXIT_BAD_INPUT


def test_a_key_is_rotated_and_required(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = (folder / "keys" / "signing.pem.pub").read_bytes()
    status, out = told(capsys, "rotate", folder, "--json")
    assert status == EXIT_DONE
    assert len(json.loads(out)["public_key"]) == 64
    (tmp_path / "old.pub").write_bytes(old)
    assert told(capsys, "verify", folder)[0] == EXIT_DONE
    assert told(capsys, "verify", folder, "--key", tmp_path / "old.pub")[0] == EXIT_DONE
    make_key(tmp_path / "other.pem")
    status, out = told(capsys, "verify", folder, "--key", tmp_path / "other.pem")
    assert status == EXIT_FAILED
    assert "is not signed by the given key" in out


@pytest.mark.parametrize("command", ["verify", "head", "repair", "rotate"])
def test_a_folder_without_a_log_is_named(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["log", command, str(tmp_path)]) == EXIT_BAD_INPUT
    assert "is no event log" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
