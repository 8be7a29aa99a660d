"""Folders in which a training that was interrupted finds how far it had come."""

from __future__ import annotations

from pathlib import Path

from infraspectre.adapters.models import MANIFEST, clear, load_model, save_model
from infraspectre.files import writing_to
from infraspectre.ml.detector import State
from infraspectre.records.models import Manifest


class Checkpoints:
    """Keeps states in a folder, each under its name, until they are removed."""

    def __init__(self, folder: Path, label: str, seed: int) -> None:
        """Use a folder, which need not exist; label and seed are told in the manifests."""
        self._folder, self._label, self._seed = folder, label, seed

    def find(self, name: str) -> State | None:
        """Return what was kept under a name; None for nothing; raises InputError naming a file that was changed."""
        place = self._folder / name
        return load_model(place)[1] if (place / MANIFEST).is_file() else None

    def keep(self, name: str, state: State) -> None:
        """Keep a state under a name in place of the one before."""
        manifest = Manifest(name, state.kind, "classify", self._label, {}, [], "", self._seed, [])
        save_model(self._folder / name, manifest, state)

    def remove(self) -> None:
        """Remove all that was kept, and the folder unless it holds other things."""
        if not self._folder.is_dir():
            return
        for place in [each.parent for each in self._folder.glob(f"*/{MANIFEST}")]:
            clear(place)
            with writing_to(place):
                (place / "arrays").rmdir()
                place.rmdir()
        if not any(self._folder.iterdir()):
            with writing_to(self._folder):
                self._folder.rmdir()
