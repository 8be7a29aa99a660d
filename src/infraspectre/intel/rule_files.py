"""Finds files of rules, and tells by what stands in them of which kind those in YAML are."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

YAML = (".yaml", ".yml")
Kind = Literal["own", "sigma", "companion"]
"""Own rules, Sigma rules, and what belongs to signatures: tests, decisions and sources."""
KEYS: dict[Kind, tuple[str, ...]] = {
    "own": ("rules", "lists", "yara", "tests"),
    "sigma": ("title", "logsource", "detection", "correlation", "filter", "action"),
    "companion": ("capture", "expect", "decisions", "sources"),
}
"""The outermost keys by which files are known, the first of them in a file counts."""
MOST_BYTES = 1 << 20
"""Bytes of a file in which the keys are looked for."""
KINDS = {key: kind for kind, keys in KEYS.items() for key in keys}
KEY = re.compile(rf"""^(?:\{{\s*)?["']?({"|".join(KINDS)})["']?\s*:""", re.MULTILINE)


def kind_of(path: Path) -> Kind | None:
    """Return of which kind a YAML file is, also one that is broken; None where that cannot be told."""
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES).decode("utf-8-sig", "replace")
    except OSError:
        return None
    found = KEY.search(text)
    return KINDS[found[1]] if found else None


def yaml_rules(path: Path, kind: Kind) -> list[Path]:
    """Return the YAML files of one kind in a folder and below it, or the file itself if it is one."""
    files = files_in(path, YAML) if path.is_dir() else [path] if path.name.endswith(YAML) else []
    return [file for file in files if kind_of(file) == kind]


def files_in(folder: Path, suffixes: tuple[str, ...]) -> Iterator[Path]:
    """Yield the files with these suffixes in a folder and below it, by name; what begins with a dot is hidden."""
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    for entry in entries:
        if entry.is_dir() and not is_loop(entry):
            yield from files_in(entry, suffixes)
        elif entry.name.endswith(suffixes) and entry.is_file():
            yield entry


def is_loop(folder: Path) -> bool:
    """Tell whether a folder is a link that leads to one of those above it."""
    return folder.is_symlink() and Path(os.path.realpath(folder)) in Path(os.path.abspath(folder)).parents  # noqa: PTH100
