"""`infraspectre store` finds damage, saves the rest, copies, and erases."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import record_flips
from infraspectre.cli import run
from infraspectre.errors import EXIT_BAD_INPUT, EXIT_DONE, EXIT_FAILED, EXIT_LOSSES


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "records.db"
    record_flips.make(made)
    return made


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def test_a_damaged_record_is_found_and_moved_aside(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["store", "verify", str(path)]) == EXIT_DONE
    flip(
        path, path.read_bytes().rindex(b'"name":"name 7"') + 10
    )  # of the whole records, which lie behind those of lists
    capsys.readouterr()
    assert run(["store", "verify", str(path), "--json"]) == EXIT_FAILED
    (damage,) = json.loads(capsys.readouterr().out)["damages"]
    assert (damage["collection"], damage["key"]) == ("things", "key7")
    assert run(["store", "repair", str(path), "--json"]) == EXIT_LOSSES
    assert json.loads(capsys.readouterr().out)["rebuilt"] is None
    assert run(["store", "verify", str(path)]) == EXIT_DONE
    assert run(["store", "repair", str(path)]) == EXIT_DONE


def test_what_lists_show_is_made_again_of_whole_records(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flip(path, path.read_bytes().index(b'"name":"name 7"') + 10)
    assert run(["store", "verify", str(path)]) == EXIT_FAILED
    assert run(["store", "repair", str(path)]) == EXIT_DONE
    assert run(["store", "verify", str(path)]) == EXIT_DONE


def test_a_damaged_file_is_made_anew(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flip(path, 3)
    assert run(["store", "verify", str(path)]) == EXIT_BAD_INPUT
    assert "infraspectre store repair" in capsys.readouterr().err
    assert run(["store", "repair", str(path), "--json"]) == EXIT_LOSSES
    assert json.loads(capsys.readouterr().out)["rebuilt"] == 22
    assert run(["store", "verify", str(path)]) == EXIT_DONE


def test_a_copy_is_whole_and_an_entity_is_erased(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = path.with_name("copy.db")
    assert run(["store", "backup", str(path), "--out", str(out)]) == EXIT_DONE
    assert run(["store", "erase", str(path), "10.0.0.7", "--tenant", "a", "--json"]) == EXIT_DONE
    assert json.loads(capsys.readouterr().out) == {"records": 1, "captures": 0}
    assert b"10.0.0.7" in out.read_bytes()
    assert run(["store", "erase", str(path), "10.0.0.7", "--tenant", "b", "--pseudonym", "host-x"]) == EXIT_DONE
    assert b"10.0.0.7" not in path.read_bytes()
    assert run(["store", "verify", str(path)]) == EXIT_DONE


def test_what_is_no_store_is_named_without_its_content(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing, address = tmp_path / "none.db", tmp_path / "server.dsn"
    for command in ("verify", "repair"):
        assert run(["store", command, str(missing)]) == EXIT_BAD_INPUT
    address.write_text(f"host={tmp_path} password=hunter2 dbname=x")
    assert run(["store", "verify", str(address)]) == EXIT_FAILED
    assert run(["store", "backup", str(address), "--out", str(missing)]) == EXIT_BAD_INPUT
    assert "hunter2" not in capsys.readouterr().err
