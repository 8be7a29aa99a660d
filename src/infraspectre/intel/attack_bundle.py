"""ATT&CK as its STIX bundles tell it, of any version: techniques, groups, campaigns, software, and who uses what."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from infraspectre import _core
from infraspectre.errors import InputError
from infraspectre.intel.attack import AttackTable
from infraspectre.records.rules import Refusal

MOST_BYTES = 1 << 29
"""A larger bundle is none: Enterprise ATT&CK has 50 MB."""
SOURCES = ("mitre-attack", "mitre-mobile-attack", "mitre-ics-attack")
"""Whose references hold the identities of ATT&CK."""
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
"""The order of the columns of the Enterprise matrix, for bundles without a matrix; further tactics come behind."""

Object = dict[str, Any]
_PATTERN = "attack-pattern"
_NAMED = (_PATTERN, "intrusion-set", "campaign", "malware", "tool", "x-mitre-tactic")
"""Objects that are of no use without a name."""


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


SHAPES: dict[str, Callable[[Any], bool]] = {
    "source_ref": _is_text,
    "target_ref": _is_text,
    "x_mitre_shortname": _is_text,
    "tactic_refs": _is_texts,
    "aliases": _is_texts,
}
"""What properties must be where they are told (STIX 2.1, and the extensions of ATT&CK)."""


class AttackBundle(NamedTuple):
    """Holds the objects of a bundle that are in force, and what became of those that are not."""

    objects: dict[str, Object]
    """By their STIX identities."""
    relationships: list[Object]
    """Between objects in force."""
    table: AttackTable
    refused: list[Refusal]


def read_bundle(path: Path) -> AttackBundle:
    """Read a STIX bundle of ATT&CK, plain, .gz or .zst; broken objects are refused, each by its id.

    Raises InputError for a file that is no such bundle.
    """
    try:
        data = _core.unpacked(path.read_bytes(), MOST_BYTES)
    except (OSError, ValueError) as error:
        raise InputError(str(error), path=path) from error
    try:
        content = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InputError(f"is no JSON: {error}", path=path) from error
    listed = content.get("objects") if isinstance(content, dict) else None
    if not isinstance(listed, list):
        raise InputError(
            "is no STIX bundle", path=path, field="objects", remedy="give a bundle such as MITRE publishes"
        )
    bundle = _bundle(listed, path)
    if not bundle.table.techniques:
        raise InputError("holds no technique of ATT&CK", path=path, field="objects")
    return bundle


def _bundle(listed: list[Any], path: Path) -> AttackBundle:
    refused: list[Refusal] = []
    sound = [each for number, each in enumerate(listed) if _is_sound(each, number, path, refused)]
    objects = {each["id"]: each for each in sound if each["type"] != "relationship" and in_force(each)}
    known = {each["id"]: each for each in sound}
    relationships = [
        each
        for each in sound
        if each["type"] == "relationship"
        and in_force(each)
        and {each.get("source_ref"), each.get("target_ref")} <= objects.keys()
    ]
    order = _order(sound)
    table = AttackTable(
        notice=_notice(sound),
        version=_version(sound),
        tactics=order,
        techniques=dict(sorted(_techniques(objects, order))),
        successors=_in_the_end(dict(_successors(sound, known))),
    )
    return AttackBundle(objects, relationships, table, refused)


def _is_sound(each: Any, number: int, path: Path, refused: list[Refusal]) -> bool:
    reason = _fault(each)
    if reason:
        name = each.get("id") if isinstance(each, dict) else None
        refused.append(Refusal(str(path), None, name if isinstance(name, str) else f"objects[{number}]", reason, None))
    return reason is None


def _fault(each: Any) -> str | None:
    """Say what is wrong with an object; None if it can be used."""
    if not isinstance(each, dict):
        return "is no object"
    lacking = [name for name in ("type", "id") if not isinstance(each.get(name), str)]
    if lacking:
        return f"has no {lacking[0]}"
    if each["type"] == _PATTERN and in_force(each):
        if external_id(each) is None:
            return "has no identity of ATT&CK"
        phases = each.get("kill_chain_phases", [])
        if not isinstance(phases, list) or not all(
            isinstance(p, dict) and _is_text(p.get("phase_name")) for p in phases
        ):
            return "has kill_chain_phases that are none"
    wrong = [name for name, is_right in SHAPES.items() if name in each and not is_right(each[name])]
    if wrong:
        return f"has {wrong[0]} that is none"
    return "has no name" if each["type"] in _NAMED and not isinstance(each.get("name"), str) else None


def _techniques(objects: dict[str, Object], order: dict[str, str]) -> Iterator[tuple[str, tuple[str, list[str]]]]:
    """Yield each technique in force: its id, and its full name with its tactics in kill-chain order."""
    current = {external_id(each) or "": each for each in objects.values() if each["type"] == _PATTERN}
    for identity, item in current.items():
        parent = current.get(identity.partition(".")[0], item)
        name = item["name"] if parent is item else f"{parent['name']}: {item['name']}"
        phases = {phase["phase_name"] for phase in item.get("kill_chain_phases", [])}
        yield identity, (name, [phase for phase in order if phase in phases])


def _order(objects: list[Object]) -> dict[str, str]:
    """Return the names of tactics by their short names, in the order of the matrix."""
    tactics = {each.get("x_mitre_shortname", ""): each for each in objects if each["type"] == "x-mitre-tactic"}
    by_id = {each["id"]: name for name, each in tactics.items()}
    matrix = [ref for each in objects if each["type"] == "x-mitre-matrix" for ref in each.get("tactic_refs", [])]
    names = [by_id[ref] for ref in matrix if ref in by_id] or [name for name in KILL_CHAIN if name in tactics]
    return {name: str(tactics[name]["name"]) for name in dict.fromkeys([*names, *sorted(tactics)]) if name}


def _successors(objects: list[Object], known: dict[str, Object]) -> Iterator[tuple[str, str]]:
    for each in objects:
        ends = known.get(each.get("source_ref", "")), known.get(each.get("target_ref", ""))
        if each.get("relationship_type") != "revoked-by" or not all(end and end["type"] == _PATTERN for end in ends):
            continue
        before, after = (external_id(end) for end in ends if end)
        if before and after and before != after:
            yield before, after


def _in_the_end(successors: dict[str, str]) -> dict[str, str]:
    """Follow each chain of successors to its end; a circle has none."""
    ended: dict[str, str] = {}
    for first in sorted(successors):
        passed = [first]
        while passed[-1] in successors and successors[passed[-1]] not in passed:
            passed.append(successors[passed[-1]])
        if passed[-1] not in successors:
            ended[first] = passed[-1]
    return ended


def _version(objects: list[Object]) -> str:
    """Return the version that the bundle's collection states; unknown where there is none."""
    collections = (each for each in objects if each["type"] == "x-mitre-collection" and "x_mitre_version" in each)
    return next((str(each["x_mitre_version"]) for each in collections), "unknown")


def _notice(objects: list[Object]) -> str:
    """Return the copyright that the bundle states."""
    stated = (each.get("definition", {}) for each in objects if each["type"] == "marking-definition")
    return next((str(each["statement"]) for each in stated if isinstance(each, dict) and "statement" in each), "")


def in_force(item: Object) -> bool:
    """Tell whether an object is neither revoked nor deprecated."""
    return not (item.get("revoked") or item.get("x_mitre_deprecated"))


def external_id(item: Object) -> str | None:
    """Return the ATT&CK identity of an object, such as T1046 or G0007; None if it has none."""
    references = item.get("external_references", [])
    if not isinstance(references, list):
        return None
    stated = (each for each in references if isinstance(each, dict) and each.get("source_name") in SOURCES)
    return next((str(each["external_id"]) for each in stated if "external_id" in each), None)
