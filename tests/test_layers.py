"""The layers of the package, and that each one is checked."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_every_room_of_the_house_has_its_layer() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    named = " ".join(contracts[0]["layers"]).replace("|", " ").replace("(", " ").replace(")", " ").split()
    package = ROOT / "src" / "infraspectre"
    rooms = {path.relative_to(package).parts[0].removesuffix(".py") for path in package.rglob("*.py")}
    assert rooms - {"__init__"} <= {name.removeprefix("infraspectre.") for name in named}


def test_no_layer_imports_upward() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
