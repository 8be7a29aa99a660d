"""The public names, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import infraspectre

HEAVY = {"polars", "numpy", "rich", "jinja2", "yaml", "msgspec", "inspect", "tempfile", "tomllib", "typing_extensions"}
"""Modules that take milliseconds to import; a small capture takes as long."""
ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("name", infraspectre.__all__)
def test_every_public_name_exists_and_is_documented(name: str) -> None:
    value = getattr(infraspectre, name)
    assert isinstance(value, str) or value.__doc__


def test_unknown_names_are_refused() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        infraspectre.nonsense  # noqa: B018


def test_versions_agree() -> None:
    cargo = tomllib.loads((ROOT / "Cargo.toml").read_text())
    assert cargo["workspace"]["package"]["version"] == infraspectre.__version__


def imported(code: str) -> set[str]:
    report = f"import sys\n{code}\nprint(*sys.modules)"
    return set(subprocess.check_output([sys.executable, "-c", report], text=True).split())


@pytest.mark.parametrize("module", ["infraspectre", "infraspectre.app", "infraspectre.cli"])
def test_importing_is_light(module: str) -> None:
    assert not HEAVY & imported(f"import {module}")


def test_writing_flows_of_a_capture_needs_nothing_heavy(capture: Path, tmp_path: Path) -> None:
    arguments = ["flows", str(capture), "--out", str(tmp_path / "flows.parquet"), "--quiet"]
    assert not HEAVY & imported(f"from infraspectre.cli import run; assert run({arguments}) == 0")
