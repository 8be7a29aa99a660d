"""ATT&CK from STIX bundles of any version: what is in force, what took the place of what, and what is broken."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infraspectre.errors import InputError
from infraspectre.intel import attack
from infraspectre.intel.attack_bundle import read_bundle
from infraspectre.intel.knowledge import add_attack, empty
from infraspectre.records import TacticTechnique, Technique


def pattern(identity: str, name: str, phase: str = "discovery", **more: Any) -> dict[str, Any]:
    reference = {"source_name": "mitre-attack", "external_id": identity}
    phases = [{"kill_chain_name": "mitre-attack", "phase_name": phase}]
    return {
        "type": "attack-pattern", "id": f"attack-pattern--{identity}", "name": name,
        "external_references": [reference], "kill_chain_phases": phases,
    } | more  # fmt: skip


def revoked(before: str, after: str) -> dict[str, Any]:
    ends = {"source_ref": f"attack-pattern--{before}", "target_ref": f"attack-pattern--{after}"}
    return {"type": "relationship", "id": f"relationship--{before}", "relationship_type": "revoked-by"} | ends


def tactic(name: str, short: str) -> dict[str, Any]:
    return {"type": "x-mitre-tactic", "id": f"x-mitre-tactic--{short}", "name": name, "x_mitre_shortname": short}


SOUND = [
    {"type": "x-mitre-collection", "id": "x-mitre-collection--1", "name": "ATT&CK", "x_mitre_version": "99.1"},
    tactic("Discovery", "discovery"),
    tactic("Snooping", "snooping"),
    {
        "type": "x-mitre-matrix", "id": "x-mitre-matrix--1",
        "tactic_refs": ["x-mitre-tactic--snooping", "x-mitre-tactic--discovery"],
    },
    pattern("T1046", "Service Discovery", "snooping"),
    pattern("T1046.001", "Doors"),
    pattern("T1", "Oldest", revoked=True),
    pattern("T2", "Old", revoked=True),
    pattern("T3", "Gone", x_mitre_deprecated=True),
    revoked("T1", "T2"),
    revoked("T2", "T1046"),
]  # fmt: skip
BROKEN: list[Any] = [
    7,
    {"type": "attack-pattern"},
    pattern("T8", "No phases", kill_chain_phases="none"),
    {"type": "attack-pattern", "id": "attack-pattern--nobody", "name": "Nobody"},
    {"type": "malware", "id": "malware--1"},
]


def write(path: Path, objects: list[Any]) -> Path:
    path.write_bytes(gzip.compress(json.dumps({"type": "bundle", "id": "bundle--1", "objects": objects}).encode()))
    return path


@pytest.fixture
def restored() -> Iterator[None]:
    before = attack.attack_table()
    yield
    attack.use(before)


def test_techniques_have_their_names_and_tactics_in_the_order_of_the_matrix(tmp_path: Path) -> None:
    table = read_bundle(write(tmp_path / "a.json.gz", SOUND)).table
    assert table.version == "99.1"
    assert list(table.tactics) == ["snooping", "discovery"]
    assert table.techniques == {
        "T1046": ("Service Discovery", ["snooping"]),
        "T1046.001": ("Service Discovery: Doors", ["discovery"]),
    }


def test_what_was_revoked_leads_to_what_is_in_force(tmp_path: Path) -> None:
    circle = [
        pattern("T5", "a", revoked=True),
        pattern("T6", "b", revoked=True),
        revoked("T5", "T6"),
        revoked("T6", "T5"),
    ]
    table = read_bundle(write(tmp_path / "a.json.gz", SOUND + circle)).table
    assert table.successors == {"T1": "T1046", "T2": "T1046"}


def test_broken_objects_are_named_and_the_others_are_used(tmp_path: Path) -> None:
    bundle = read_bundle(write(tmp_path / "a.json.gz", BROKEN + SOUND))
    assert set(bundle.table.techniques) == {"T1046", "T1046.001"}
    assert {each.field: each.reason for each in bundle.refused} == {
        "objects[0]": "is no object",
        "objects[1]": "has no id",
        "attack-pattern--T8": "has kill_chain_phases that are none",
        "attack-pattern--nobody": "has no identity of ATT&CK",
        "malware--1": "has no name",
    }


@pytest.mark.parametrize(
    ("content", "told"), [(b"{", "is no JSON"), (b"[]", "is no STIX"), (b'{"objects": []}', "no technique")]
)
def test_what_is_no_bundle_of_attack_is_refused(content: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / "b.json").write_bytes(content)
    with pytest.raises(InputError, match=told):
        read_bundle(tmp_path / "b.json")
    with pytest.raises(InputError, match=r"c\.json"):
        read_bundle(tmp_path / "c.json")


@pytest.mark.usefixtures("restored")
def test_a_version_put_in_place_names_techniques_from_then_on(tmp_path: Path) -> None:
    attack.use(read_bundle(write(tmp_path / "a.json.gz", SOUND)).table)
    found = attack.in_tactic(Technique("T1", "Oldest"), "discovery")
    assert found == TacticTechnique("T1046", "Service Discovery", "snooping")
    assert attack.in_tactic(Technique("T9999", "Unknown"), "discovery") == TacticTechnique(
        "T9999", "Unknown", "discovery"
    )


def test_the_table_of_the_package_is_that_of_the_bundle(data: Path) -> None:
    table = read_bundle(data / "intel" / "attack" / "enterprise-attack-stix20.json.zst").table
    builtin = attack.builtin_table()
    assert (table.techniques, table.tactics, table.successors) == (
        builtin.techniques,
        builtin.tactics,
        builtin.successors,
    )


ANYTHING: tuple[Any, ...] = (None, 5, "x", [], {}, [[]], [{}], [None], {"a": []}, True)


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where something stands in lists and objects."""
    for key, each in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*place, key)
        if isinstance(each, dict | list):
            yield from places(each, (*place, key))


def replaced(value: Any, place: tuple[Any, ...], other: Any) -> Any:
    """Return a copy with another value in a place."""
    copy = json.loads(json.dumps(value))
    inner = copy
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = other
    return copy


def test_nothing_in_any_place_stops_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    actor = {"type": "intrusion-set", "id": "intrusion-set--1", "name": "Group", "aliases": ["Gang"]}
    uses = revoked("T1046", "T1046.001") | {"id": "relationship--uses", "relationship_type": "uses"}
    whole = [*SOUND, actor, uses | {"source_ref": actor["id"]}]
    for place in places(whole):
        for other in ANYTHING:
            path.write_text(json.dumps({"type": "bundle", "objects": replaced(whole, place, other)}))
            bundle = read_bundle(path)
            add_attack(empty(), bundle)
            assert bundle.table.techniques


def test_what_is_nested_without_end_is_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[" * 200_000)
    with pytest.raises(InputError, match="is no JSON"):
        read_bundle(tmp_path / "a.json")
