"""Figures outlive an interruption for as long as what they depend on is the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from infraspectre.adapters.checkpoints import Checkpoint


def never() -> dict[str, float]:
    raise AssertionError("was computed again")


def test_figures_are_kept_until_the_end(tmp_path: Path) -> None:
    out = tmp_path / "model"
    figures = {"accuracy": 0.1 + 0.2}
    assert Checkpoint(out, ["data", 1]).keep("trial", lambda: figures) == figures
    assert not out.exists()
    again = Checkpoint(out, ["data", 1])
    assert again.keep("trial", never) == figures
    again.end()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["", "{", '{"key": "", "figures": {"trial": {"accuracy": "x"}}}'])
def test_other_causes_and_damaged_files_count_for_nothing(tmp_path: Path, damage: str) -> None:
    out = tmp_path / "model"
    Checkpoint(out, ["data", 1]).keep("trial", lambda: {"accuracy": 1.0})
    with pytest.raises(AssertionError):
        Checkpoint(out, ["data", 2]).keep("trial", never)
    (tmp_path / ".model.partial" / "figures.json").write_text(damage)
    with pytest.raises(AssertionError):
        Checkpoint(out, ["data", 1]).keep("trial", never)
