"""Tests of rules: how expectations are read and compared with what fired."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from infraspectre.adapters.rules.expectations import Bench, Expectation, differences, expectation_files
from infraspectre.errors import InputError
from rule_lines import rule


@pytest.mark.parametrize(
    ("count", "found", "is_met"),
    [
        (1, 1, True),
        (1, 2, False),
        (0, 0, True),
        (">=1", 5, True),
        (">=1", 0, False),
        ("< 3", 2, True),
        ("<=2", 3, False),
    ],
)
def test_counts_are_compared(count: int | str, found: int, is_met: bool) -> None:
    expectation = Expectation(capture="a.pcap", expect={7: count})
    assert (not differences(expectation, {"1:7": found, "3:7": 9})) is is_met


def test_others_are_allowed_unless_they_are_forbidden() -> None:
    found = {"1:7": 1, "1:8": 2}
    assert differences(Expectation(capture="a", expect={"1:7": 1}), found) == []
    (other,) = differences(Expectation(capture="a", expect={7: 1}, others="forbidden"), found)
    assert str(other) == "1:8: expected 0, found 2"


@pytest.fixture
def folder(tmp_path: Path, capture: Path, fake_signatures: None) -> Path:
    """A folder with a capture and a rule that fires on it."""
    shutil.move(capture, tmp_path / "a.pcap")
    (tmp_path / "my.rules").write_text(rule(7))
    return tmp_path


def run(folder: Path, text: str, *rules: Path) -> tuple[bool, str]:
    path = folder / "a.expect.yaml"
    path.write_text(text)
    verdict = Bench(rules, {}, None).verdict(path)
    return verdict.is_passed, verdict.problem or "; ".join(map(str, verdict.differences))


def test_a_test_passes_or_says_what_differs(folder: Path) -> None:
    assert run(folder, "{capture: a.pcap, rules: [my.rules], expect: {7: 1, 8: 0}}") == (True, "")
    assert run(folder, "{capture: [a.pcap, a.pcap], expect: {7: 2}}", folder) == (True, "")
    assert run(folder, "{capture: a.pcap, expect: {7: 0}}", folder) == (False, "1:7: expected 0, found 1")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{capture: a.pcap, expect: {7: 1}}", "names no rules"),
        ("{capture: a.pcap, rules: [absent], expect: {7: 1}}", "absent: no such file or folder"),
        ("{capture: a.pcap, expect: {x: 1}}", "x is no sid"),
        ("{capture: a.pcap, expect: {7: many}}", "many is no number of alerts"),
        ("{expect: {7: 1}}", "missing required field `capture`"),
        ("{capture: a.pcap, expect: {7: 1}, others: maybe}", "Invalid enum value 'maybe'"),
    ],
)
def test_a_test_that_cannot_be_run_fails_and_says_why(folder: Path, text: str, problem: str) -> None:
    is_passed, why = run(folder, text)
    assert not is_passed
    assert problem in why


def test_tests_are_found_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    for name in ("b.expect.yaml", "below/a.expect.yaml", "other.yaml"):
        (tmp_path / name).touch()
    assert list(expectation_files([tmp_path])) == [tmp_path / "b.expect.yaml", tmp_path / "below" / "a.expect.yaml"]
    assert list(expectation_files([tmp_path / "other.yaml"])) == [tmp_path / "other.yaml"]
    for wrong in (tmp_path / "absent", tmp_path / "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(InputError):
            list(expectation_files([wrong]))
