from __future__ import annotations

import json
from pathlib import Path

import pytest

from infraspectre.cli import run


def test_certificates_are_made_listed_rotated_and_revoked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*words: str) -> object:
        assert run(["certificates", *words, "--folder", str(tmp_path / "ca"), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    said("init")
    issued = said("issue", "probe", "--tenant", "acme")
    assert isinstance(issued, dict)
    assert issued["issued"]["tenant"] == "acme"
    assert Path(issued["key"]).exists()
    said("issue", "main", "--role", "server", "--host", "192.0.2.1", "--host", "infra.example")
    said("rotate", "probe", "--days", "7")
    revoked = said("revoke", "probe")
    listed = said("list")
    assert isinstance(revoked, list)
    assert isinstance(listed, list)
    assert len(revoked) == 2
    assert [each["name"] for each in listed] == ["probe", "main", "probe"]
    assert said("check") == []


def test_no_key_is_ever_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = ["--folder", str(tmp_path / "ca")]
    for words in (["init"], ["issue", "probe"], ["rotate", "probe"], ["list"], ["check"], ["revoke", "probe"]):
        assert run(["certificates", *words, *folder]) == 0
    shown = "".join(capsys.readouterr())
    assert "PRIVATE" not in shown
    for line in (tmp_path / "ca" / "ca.key").read_text().splitlines()[1:-1]:
        assert line not in shown


def test_what_is_to_be_seen_to_is_said_with_status_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = ["--folder", str(tmp_path / "ca")]
    run(["certificates", "init", *folder])
    run(["certificates", "issue", "probe", "--days", "0.001", *folder])
    (tmp_path / "ca" / "probe.key").chmod(0o644)
    assert run(["certificates", "check", *folder]) == 1
    assert "chmod 600" in capsys.readouterr().err


def test_a_folder_without_an_authority_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["certificates", "list", "--folder", str(tmp_path)]) == 2
    assert "ca.pem" in capsys.readouterr().err
