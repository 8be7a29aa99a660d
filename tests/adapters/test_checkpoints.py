"""Figures and states outlive an interruption for as long as what they depend on is the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from infraspectre.adapters.checkpoints import Checkpoint, States
from infraspectre.errors import InputError, OutputError
from infraspectre.ml.detector import State


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


def state(number: float) -> State:
    return State("course", {"losses": [number]}, {"0": np.full(3, number)})


def test_the_last_state_of_each_name_is_found(tmp_path: Path) -> None:
    shelf = States(tmp_path / "states")
    assert shelf.find("one") is None
    for name, number in (("one", 1.0), ("two", 2.0), ("one", 3.0)):
        shelf.keep(name, state(number))
    found = States(tmp_path / "states").find("one")
    assert found is not None
    assert found.values == {"losses": [3.0]}
    assert np.array_equal(found.arrays["0"], np.full(3, 3.0))


def test_states_are_kept_for_one_cause_until_the_end(tmp_path: Path) -> None:
    out = tmp_path / "model"
    Checkpoint(out, ["data", 1]).states.keep("one", state(1.0))
    assert Checkpoint(out, ["data", 2]).states.find("one") is None
    again = Checkpoint(out, ["data", 1])
    assert again.states.find("one") is not None
    again.end()
    assert list(tmp_path.iterdir()) == []


def test_the_state_before_stays_where_a_new_one_cannot_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = States(tmp_path / "states")
    shelf.keep("one", state(1.0))

    def full(_path: Path, _data: bytes) -> None:
        raise OutputError("cannot be written: No space left on device")

    with monkeypatch.context() as patched, pytest.raises(OutputError):
        patched.setattr("infraspectre.adapters.models.write_whole", full)
        shelf.keep("one", state(2.0))
    found = shelf.find("one")
    assert found is not None
    assert found.values == {"losses": [1.0]}
    shelf.keep("one", state(3.0))
    assert [each.name for each in (tmp_path / "states").iterdir()] == ["one"]


def test_a_changed_state_is_refused_by_the_name_of_its_file(tmp_path: Path) -> None:
    shelf = States(tmp_path / "states")
    shelf.keep("one", state(1.0))
    (tmp_path / "states/one/state.json").write_text("{}")
    with pytest.raises(InputError, match=r"state\.json: was changed"):
        shelf.find("one")
