"""Writes the types of the console's requests from the description of the API."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from infraspectre.api.app import described

CONSOLE = Path(__file__).parents[1] / "console"
TYPES = CONSOLE / "src" / "api" / "schema.d.ts"


def written_to(target: Path) -> None:
    """Write the types to a file; raises CalledProcessError where the packages of the console are missing."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "openapi.json"
        source.write_bytes(msgspec.json.encode(described()))
        command = ["npx", "--no-install", "openapi-typescript", str(source), "--output", str(target), "--root-types"]
        subprocess.run([*command, "--root-types-no-schema-prefix"], cwd=CONSOLE, check=True, stdout=sys.stderr)  # noqa: S603


if __name__ == "__main__":
    written_to(TYPES)
