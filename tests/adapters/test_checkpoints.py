"""What was kept is found again, and removed without anything else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from infraspectre.adapters.checkpoints import Checkpoints
from infraspectre.errors import InputError
from infraspectre.ml.detector import State


def state(number: float) -> State:
    return State("course", {"losses": [number]}, {"0": np.full(3, number)})


def test_the_last_state_of_each_name_is_found(tmp_path: Path) -> None:
    shelf = Checkpoints(tmp_path / "m.unfinished", "label", 7)
    assert shelf.find("one") is None
    for name, number in (("one", 1.0), ("two", 2.0), ("one", 3.0)):
        shelf.keep(name, state(number))
    found = Checkpoints(tmp_path / "m.unfinished", "label", 7).find("one")
    assert found is not None
    assert found.values == {"losses": [3.0]}
    assert np.array_equal(found.arrays["0"], np.full(3, 3.0))


def test_a_changed_state_is_refused_by_the_name_of_its_file(tmp_path: Path) -> None:
    shelf = Checkpoints(tmp_path / "m.unfinished", "label", 7)
    shelf.keep("one", state(1.0))
    (tmp_path / "m.unfinished/one/state.json").write_text("{}")
    with pytest.raises(InputError, match=r"state\.json: was changed"):
        shelf.find("one")


def test_only_what_was_kept_is_removed(tmp_path: Path) -> None:
    shelf = Checkpoints(tmp_path / "m.unfinished", "label", 7)
    shelf.remove()
    shelf.keep("one", state(1.0))
    (tmp_path / "m.unfinished/mine.txt").write_text("x")
    shelf.remove()
    assert [path.name for path in (tmp_path / "m.unfinished").iterdir()] == ["mine.txt"]
    (tmp_path / "m.unfinished/mine.txt").unlink()
    shelf.keep("one", state(1.0))
    shelf.remove()
    assert not (tmp_path / "m.unfinished").exists()
