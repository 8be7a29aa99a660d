from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path

import msgspec
import pytest

from infraspectre.adapters.actions.nftables import Nftables
from infraspectre.errors import OutputError
from infraspectre.records.response import Action

NOW = 1_800_000_000 * 10**9
BLOCK = Action("a1", "i1", "nftables", "203.0.113.9", "Scan", "high", NOW, NOW + 3_600 * 10**9, 5.0)
BLOCK6 = msgspec.structs.replace(BLOCK, target="2001:db8::9", action_id="a2")


def fake_nft(folder: Path, script: str) -> str:
    path = folder / "nft"
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_elements_end_by_themselves(tmp_path: Path) -> None:
    runner = Nftables(tmp_path, now=lambda: NOW + 600 * 10**9)
    assert "nothing is loaded" in runner.run(BLOCK)
    rules = (tmp_path / "a1-block.nft").read_text()
    assert rules.splitlines()[-1] == "add element inet infraspectre blocked4 { 203.0.113.9 timeout 3000s }"
    assert "blocked6 { 2001:db8::9 timeout" in Nftables(tmp_path, now=lambda: NOW).preview(BLOCK6)


def test_undoing_deletes_the_element(tmp_path: Path) -> None:
    Nftables(tmp_path).undo(BLOCK)
    last = (tmp_path / "a1-free.nft").read_text().splitlines()[-1]
    assert last == "delete element inet infraspectre blocked4 { 203.0.113.9 }"


def test_rules_are_loaded_only_when_told(tmp_path: Path) -> None:
    command = fake_nft(tmp_path, f'echo "$@" >> {tmp_path}/calls')
    Nftables(tmp_path, command=command).run(BLOCK)
    assert not (tmp_path / "calls").exists()
    assert Nftables(tmp_path, loads=True, command=command).run(BLOCK).startswith("loaded")
    assert (tmp_path / "calls").read_text() == f"-f {tmp_path}/a1-block.nft\n"


@pytest.mark.parametrize(("script", "words"), [("echo bad >&2; exit 1", "refused by .*bad"), ("sleep 5", "timed out")])
def test_failures_are_told(tmp_path: Path, script: str, words: str) -> None:
    runner = Nftables(tmp_path, loads=True, command=fake_nft(tmp_path, script))
    with pytest.raises(OutputError, match=words):
        runner.run(msgspec.structs.replace(BLOCK, deadline_s=0.3))


def test_a_missing_command_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be loaded"):
        Nftables(tmp_path, loads=True, command=str(tmp_path / "none")).run(BLOCK)


@pytest.mark.skipif(shutil.which("nft") is None, reason="nft is not installed")
@pytest.mark.parametrize("what", [BLOCK, BLOCK6])
def test_nft_takes_the_rules(tmp_path: Path, what: Action) -> None:
    runner = Nftables(tmp_path, now=lambda: NOW)
    runner.run(what)
    runner.undo(what)
    for path in tmp_path.glob("*.nft"):
        done = subprocess.run(["nft", "-c", "-f", str(path)], capture_output=True, text=True, check=False)
        if "Operation not permitted" in done.stderr:
            pytest.skip("nft may not look at rules here")
        assert done.returncode == 0, done.stderr
