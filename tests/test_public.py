"""The public names, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import infraspectre

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


@pytest.mark.parametrize("module", ["infraspectre", "infraspectre.app", "infraspectre.cli"])
def test_importing_is_light(module: str) -> None:
    code = f"import sys, {module}; print(sorted({{'polars', 'numpy', 'rich', 'jinja2'}} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
