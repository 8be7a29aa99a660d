"""Folders of models: a state as `state.json` and one `.npy` file for each array; nothing in them is ever executed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from infraspectre.errors import InputError
from infraspectre.ml.detector import State

STATE = "state.json"


def save_state(state: State, folder: Path) -> None:
    """Write a state into a folder, its parts into folders below."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"kind": state.kind, "values": state.values, "arrays": sorted(state.arrays), "parts": sorted(state.parts)}
    (folder / STATE).write_bytes(msgspec.json.encode(content) + b"\n")
    for name, array in state.arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    for name, part in state.parts.items():
        save_state(part, folder / name)


def load_state(folder: Path) -> State:
    """Read the state that a folder holds; raise `InputError` naming the file that is missing or damaged."""
    content = _content(folder / STATE)
    arrays = {name: _array(folder / f"{name}.npy") for name in content.arrays}
    parts = {name: load_state(folder / name) for name in content.parts}
    return State(content.kind, content.values, arrays, parts)


class Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Says what a folder of a model holds."""

    kind: str
    values: dict[str, Any]
    arrays: list[str]
    parts: list[str]

    def __post_init__(self) -> None:
        """Refuse names that lead out of the folder."""
        for name in (*self.arrays, *self.parts):
            if not name.replace("_", "").replace("-", "").isalnum():
                raise ValueError(f"{name!r} is not a name of an array or part")


def _content(path: Path) -> Content:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Content)
    except (OSError, msgspec.MsgspecError, ValueError) as error:
        raise InputError(f"this is no state of a model: {error}", path=path, remedy="train the model again") from error


def _array(path: Path) -> np.ndarray[Any, Any]:
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"this is no array of a model: {error}", path=path, remedy="train the model again") from error
