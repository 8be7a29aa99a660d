"""Folders of models: what is written is read again, and what is damaged is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from infraspectre.errors import InputError
from infraspectre.learning.model_folder import load_state, save_state
from infraspectre.ml.detector import State


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_state(State("outer", {"a": 1}, {"x": np.arange(3)}, {"inner": State("inner", {"b": "c"})}), tmp_path)
    return tmp_path


def test_a_state_is_read_as_it_was_written(folder: Path) -> None:
    state = load_state(folder)
    assert (state.kind, state.values, state.arrays["x"].tolist()) == ("outer", {"a": 1}, [0, 1, 2])
    assert state.parts["inner"].values == {"b": "c"}


def test_pickled_arrays_are_refused(folder: Path) -> None:
    np.save(folder / "x.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"x\.npy: this is no array"):
        load_state(folder)


@pytest.mark.parametrize("name", ["../x", "a/b", ""])
def test_names_that_lead_out_of_the_folder_are_refused(folder: Path, name: str) -> None:
    (folder / "state.json").write_text(f'{{"kind":"k","values":{{}},"arrays":["{name}"],"parts":[]}}')
    with pytest.raises(InputError, match="is not a name"):
        load_state(folder)


@pytest.mark.parametrize("content", ["", "{", '{"kind":1}', "[]"])
def test_damaged_states_are_refused(folder: Path, content: str) -> None:
    (folder / "state.json").write_text(content)
    with pytest.raises(InputError, match=r"state\.json: this is no state"):
        load_state(folder)
