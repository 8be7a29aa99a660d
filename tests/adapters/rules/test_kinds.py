"""What people name as rules is sorted by what stands in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from infraspectre.adapters.rules.kinds import sorted_rules, sorted_tests
from sigma_rules import DISCARD

OWN = "rules: []\n"
FILES = {
    "a.rules": "",
    "own.yaml": OWN,
    "inner/sigma.yml": DISCARD,
    "a.expect.yaml": "{capture: a.pcap, rules: [a.rules], expect: {}}\n",
    "infraspectre-rules.yaml": "decisions: []\n",
    ".hidden/own.yaml": OWN,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_folder_may_hold_all_kinds(folder: Path) -> None:
    assert sorted_rules([folder]) == ([folder], [folder / "inner" / "sigma.yml"], [folder / "own.yaml"])
    assert sorted_rules([folder / "inner"]) == ([], [folder / "inner" / "sigma.yml"], [])


def test_a_file_in_yaml_that_is_named_is_read_as_own_rules_unless_it_is_known_better(folder: Path) -> None:
    named = [folder / "a.rules", folder / "inner" / "sigma.yml", folder / "infraspectre-rules.yaml", folder / "no.yaml"]
    assert sorted_rules(named) == ([named[0]], [named[1]], named[2:])


def test_what_holds_no_rules_is_left_to_the_signatures_to_refuse(folder: Path) -> None:
    (folder / "empty").mkdir()
    assert sorted_rules([folder / "empty", folder / "absent"]).signatures == [folder / "empty", folder / "absent"]


def test_tests_stand_in_files_of_their_own_or_beside_own_rules(folder: Path) -> None:
    assert sorted_tests([folder]) == ([folder], [folder / "own.yaml"])
    assert sorted_tests([folder / "a.expect.yaml"]) == ([folder / "a.expect.yaml"], [])
    assert sorted_tests([folder / "inner"]) == ([folder / "inner"], [])
    assert sorted_tests([folder / "inner" / "sigma.yml"]) == ([], [folder / "inner" / "sigma.yml"])
