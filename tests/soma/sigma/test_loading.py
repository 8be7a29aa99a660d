"""Rules are read as they are meant, and what is wrong in them is named by file, line, field and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from infraspectre.records import Technique
from infraspectre.soma.sigma.loading import MAX_COUNT, Loaded, read_rules
from infraspectre.soma.sigma.rule import LogSource, Not, Present, Seen, Some

RULE = """\
title: A rule
id: 5f2c4e7a-0000-4000-8000-000000000001
name: a_rule
status: test
tags:
    - attack.t1071.004
    - attack.T9999
    - attack.command-and-control
logsource:
    category: dns
detection:
    selection:
        query|endswith: .example
    condition: selection
falsepositives:
    - Tests
level: high
"""
CORRELATION = """\
title: Many
correlation:
    type: event_count
    rules:
        - a_rule
    group-by:
        - src_ip
    timespan: 5m
    condition:
        gte: 10
"""


def loaded(tmp_path: Path, *texts: str) -> Loaded:
    path = tmp_path / "rules.yml"
    path.write_text("\n---\n".join(texts))
    return read_rules([path])


def test_a_rule_says_who_it_is_and_what_it_means(tmp_path: Path) -> None:
    (rule,), (), () = loaded(tmp_path, RULE)
    head = rule.head
    assert (head.title, head.key, head.name, head.level) == ("A rule", RULE.split()[4], "a_rule", "high")
    assert head.techniques == (
        Technique("T1071.004", "Application Layer Protocol: DNS"),
        Technique("T9999", "T9999"),
    )
    assert head.falsepositives == ("Tests",)
    assert rule.source == LogSource("dns")


def test_rules_of_folders_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b.yml", "a.yaml", "inner/c.yml", "readme.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(RULE.replace("A rule", name).replace("id:", "x:").replace("name:", "y:"))
    assert [rule.head.title for rule in read_rules([tmp_path]).rules] == ["a.yaml", "b.yml", "inner/c.yml"]


def test_a_list_of_conditions_is_met_by_one_of_them(tmp_path: Path) -> None:
    text = RULE.replace(
        "condition: selection", "condition:\n        - selection\n        - not other\n    other:\n        f: null"
    )
    (rule,), _, refused = loaded(tmp_path, text)
    assert not refused
    assert isinstance(rule.test, Some)
    assert rule.test.parts[1] == Not(Not(Present("f")))


def test_correlations_call_rules_by_name_or_identity_wherever_they_are(tmp_path: Path) -> None:
    chained = CORRELATION.replace("a_rule", "many").replace("title: Many", "title: More")
    named = CORRELATION.replace("title: Many", "title: Many\nname: many")
    _, correlations, refused = loaded(tmp_path, chained, named, RULE)
    assert not refused
    assert [(each.head.title, each.rules) for each in correlations] == [
        ("Many", ("5f2c4e7a-0000-4000-8000-000000000001",)),
        ("More", ("many",)),
    ]
    assert (correlations[0].timespan, correlations[0].bounds) == (300_000_000_000, {"gte": 10})


def test_a_temporal_correlation_may_say_in_words_which_rules_it_needs(tmp_path: Path) -> None:
    text = CORRELATION.replace("event_count", "temporal").replace(
        "condition:\n        gte: 10", "condition: not a_rule"
    )
    _, (correlation,), _ = loaded(tmp_path, text, RULE)
    assert correlation.condition == Not(Seen("5f2c4e7a-0000-4000-8000-000000000001"))


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "problem"),
    [
        ("title: A rule\n", "", 1, "title", "is missing"),
        ("level: high", "level: urgent", 17, "level", "there is no level 'urgent'"),
        ("    category: dns", "    definition: logs", 10, "logsource", "names no log source"),
        ("query|endswith", "query|ends", 13, "detection.selection.query|ends", "there is no modifier 'ends'"),
        ("condition: selection", "condition: selektion", 14, "detection.condition", "no search is called 'selektion'"),
        ("    condition: selection\n", "", 12, "detection.condition", "is missing"),
        (".example", "{a: b}", 13, "detection.selection.query|endswith", "is not a value"),
        ("        query|endswith: .example", "        []", 13, "detection.selection", "looks for nothing"),
        ("status: test", "status: unsupported", 4, "status", "the rule says that it cannot be used"),
        ("status: test", "action: global", 4, "action", "is not part of Sigma any more"),
        ("status: test", "filter: {}", 4, "filter", "filters are not supported"),
        ("detection:", "detections:", 1, None, "is no Sigma rule"),
        ("tags:", "tags: {", 6, None, ""),
    ],
)
def test_a_fault_is_named_with_its_place(
    old: str, new: str, line: int, field: str | None, problem: str, tmp_path: Path
) -> None:
    rules, _, (refused,) = loaded(tmp_path, RULE.replace(old, new))
    assert not rules
    assert (refused.line, refused.field) == (line, field)
    assert refused.problem.startswith(problem)
    assert refused.path == str(tmp_path / "rules.yml")


@pytest.mark.parametrize(
    ("old", "new", "line", "problem"),
    [
        ("event_count", "event_sum", 3, "there is no such correlation"),
        ("5m", "5 minutes", 8, "is not a timespan"),
        ("5m", "0m", 8, "is not a timespan"),
        ("gte: 10", "more: 10", 10, "there is no comparison 'more'"),
        ("gte: 10", "field: a", 10, "compares with nothing"),
        ("gte: 10", "gte: many", 10, "is not a number"),
        ("gte: 10", f"gte: {MAX_COUNT + 1}", 10, "counts beyond"),
        ("event_count", "value_count", 10, "is missing"),
        ("gte: 10", "gte: 10\n        percentile: 101", 11, "is not a percentile"),
        ("    rules:\n        - a_rule\n", "", 3, "names no rule"),
        ("- a_rule", "- another", 1, "there is no rule 'another'"),
    ],
)
def test_a_fault_in_a_correlation_is_named_with_its_place(
    old: str, new: str, line: int, problem: str, tmp_path: Path
) -> None:
    _, correlations, (refused,) = loaded(tmp_path, CORRELATION.replace(old, new), RULE)
    assert not correlations
    assert refused.line == line
    assert refused.problem.startswith(problem)
    assert refused.remedy


def test_correlations_that_build_on_one_another_in_a_circle_are_refused(tmp_path: Path) -> None:
    one = CORRELATION.replace("a_rule", "two").replace("title: Many", "title: One\nname: one")
    two = CORRELATION.replace("a_rule", "one").replace("title: Many", "title: Two\nname: two")
    _, correlations, refused = loaded(tmp_path, one, two)
    assert not correlations
    assert len(refused) == 2


def test_of_rules_with_one_identity_the_first_holds(tmp_path: Path) -> None:
    rules, _, (refused,) = loaded(tmp_path, RULE, RULE.replace("A rule", "Another"))
    assert [rule.head.title for rule in rules] == ["A rule"]
    assert "is also a rule at" in refused.problem


def test_a_file_that_cannot_be_read_does_not_hide_the_others(tmp_path: Path) -> None:
    (tmp_path / "good.yml").write_text(RULE)
    (tmp_path / "bad.yml").write_bytes(b"title: caf\xe9\n")
    rules, _, refused = read_rules([tmp_path, tmp_path / "none.yml"])
    assert len(rules) == 1
    assert [each.problem for each in refused] == ["is not UTF-8 text", "cannot be read: No such file or directory"]


def test_deep_nesting_and_aliases_are_refused(tmp_path: Path) -> None:
    deep = RULE.replace("        query|endswith: .example", "        " + "[" * 40 + "]" * 40)
    alias = RULE.replace("title: A rule", "title: &a A rule").replace("level: high", "level: *a")
    for text in (deep, alias):
        rules, _, refused = loaded(tmp_path, text)
        assert not rules
        assert len(refused) == 1
