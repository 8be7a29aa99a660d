"""Build the compact ATT&CK table of the package from a STIX bundle of Enterprise ATT&CK.

Usage: python tools/build_attack_table.py enterprise-attack.json 18.1 src/infraspectre/intel/data/attack.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from infraspectre.intel.attack_bundle import read_bundle

NOTICE = (
    "© 2025 The MITRE Corporation. This work is reproduced and distributed with the permission of The MITRE "
    "Corporation. The MITRE Corporation (MITRE) hereby grants you a non-exclusive, royalty-free license to use "
    "ATT&CK® for research, development, and commercial purposes. Any copy you make for such purposes is authorized "
    "provided that you reproduce MITRE's copyright designation and this license in any such copy."
)


def main(bundle: str, version: str, target: str) -> None:
    """Write the table of one bundle."""
    read = read_bundle(Path(bundle))
    table = {
        "notice": NOTICE,
        "version": version,
        "tactics": read.table.tactics,
        "techniques": read.table.techniques,
        "successors": read.table.successors,
    }
    Path(target).write_text(readable(table) + "\n", encoding="utf-8")


def readable(table: dict[str, Any]) -> str:
    """Return the table as JSON with one technique on each line, so that a new version reads as a small change."""
    text = json.dumps(table, ensure_ascii=False)
    return (
        text.replace("]], ", "]],\n").replace('", "T', '",\n"T').replace('": {"', '": {\n"').replace('"}, "', '"},\n"')
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
