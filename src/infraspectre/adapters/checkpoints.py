"""What a training has measured so far, kept beside the folder it writes to, so that one that was ended goes on."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from infraspectre.adapters.models import MANIFEST, load_model, save_model
from infraspectre.files import make_folder, write_whole, writing_to
from infraspectre.ml.detector import State
from infraspectre.records.models import Manifest

FIGURES, STATES = "figures.json", "states"
Figures = dict[str, float]


class Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Holds figures by name, and the digest of all that they depend on."""

    key: str
    figures: dict[str, Figures]


class Checkpoint:
    """Keeps figures and states in a folder `.NAME.partial` beside a result, for as long as the result is not there."""

    def __init__(self, out: Path, cause: Any) -> None:
        """Take up what was kept for the same cause: data, options and version as values that JSON can say."""
        out = out.absolute()
        self._folder = out.with_name(f".{out.name}.partial")
        self._key = hashlib.sha256(msgspec.json.encode(cause, order="sorted")).hexdigest()
        self._figures = self._read()

    def _read(self) -> dict[str, Figures]:
        try:
            kept = msgspec.json.decode((self._folder / FIGURES).read_bytes(), type=Kept)
        except (OSError, msgspec.DecodeError):
            return {}
        return dict(kept.figures) if kept.key == self._key else {}

    def keep(self, name: str, compute: Callable[[], Figures]) -> Figures:
        """Return the figures of a name: those kept, or else what is computed, which is on the disk on return."""
        if name not in self._figures:
            self._figures[name] = compute()
            make_folder(self._folder)
            write_whole(self._folder / FIGURES, msgspec.json.encode(Kept(self._key, self._figures)))
        return self._figures[name]

    @property
    def states(self) -> States:
        """Return where states of unfinished models are kept, those of this cause alone."""
        return States(self._folder / STATES / self._key)

    def end(self) -> None:
        """Forget everything: the result is there."""
        if self._folder.is_dir():
            with writing_to(self._folder):
                shutil.rmtree(self._folder)


class States:
    """Keeps states in a folder, each under its name."""

    def __init__(self, folder: Path) -> None:
        """Use a folder, which need not exist."""
        self._folder = folder

    def find(self, name: str) -> State | None:
        """Return what was kept under a name; None for nothing; raises InputError naming a file that was changed."""
        place = self._folder / name
        return load_model(place)[1] if (place / MANIFEST).is_file() else None

    def keep(self, name: str, state: State) -> None:
        """Keep a state under a name in place of the one before, which stays until the new one is on the disk."""
        place, written = self._folder / name, self._folder / f".{name}.partial"
        save_model(written, Manifest(name, state.kind, "classify", "", {}, [], "", 0, []), state)
        with writing_to(place):
            if place.is_dir():
                shutil.rmtree(place)
            written.replace(place)
