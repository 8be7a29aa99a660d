from __future__ import annotations

from pathlib import Path

import pytest

from findings import finding
from infraspectre.cortex import Cortex, load_rules
from infraspectre.errors import InputError

OWN = """
joins:
  - id: exploit-then-download
    says: $shared fetched something within $gap after it was attacked
    makes: incident
    by: victim-then-actor
    families: [malware_download]
    after_families: [web_attack]
    within: 30 m
    longest: 1 h
"""
BROKEN = """
joins:
  - id: Same Actor
    says: it is
    makes: incident
    by: actor
    within: 5 s
  - id: odd-window
    says: $who did it
    makes: incident
    by: actor
    within: 90 d
    families: [scan, ghosts]
    after_tactics: [dancing]
  - id: misspelt
    says: it is
    makes: incident
    by: actor
    wihtin: 5 s
"""


def written(folder: Path, text: str, name: str = "own.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_own_rules_join_what_they_describe(tmp_path: Path) -> None:
    attack = finding(1, "x", "server", category="web_attack")
    fetched = finding(2, "server", "y", category="file_download", at=1200.0)
    assert len(Cortex().correlate([attack, fetched])) == 2
    (incident,) = Cortex(rules=load_rules([written(tmp_path, OWN)])).correlate([attack, fetched])
    assert [(each.rule, each.why) for each in incident.joins] == [
        ("exploit-then-download", "server fetched something within 20 min after it was attacked")
    ]


def test_order_counts(tmp_path: Path) -> None:
    before = finding(1, "server", "y", category="file_download")
    attack = finding(2, "x", "server", category="web_attack", at=600.0)
    assert len(Cortex(rules=load_rules([written(tmp_path, OWN)])).correlate([before, attack])) == 2


def test_a_built_in_rule_can_be_replaced_and_switched_off(tmp_path: Path) -> None:
    off = """
joins:
  - {id: same-actor, says: never, makes: incident, by: actor, within: 1 s, enabled: false}
  - {id: campaign-actor, says: never, makes: campaign, by: actor, within: 1 s, enabled: false}
"""
    acts = [finding(1, "a", "b"), finding(2, "a", "c", category="web_attack")]
    assert len(Cortex().correlate(acts)) == 1
    apart = Cortex(rules=load_rules([written(tmp_path, off)])).correlate(acts)
    assert [each.campaign_id for each in apart] == [None, None]


def test_everything_that_is_wrong_is_said_at_once_with_its_place(tmp_path: Path) -> None:
    written(tmp_path, BROKEN, "a.yaml")
    written(tmp_path, "joins: [}", "b.yaml")
    written(tmp_path, OWN + OWN.partition("joins:")[2], "c.yaml")
    with pytest.raises(InputError) as caught:
        load_rules([tmp_path])
    places = [(Path(each.path or "").name, str(each.line)) for each in (caught.value, *caught.value.others)]
    assert places == [
        *(("a.yaml", line) for line in ("3", "9", "12", "13", "14", "19")),
        ("b.yaml", "1"),
        ("c.yaml", "12"),
    ]
    assert "ghosts" in str(caught.value)
    assert "dancing" in str(caught.value)
    assert "90 d" in str(caught.value)
    assert "$who" in str(caught.value)


@pytest.mark.parametrize("text", ["", "- 1", "joins: 3", "joins: [3]", "joins: [{}]"])
def test_odd_files_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"own\.yaml"):
        load_rules([written(tmp_path, text)])


def test_a_folder_without_rules_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no correlation rules"):
        load_rules([tmp_path])
