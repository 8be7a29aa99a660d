"""Writes what the console knows beforehand: the types of requests, and the columns of flows."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from infraspectre._core import feature_schema
from infraspectre.api.app import described
from infraspectre.records.tables import flows_table

CONSOLE = Path(__file__).parents[1] / "console"
TYPES = CONSOLE / "src" / "api" / "schema.d.ts"
COLUMNS = CONSOLE / "src" / "flows" / "columns.json"


def written_to(target: Path) -> None:
    """Write the types to a file; raises CalledProcessError where the packages of the console are missing."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "openapi.json"
        source.write_bytes(msgspec.json.encode(described()))
        command = ["npx", "--no-install", "openapi-typescript", str(source), "--output", str(target), "--root-types"]
        subprocess.run([*command, "--root-types-no-schema-prefix"], cwd=CONSOLE, check=True, stdout=sys.stderr)  # noqa: S603


def columns() -> str:
    """Return the columns of flows, each with how it is compared (null: not at all), its unit and what it means."""
    table = flows_table()
    told = [
        {
            "name": each["name"],
            "kind": table.fields.get(each["name"]),
            "group": each["group"],
            "unit": each["unit"],
            "meaning": each["definition"],
        }
        for each in feature_schema()
        if each["name"] in table.columns
    ]
    return "[\n" + ",\n".join(json.dumps(each, ensure_ascii=False) for each in told) + "\n]\n"


if __name__ == "__main__":
    written_to(TYPES)
    COLUMNS.write_text(columns())
