"""Build the compact ATT&CK table of the package from a STIX bundle of Enterprise ATT&CK.

Usage: python tools/build_attack_table.py enterprise-attack.json 18.1 src/infraspectre/intel/data/attack.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NOTICE = (
    "© 2025 The MITRE Corporation. This work is reproduced and distributed with the permission of The MITRE "
    "Corporation. The MITRE Corporation (MITRE) hereby grants you a non-exclusive, royalty-free license to use "
    "ATT&CK® for research, development, and commercial purposes. Any copy you make for such purposes is authorized "
    "provided that you reproduce MITRE's copyright designation and this license in any such copy."
)
KILL_CHAIN = (
    "reconnaissance",
    "resource-development",
    "initial-access",
    "execution",
    "persistence",
    "privilege-escalation",
    "defense-evasion",
    "credential-access",
    "discovery",
    "lateral-movement",
    "collection",
    "command-and-control",
    "exfiltration",
    "impact",
)
"""The order of the columns of the Enterprise matrix."""


def main(bundle: str, version: str, target: str) -> None:
    """Write the table of one bundle."""
    objects = json.loads(Path(bundle).read_text(encoding="utf-8"))["objects"]
    names = tactics(objects)
    table = {
        "notice": NOTICE,
        "version": version,
        "tactics": {name: names[name] for name in KILL_CHAIN},
        "techniques": dict(sorted(techniques(objects))),
    }
    Path(target).write_text(readable(table) + "\n", encoding="utf-8")


def readable(table: dict[str, Any]) -> str:
    """Return the table as JSON with one technique on each line, so that a new version reads as a small change."""
    text = json.dumps(table, ensure_ascii=False)
    return text.replace("]], ", "]],\n").replace('": {"', '": {\n"').replace('"}, "', '"},\n"')


def tactics(objects: list[dict[str, Any]]) -> dict[str, str]:
    """Map each tactic's short name to its name."""
    return {item["x_mitre_shortname"]: item["name"] for item in objects if item["type"] == "x-mitre-tactic"}


def techniques(objects: list[dict[str, Any]]) -> Iterator[tuple[str, list[Any]]]:
    """Yield each technique in force: its id, and its full name with its tactics in kill-chain order."""
    current = {external_id(item): item for item in objects if item["type"] == "attack-pattern" and in_force(item)}
    for identity, item in current.items():
        parent = current.get(identity.partition(".")[0], item)
        name = item["name"] if parent is item else f"{parent['name']}: {item['name']}"
        phases = {phase["phase_name"] for phase in item["kill_chain_phases"]}
        yield identity, [name, [phase for phase in KILL_CHAIN if phase in phases]]


def in_force(item: dict[str, Any]) -> bool:
    """Tell whether an object is neither revoked nor deprecated."""
    return not (item.get("revoked") or item.get("x_mitre_deprecated"))


def external_id(item: dict[str, Any]) -> str:
    """Return the ATT&CK identity of an object."""
    return str(next(ref["external_id"] for ref in item["external_references"] if ref["source_name"] == "mitre-attack"))


if __name__ == "__main__":
    main(*sys.argv[1:])
