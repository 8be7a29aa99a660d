from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from infraspectre.adapters.record_store import open_sqlite
from infraspectre.api.access.passwords import Passwords
from infraspectre.cli import run
from infraspectre.records.access import UserRecord
from infraspectre.records.collections import SESSIONS, USERS
from infraspectre.records.queries import Query
from log_fakes import SetClock

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFRASPECTRE_ACCESS__PASSWORD_KIB", "32")


def kept(folder: Path, name: str) -> UserRecord:
    import msgspec

    records = open_sqlite(folder / "records.sqlite", SetClock())
    stored = records.get("default", USERS, name)
    records.close()
    assert stored is not None
    return msgspec.json.decode(stored.body, type=UserRecord)


def users(*words: str, folder: Path) -> int:
    return run(["users", *words, "--store", str(folder)])


def test_the_first_administrator_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(PASSWORD + "\n"))
    assert users("add", "ada", "--role", "administrator", folder=tmp_path) == 0
    record = kept(tmp_path, "ada")
    assert record.role == "administrator"
    assert Passwords(32)._verify(PASSWORD, record.password)
    assert users("list", "--json", folder=tmp_path) == 0
    assert json.loads(capsys.readouterr().out)[0]["name"] == "ada"


def test_a_password_comes_from_a_file_and_can_be_changed(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\nsecond line\n")
    assert users("add", "ada", "--password-file", str(file), folder=tmp_path) == 0
    file.write_text("another horse battery\n")
    assert users("password", "ada", "--password-file", str(file), folder=tmp_path) == 0
    assert Passwords(32)._verify("another horse battery", kept(tmp_path, "ada").password)
    assert users("disable", "ada", folder=tmp_path) == 0
    assert kept(tmp_path, "ada").is_disabled


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["add", "Ada"], "no name"),
        (["add", "ada", "--tenant", "nowhere"], "no such tenant"),
        (["password", "nobody"], "no such user"),
        (["add", "ada", "--password-file", "nowhere"], "cannot be read"),
    ],
)
def test_what_cannot_be_is_said(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    says: str,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(PASSWORD + "\n"))
    assert users(*words, folder=tmp_path) == 2
    told = capsys.readouterr().err
    assert says in told
    assert PASSWORD not in told


def test_a_new_password_ends_all_sessions_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "password").write_text(PASSWORD + "\n")
    given = ("--password-file", str(tmp_path / "password"))
    assert users("add", "ada", *given, folder=tmp_path) == 0
    records = open_sqlite(tmp_path / "records.sqlite", SetClock())
    for name in ("ada", "eve"):
        records.put("default", SESSIONS, f"{name}-s", {"user": name, "expires_at": 2**62})
    assert users("password", "ada", *given, folder=tmp_path) == 0
    assert [row.key for row in records.page("default", SESSIONS, Query()).rows] == ["eve-s"]
    records.close()


def test_a_short_password_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))
    assert users("add", "ada", folder=tmp_path) == 2
