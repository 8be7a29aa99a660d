"""What of a table that is being written makes a whole one: a manifest, the files it counts, and its journals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from infraspectre.adapters.column_store.journal import numbered
from infraspectre.adapters.column_store.manifest import MANIFEST, decoded

Take = Callable[[Path, int | None], Path]
"""Keeps so many bytes of a file, None for all that it holds now, and returns where they can be read."""


def copy_table(folder: Path, take: Take) -> None:
    """Take a table; raises FileNotFoundError where files were merged meanwhile, and InputError for a damaged manifest.

    A batch whose end is not written yet is cut off by whoever opens the copy, as after a crash.
    """
    first = 1
    if (folder / MANIFEST).exists():
        data = take(folder / MANIFEST, None).read_bytes()
        manifest = decoded(data, folder / MANIFEST)
        for part in manifest.parts:
            for name in part.files:
                take(folder / name, None)
        if manifest.batches:
            take(folder / manifest.batches, None)
        first = manifest.journal
    for _, path in numbered(folder, first):
        take(path, None)


def tables_in(root: Path) -> list[Path]:
    """Return the folders of all tables of all tenants."""
    return sorted(path for path in root.glob("*/*") if (path / MANIFEST).exists() or any(path.glob("journal-*")))
