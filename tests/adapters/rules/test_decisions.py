"""Decisions about rules: whom they mean, which one holds, and how they are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from infraspectre.adapters.rules.decisions import (
    Decided,
    Decision,
    Decisions,
    Selector,
    is_enabled,
    read_decisions,
    state_path,
    write_decisions,
)
from infraspectre.errors import InputError, UsageError
from infraspectre.records.signatures import Signature

RULE = Signature(
    path="rules/games.rules",
    line=1,
    gid=1,
    sid=7,
    rev=1,
    action="alert",
    msg="ET GAMES chess",
    classtype="policy-violation",
    metadata={"deployment": ["Perimeter", "Internal"]},
    is_enabled=True,
)


@pytest.mark.parametrize(
    ("selector", "is_meant"),
    [
        (Selector(sid=7), True),
        (Selector(sid=7, gid=3), False),
        (Selector(sid=8), False),
        (Selector(classtype="policy-violation"), True),
        (Selector(classtype="policy"), False),
        (Selector(msg="^et games"), True),
        (Selector(msg="^chess"), False),
        (Selector(file="games*"), True),
        (Selector(file="rules/games.rules"), False),
        (Selector(metadata="deployment"), True),
        (Selector(metadata="deployment Internal"), True),
        (Selector(metadata="deployment Inter"), False),
        (Selector(msg="chess", classtype="trojan-activity"), False),
    ],
)
def test_everything_given_must_hold(selector: Selector, is_meant: bool) -> None:
    assert selector.takes(RULE) is is_meant


def test_the_last_decision_about_a_rule_holds() -> None:
    off, on = Decision("disable", Selector(msg="GAMES")), Decision("enable", Selector(sid=7))
    other, quiet = Decision("enable", Selector(sid=8)), Decision("suppress", Selector(sid=7))
    for decisions, expected in (((on, off), False), ((off, on), True), ((off, other), False), ((quiet,), True)):
        assert is_enabled(RULE, Decided(Decisions(decisions)).about(RULE)) is expected


def test_a_new_decision_takes_the_place_of_one_about_the_same() -> None:
    before = Decisions((Decision("disable", Selector(sid=7)), Decision("suppress", Selector(sid=7))))
    assert before.with_one_more(Decision("enable", Selector(sid=7))).decisions == (
        Decision("suppress", Selector(sid=7)),
        Decision("enable", Selector(sid=7)),
    )


def test_suppressions_are_lines_of_a_threshold_file() -> None:
    everyone = Decision("suppress", Selector(msg="chess"))
    one = Decision("suppress", Selector(sid=7), track="by_src", ip="10.0.0.0/8")
    other = Decision("suppress", Selector(sid=9))
    assert [each.line(RULE) for each in Decided(Decisions((everyone, one, other))).about(RULE)] == [
        "suppress gen_id 1, sig_id 7",
        "suppress gen_id 1, sig_id 7, track by_src, ip 10.0.0.0/8",
    ]


def test_decisions_are_kept_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "state.yaml"
    decisions = Decisions((Decision("suppress", Selector(msg="a: #b"), "by_dst", "$HOME_NET", "ours"),))
    write_decisions(path, decisions)
    assert read_decisions(path) == decisions


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- {do: disable, rules: {}}", "names no rules"),
        ("- {do: disable, rules: {msg: '('}}", "msg is no regular expression"),
        ("- {do: delete, rules: {sid: 1}}", "Invalid enum value 'delete'"),
        ("- {do: disable, rules: {sid: 1}, track: by_src}", "track and ip belong together"),
        ("- {do: disable, rules: {sid: 1}, track: by_src, ip: 10.0.0.1}", "belong to suppress alone"),
        ("- {do: suppress, rules: {sid: 1}, track: by_src, ip: home}", "ip is no address"),
        ("- {do: suppress, rules: {sid: 1}, for: me}", "unknown field `for`"),
    ],
)
def test_a_wrong_decision_is_named_by_file_and_line(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "state.yaml"
    path.write_text(f"decisions:\n- {{do: enable, rules: {{sid: 1}}}}\n{text}\n")
    with pytest.raises(InputError, match=r"state\.yaml:3: ") as raised:
        read_decisions(path)
    assert problem in str(raised.value)


def test_rules_that_lie_apart_have_no_one_place_for_decisions(tmp_path: Path) -> None:
    (tmp_path / "a.rules").touch()
    assert state_path([tmp_path / "a.rules", tmp_path]) == tmp_path / "infraspectre-rules.yaml"
    with pytest.raises(UsageError, match="--state"):
        state_path([tmp_path, tmp_path / "below" / "b.rules"])
