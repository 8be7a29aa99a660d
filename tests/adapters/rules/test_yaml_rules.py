"""Sigma rules and own rules are counted, listed, chosen and shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from infraspectre.adapters.rules.yaml_rules import (
    check_own,
    check_sigma,
    chosen,
    listed_own,
    listed_sigma,
    shown_rules,
)
from infraspectre.errors import UsageError
from sigma_rules import BROKEN, DISCARD, MANY, PROCESS, documents

OWN = """\
lists: {}
rules:
- {id: one, title: é first, severity: low, when: resp_port == 1}
- id: two
  title: The second
  severity: high
  category: port scan
  enabled: false
  when: resp_port == 2
- {id: three, title: It is wrong, severity: low}
- {title: It has no identity}
"""


@pytest.fixture
def sigma(tmp_path: Path) -> Path:
    path = tmp_path / "sigma.yml"
    path.write_text(documents(DISCARD, PROCESS, BROKEN, MANY))
    return path


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.yaml"
    path.write_text(OWN, encoding="utf-8")
    return path


def test_a_check_counts_and_names(sigma: Path, own: Path) -> None:
    found = check_sigma([sigma])
    assert (found.files, found.loaded, found.unseen) == (1, 2, 1)
    assert [str(refusal)[: len(str(sigma)) + 5] for refusal in found.refused] == [f"{sigma}:20: "]
    assert (check_own([own]).loaded, [str(each).split(": ")[1] for each in check_own([own]).refused]) == (
        1,
        ["$.rules[2].id", "$.rules[3]"],
    )


def test_sigma_rules_say_what_they_look_at_or_why_they_see_nothing(sigma: Path) -> None:
    assert [(rule.name, rule.line, rule.status, rule.about) for rule in listed_sigma([sigma])] == [
        ("discard-used", 1, "enabled", "category firewall"),
        (
            "process",
            10,
            "unseen",
            "looks at category process_creation, product windows, which is not seen in network traffic",
        ),
        ("many", 23, "enabled", "event_count"),
    ]


def test_own_rules_are_listed_though_they_are_disabled(own: Path) -> None:
    assert [(rule.name, rule.line, rule.status, rule.about) for rule in listed_own([own])] == [
        ("one", 3, "enabled", "one"),
        ("two", 4, "disabled", "port scan"),
        ("three", 10, "enabled", "three"),
    ]


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ({}, ["discard-used", "process", "many", "one", "two", "three"]),
        ({"rule": "two"}, ["two"]),
        ({"msg": "PROCESS|many"}, ["process", "many"]),
        ({"file": "own.*"}, ["one", "two", "three"]),
        ({"file": "own.*", "msg": "second"}, ["two"]),
        ({"classtype": "x"}, []),
        ({"metadata": "x", "rule": "two"}, []),
    ],
)
def test_rules_are_chosen_by_all_that_is_given(
    choice: dict[str, str | None], names: list[str], sigma: Path, own: Path
) -> None:
    rules = [*listed_sigma([sigma]), *listed_own([own])]
    assert [rule.name for rule in chosen(rules, choice)] == names


def test_an_expression_that_is_none_is_named() -> None:
    with pytest.raises(UsageError, match="msg is no regular expression"):
        list(chosen([], {"msg": "("}))


def test_rules_are_shown_as_they_are_written(sigma: Path, own: Path) -> None:
    assert [shown.text for shown in shown_rules(listed_sigma([sigma]))] == [
        text.rstrip() for text in (DISCARD, PROCESS, MANY)
    ]
    assert [shown.text for shown in shown_rules(listed_own([own]))][:2] == [
        "{id: one, title: é first, severity: low, when: resp_port == 1}",
        "id: two\ntitle: The second\nseverity: high\ncategory: port scan\nenabled: false\nwhen: resp_port == 2",
    ]
