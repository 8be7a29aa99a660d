"""Completion: what the shells offer after the words typed so far."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from infraspectre.cli import completion

CASES = [
    ("infraspectre ana", ["analyze"]),
    ("infraspectre flows --fea", ["--features"]),
    ("infraspectre flows x --features f", ["full"]),
    ("infraspectre config s", ["show"]),
    ("infraspectre config show --j", ["--json"]),
    ("infraspectre completion z", ["zsh"]),
    ("infraspectre flows --out ./absent", []),
]
ASK = """
read -ra COMP_WORDS <<< "$1"
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_infraspectre
printf '%s\\n' "${COMPREPLY[@]}"
"""


def offered(*command: str) -> list[str]:
    return [line.split("\t")[0] for line in subprocess.check_output(command, text=True).splitlines() if line]


@pytest.mark.parametrize(("typed", "words"), CASES)
def test_bash_offers_what_may_come_next(typed: str, words: list[str]) -> None:
    assert offered("bash", "-c", completion.bash() + ASK, "bash", typed) == words


@pytest.mark.skipif(not shutil.which("fish"), reason="fish is not installed")
@pytest.mark.parametrize(("typed", "words"), CASES)
def test_fish_offers_what_may_come_next(typed: str, words: list[str]) -> None:
    assert offered("fish", "-c", f"{completion.fish()}\ncomplete -C '{typed}'") == words


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
def test_zsh_understands_its_script() -> None:
    subprocess.run(["zsh", "-f", "-c", f"autoload -U compinit && compinit -D\n{completion.zsh()}"], check=True)


def test_fish_reads_quotes_as_they_are() -> None:
    assert completion.quoted("it's C:\\") == "'it\\'s C:\\\\'"
