"""Help pages: wrapped for the terminal, linked in the reference."""

from __future__ import annotations

from pathlib import Path

import pytest

from infraspectre.cli.grammar import Group
from infraspectre.cli.help import page, reference
from infraspectre.cli.options import DEFAULT, Common


def copy(source: str, target: str | None = None, /, *, speed: int = 0, to: Path, common: Common = DEFAULT) -> None:
    """Copy something.

    Nothing is lost on the way.

    Parameters
    ----------
    source
        From here.
    target
        To there.
    speed
        So fast that this text has to be written on more than one line of a terminal of sixty columns.
    to
        A log.
    """


TREE = Group("Handle files.", {"copy": copy})


def test_a_page_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    lines = page("files copy", copy).splitlines()
    assert lines[0] == "Usage: files copy --to PATH [OPTIONS] SOURCE [TARGET]"
    assert "Nothing is lost on the way." in lines
    assert "  SOURCE  From here. [required]" in lines
    assert "  TARGET  To there." in lines
    assert "more than one line of a terminal of sixty" in " ".join("".join(lines).split())
    assert "[default: 0]" in "\n".join(lines)
    assert max(map(len, lines)) <= 60


def test_a_page_on_several_commands_lists_them() -> None:
    assert "Usage: files COMMAND" in page("files", TREE)
    assert "  copy  Copy something.\n" in page("files", TREE)


def test_the_reference_has_a_chapter_for_each_command() -> None:
    text = reference("files", TREE)
    assert "* [`copy`](#files-copy): Copy something.\n" in text
    assert "\n## files copy\n" in text
    assert "* `--to PATH`: A log. [required]\n" in text
    assert text.endswith("reported.\n")
