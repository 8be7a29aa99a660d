"""The ATT&CK Enterprise matrix: techniques with their names and tactics.

© 2025 The MITRE Corporation. This work is reproduced and distributed with the permission of The MITRE Corporation.
The table is built by `tools/build_attack_table.py`; its licence notice and version stand at its head.
"""

from __future__ import annotations

from importlib.resources import files

import msgspec

from infraspectre.records import TacticTechnique, Technique


class AttackTable(msgspec.Struct, frozen=True):
    """Holds one version of the matrix."""

    notice: str
    version: str
    tactics: dict[str, str]
    """Short name to name, in kill-chain order."""
    techniques: dict[str, tuple[str, list[str]]]
    """Identity to full name and tactics, in kill-chain order."""
    successors: dict[str, str] = {}
    """The technique that took the place of one that was revoked."""


_in_use: list[AttackTable] = []
"""The table in use, once one is."""


def attack_table() -> AttackTable:
    """Return the table in use: that of the package, unless another was put in its place."""
    if not _in_use:
        use(builtin_table())
    return _in_use[0]


def builtin_table() -> AttackTable:
    """Load the table that comes with the package."""
    source = files("infraspectre.intel") / "data" / "attack.json"
    return msgspec.json.decode(source.read_bytes(), type=AttackTable)


def use(table: AttackTable) -> None:
    """Put a table in the place of the one in use."""
    _in_use[:] = [table]


def technique(identity: str) -> Technique:
    """Return the technique of an identity of the package's own table, such as T1110.001; raises KeyError."""
    return Technique(identity, attack_table().techniques[identity][0])


def technique_called(identity: str, name: str) -> Technique:
    """Return the technique of an identity, or its successor, under the name given if the version in use knows none."""
    current = attack_table().successors.get(identity, identity)
    return Technique(current, attack_table().techniques.get(current, (name, []))[0])


def tactics(identity: str) -> list[str]:
    """Return the tactics that a technique serves, in kill-chain order; none if it is unknown."""
    return attack_table().techniques.get(identity, ("", []))[1]


def tactic_name(tactic: str) -> str:
    """Return the name of a tactic, such as Command and Control; an unknown one as it is."""
    return attack_table().tactics.get(tactic, tactic)


def kill_chain_position(tactic: str) -> int:
    """Return the column of a tactic in the matrix, from 0; an unknown one comes last."""
    order = list(attack_table().tactics)
    return order.index(tactic) if tactic in order else len(order)


def in_tactic(found: Technique, preferred: str) -> TacticTechnique:
    """Add to a technique the tactic it serves here: the preferred one if it can, else its first."""
    current = technique_called(found.id, found.name)
    possible = tactics(current.id)
    chosen = preferred if preferred in possible or not possible else possible[0]
    return TacticTechnique(current.id, current.name, chosen)
