"""`infraspectre respond` and `infraspectre playbooks`: what they show, do and leave undone, and their exit statuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from findings import correlated, finding
from infraspectre.adapters.results import incident_object, write_lines
from infraspectre.cli import run
from infraspectre.reflex import Reflex

ACTOR = "203.0.113.9"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    found = correlated([finding(1, ACTOR, "10.0.0.5", category="ssh_brute_force", severity="high", score=0.9)])
    write_lines(tmp_path / "incidents.jsonl", [incident_object(Reflex().decide(each)) for each in found])
    return tmp_path


def identity(results: Path) -> str:
    return str(json.loads((results / "incidents.jsonl").read_text())["incident_id"])


def test_incidents_are_listed(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["respond", str(results), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [each["incident_id"] for each in listed["incidents"]] == [identity(results)]
    assert listed["actions"] == []


def test_the_plan_is_shown_with_times_and_questions(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["respond", str(results), "--incident", identity(results)]) == 0
    told = capsys.readouterr().out
    assert "tell the analyst on duty within" in told
    assert "zeek: cat conn*.log" in told
    assert f"contain: Propose to block the outside actor at the border ({ACTOR}), within 1 h" in told


def test_nothing_is_done_without_approval(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["respond", str(results), "--incident", identity(results), "--action", "blocklist"]) == 0
    said = capsys.readouterr()
    assert f"blocklist {ACTOR}: would append" in said.out
    assert "nothing was done; --approve does it" in said.err
    assert sorted(path.name for path in results.iterdir()) == ["incidents.jsonl"]


def test_approved_actions_are_done_and_undone(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    act = ["respond", str(results), "--incident", identity(results), "--action", "blocklist"]
    assert run([*act, "--approve", "--by", "ana", "--json"]) == 0
    (done,) = json.loads(capsys.readouterr().out)
    assert (done["state"], done["target"]) == ("done", ACTOR)
    assert ACTOR in (results / "blocklist.txt").read_text()
    assert run(["respond", str(results)]) == 0
    assert f"done: blocklist {ACTOR} by ana" in capsys.readouterr().err
    assert run(["respond", str(results), "--undo"]) == 0
    assert (results / "blocklist.txt").read_text() == ""


def test_own_addresses_are_not_acted_against(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    act = ["respond", str(results), "--incident", identity(results), "--action", "blocklist", "--target", "10.0.0.5"]
    assert run([*act, "--approve"]) == 0
    assert "10.0.0.5 belongs to the own network" in capsys.readouterr().err
    assert not (results / "blocklist.txt").exists()
    assert run([*act, "--approve", "--force", "--quiet"]) == 0
    assert "10.0.0.5" in (results / "blocklist.txt").read_text()


def test_failures_and_misuse_have_their_status(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    act = ["respond", str(results), "--incident", identity(results), "--approve", "--quiet", "--action"]
    monkeypatch.setenv("INFRASPECTRE_RESPONSE__NFTABLES__LOAD", "true")
    monkeypatch.setenv("INFRASPECTRE_RESPONSE__NFTABLES__COMMAND", str(results / "none"))
    assert run([*act, "nftables"]) == 1
    assert run([*act, "webhook"]) == 2
    assert run(["respond", str(results), "--approve"]) == 2
    assert run(["respond", str(results / "none")]) == 2


def test_playbooks_are_checked_all_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.yaml").write_text(
        "name: x\nfamilies: [scan]\nsteps:\n- {title: a, kind: destroy}\n- {kind: notify}\n"
    )
    (tmp_path / "b.yaml").write_text("name: Good\nfamilies: [scan]\nsteps: []\n")
    assert run(["playbooks", "check", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "a.yaml:4: " in said
    assert "a.yaml:5: " in said
    assert run(["playbooks", "check", str(tmp_path), "--json"]) == 2
    told = json.loads(capsys.readouterr().out)
    assert (told["playbooks"], len(told["refused"])) == (["Good"], 2)


def test_playbooks_go_to_cacao_and_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own, there, back = tmp_path / "own.yaml", tmp_path / "cacao.json", tmp_path / "back.yaml"
    own.write_text(
        "name: Good\nfamilies: [scan]\nsteps:\n- {title: a, kind: notify, target: actor, command: 'ask $address'}\n"
    )
    assert run(["playbooks", "export", str(own), "--out", str(there)]) == 0
    assert json.loads(there.read_text())["spec_version"] == "cacao-2.0"
    assert run(["playbooks", "import", str(there), "--out", str(back)]) == 0
    assert "ask $address" in back.read_text()
    there.write_text("{}")
    assert run(["playbooks", "import", str(there), "--out", str(back)]) == 2
    assert "lacks the property workflow_start" in capsys.readouterr().err
    assert run(["playbooks", "list"]) == 0


def test_broken_own_playbooks_are_reported_and_the_rest_is_used(
    tmp_path: Path, capture: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    books = tmp_path / "books"
    books.mkdir()
    (books / "a.yaml").write_text("name: x\n")
    monkeypatch.setenv("INFRASPECTRE_REFLEX__PLAYBOOKS", str(books))
    assert run(["analyze", str(capture), "--out", str(tmp_path / "out"), "--quiet"]) == 3
    assert "a.yaml:1" in capsys.readouterr().err
