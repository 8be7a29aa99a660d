"""Files of own rules are read strictly: every fault is named by file, line and field."""

from __future__ import annotations

from pathlib import Path

import pytest

from infraspectre.errors import InputError
from infraspectre.own_rules import fields
from infraspectre.soma.rules import load_rules, read_files

RULE = "rules:\n- id: a\n  title: t\n  severity: low\n"
WINDOW = RULE + "  when: resp_port == 1\n  window:\n    within: 1m\n"
STEPS = "    steps: [resp_port == 1, resp_port == 2]\n"


def fault(path: Path, text: str) -> InputError:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_rules([path], fields())
    return caught.value


@pytest.mark.parametrize(
    ("text", "line", "field", "problem"),
    [
        ("rulez: []\n", 1, "$.rulez", "unknown field"),
        ("- 3\n", 1, "$", "Expected `object`"),
        ("rules: [3]\n", 1, "$.rules[0]", "Expected `object`"),
        ("rules:\n- id: A B\n  title: t\n  severity: low\n  when: resp_port == 1\n", 2, "$.rules[0].id", "regex"),
        (RULE + "  when: resp_port == 1\n  wehn: 3\n", 6, "$.rules[0].wehn", "unknown field"),
        (RULE, 2, "$.rules[0].id", "needs either a condition (when) or a sequence"),
        (RULE + "  when: resp_prt == 1\n", 5, "$.rules[0].when", "there is no field 'resp_prt'"),
        (RULE + "  when: resp_port == 1\n  confidence: 2\n", 6, "$.rules[0].confidence", "Expected `float` <= 1"),
        (RULE + "  when: resp_port == 1\n  techniques:\n  - T9999\n", 7, "$.rules[0].techniques[0]", "no technique"),
        (WINDOW, 7, "$.rules[0].window", "waits for nothing"),
        (WINDOW + "    count: 0\n", 8, "$.rules[0].window.count", "Expected `int` >= 1"),
        (WINDOW + "    count: 1000000\n", 8, "$.rules[0].window.count", "Expected `int` <= 100000"),
        (WINDOW + "    count: 3\n    by: prt\n", 9, "$.rules[0].window.by", "there is no field 'prt'"),
        (WINDOW + "    count: 3\n    by: []\n", 9, "$.rules[0].window.by", "names no field"),
        (WINDOW + "    count: 3\n    by: http_uris\n", 9, "$.rules[0].window.by", "holds a list of texts"),
        (WINDOW + "    distinct: {http_uris: 3}\n", 8, "$.rules[0].window.distinct.http_uris", "holds a list"),
        (WINDOW + "    sum: {orig_ip: 3}\n", 8, "$.rules[0].window.sum.orig_ip", "holds a text"),
        (WINDOW + "    sum: {orig_bytes: 3h}\n", 8, "$.rules[0].window.sum.orig_bytes", "3h is a time"),
        (WINDOW + "    sum: {orig_bytes: 0}\n", 8, "$.rules[0].window.sum.orig_bytes", "not more than 0"),
        (WINDOW + "    sum: {orig_bytes: much}\n", 8, "$.rules[0].window.sum.orig_bytes", "'much' is no number"),
        (WINDOW + "    sum: {orig_bytes: 0x 1}\n", 8, "$.rules[0].window.sum.orig_bytes", "'0x 1' is no number"),
        (WINDOW + "    rate: 5/m\n", 8, "$.rules[0].window.rate", "'5/m' is no rate"),
        (WINDOW + "    rate: {orig_ip: 5/s}\n", 8, "$.rules[0].window.rate.orig_ip", "holds a text"),
        (WINDOW + "    rate: 1000000/s\n", 8, "$.rules[0].window.rate", "comes to 60,000,000 flows"),
        (WINDOW.replace("1m", "1MB") + "    count: 3\n", 7, "$.rules[0].window.within", "1MB is no time"),
        (WINDOW.replace("1m", "90d") + "    count: 3\n", 7, "$.rules[0].window.within", "90d is not between"),
        (RULE + "  sequence:\n    within: 1m\n    steps: [resp_port == 1]\n", 7, "$.rules[0].sequence.steps", "length"),
        (RULE + "  sequence:\n    within: 5\n" + STEPS, 6, "$.rules[0].sequence.within", "5 is no time"),
        (
            RULE + "  sequence:\n    within: 5m\n    steps:\n    - resp_port == 1\n    - resp_prt == 1\n",
            9,
            "$.rules[0].sequence.steps[1]",
            "there is no field 'resp_prt'",
        ),
        (
            RULE
            + "  sequence:\n    within: 5m\n    steps:\n    - resp_port == 1\n    - {when: resp_port == 1, by: x}\n",
            9,
            "$.rules[0].sequence.steps[1].by",
            "there is no field 'x'",
        ),
        (WINDOW + "    count: 3\n  sequence:\n    within: 5m\n" + STEPS, 2, "$.rules[0].id", "needs either"),
        ("lists:\n  ports: []\n", 2, "$.lists.ports", "is empty"),
        ("lists:\n  ports: [1, a]\n", 2, "$.lists.ports", "mixes texts"),
        ("lists:\n  resp_port: [1]\n", 2, "$.lists.resp_port", "has the name of a field"),
    ],
)
def test_every_fault_is_named(tmp_path: Path, text: str, line: int, field: str, problem: str) -> None:
    found = fault(tmp_path / "rules.yaml", text)
    assert problem in found.problem
    assert (found.path, found.line, found.field) == (str(tmp_path / "rules.yaml"), line, field)


def test_all_faults_are_collected(tmp_path: Path) -> None:
    rule = "{{id: {}, title: t, severity: low, when: resp_port == {}}}"
    texts = [rule.format("a", "x"), rule.format("b", 1), rule.format("c", "y")]
    (tmp_path / "one.yaml").write_text(f"rules: [{', '.join(texts)}]")
    (tmp_path / "two.yml").write_text(f"rules: [{rule.format('b', 2)}]")
    (tmp_path / "three.yaml").write_text("rules: [")
    (tmp_path / "notes.txt").write_text("not rules")
    files, faults = read_files([tmp_path], fields())
    assert [rule.id for file in files for rule in file.rules] == ["b", "b"]
    assert len(faults) == 4
    assert "is the identity of a rule in" in faults[-1].problem
    with pytest.raises(InputError, match="'infraspectre rules check' shows 3 more"):
        load_rules([tmp_path], fields())


@pytest.mark.parametrize("other", ["title: t\ndetection: {}\n", "capture: a.pcap\nexpect: {1: 1}\n", "decisions: []\n"])
def test_other_files_of_a_folder_are_passed_over(tmp_path: Path, other: str) -> None:
    (tmp_path / "other.yaml").write_text(other)
    (tmp_path / "rules.yaml").write_text(RULE + "  when: resp_port == 1\n")
    assert [rule.id for rule in load_rules([tmp_path], fields())] == ["a"]
    with pytest.raises(InputError, match=r"other\.yaml"):
        load_rules([tmp_path / "other.yaml"], fields())


def test_what_holds_no_rules_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no file of own rules"):
        load_rules([tmp_path], fields())
    (tmp_path / "rules.txt").write_text("rules: []")
    with pytest.raises(InputError, match="is no file of own rules"):
        load_rules([tmp_path / "rules.txt"], fields())
    with pytest.raises(InputError, match=r"absent\.yaml: cannot be read"):
        load_rules([tmp_path / "absent.yaml"], fields())


def test_a_disabled_rule_is_checked_and_left_out(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(RULE + "  when: resp_port == 1\n  enabled: false\n")
    assert load_rules([path], fields()) == []
