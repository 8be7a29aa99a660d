"""Sorts what people name as rules by kind: signatures, Sigma rules and own rules."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from infraspectre.adapters.rules.files import SUFFIXES, TEST_SUFFIX
from infraspectre.intel.rule_files import YAML, files_in, yaml_rules


class RulePaths(NamedTuple):
    """Holds where rules of each kind lie."""

    signatures: list[Path]
    """Files and folders."""
    sigma: list[Path]
    """Files."""
    own: list[Path]
    """Files."""


def sorted_rules(paths: Sequence[Path]) -> RulePaths:
    """Return where in files and folders rules of each kind lie; what holds rules of no kind is among the signatures."""
    found = RulePaths([], [], [])
    for path in paths:
        sigma = yaml_rules(path, "sigma")
        own = [file for file in own_files(path, SUFFIXES) if file not in sigma]
        found.sigma.extend(sigma)
        found.own.extend(own)
        if holds(path, SUFFIXES) or not (sigma or own):
            found.signatures.append(path)
    return found


def sorted_tests(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return which paths are read as tests of signatures, and the files of own rules with tests beside them."""
    own = {path: own_files(path, (TEST_SUFFIX,)) for path in paths}
    tests = [path for path in paths if holds(path, (TEST_SUFFIX,)) or not own[path]]
    return tests, [file for files in own.values() for file in files]


def own_files(path: Path, others: tuple[str, ...]) -> list[Path]:
    """Return the files that are read as own rules: those in a folder, or the file itself if it does not end so."""
    if path.is_dir():
        return yaml_rules(path, "own")
    return [path] if path.name.endswith(YAML) and not path.name.endswith(others) else []


def holds(path: Path, suffixes: tuple[str, ...]) -> bool:
    """Tell whether a file has one of these suffixes, or a folder holds one that has."""
    return any(files_in(path, suffixes)) if path.is_dir() else path.name.endswith(suffixes)
