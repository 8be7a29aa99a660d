from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from benches.signatures import Comparison, rule_scores, weighted
from benches.suricata import other_arguments


@pytest.fixture
def comparison(tmp_path: Path) -> Comparison:
    """Four captures: rule 1 always fires; rule 2 once, and here on another capture as well; rule 3 is missed."""
    rules = tmp_path / "test.rules"
    rules.write_text("".join(f"alert tcp any any -> any any (sid:{sid}; rev:1;)\n" for sid in (1, 2, 3)))
    expected = {"a": Counter({1: 1, 2: 1}), "b": Counter({1: 1, 3: 1}), "c": Counter({1: 1}), "d": Counter({1: 2})}
    got = {"a": Counter({1: 1, 2: 1}), "b": Counter({1: 1, 2: 1}), "c": Counter({1: 1}), "d": Counter({1: 1})}
    return Comparison(rules, expected, got)


def test_pairs_of_capture_and_rule_are_compared(comparison: Comparison) -> None:
    assert comparison.wanted - comparison.found == {("b", 3)}
    assert comparison.found - comparison.wanted == {("b", 2)}
    assert (comparison.agreement, comparison.equal_sets, comparison.equal_counts) == (5 / 7, 3, 4)


def test_a_capture_that_ended_the_engine_is_not_identical(comparison: Comparison) -> None:
    comparison.problems["c"] = "hung"
    assert comparison.equal_sets == 2


def test_rules_are_scored_one_by_one(comparison: Comparison) -> None:
    always, once, missed = rule_scores(comparison)
    assert (always.precision, always.recall, always.weight) == (1.0, 1.0, 0.0)
    assert (once.precision, once.recall, once.weight) == (0.5, 1.0, 0.75)
    assert (missed.precision, missed.recall, missed.balanced) == (None, 0.0, 0.5)
    assert weighted((one.precision, one.weight) for one in (always, once, missed)) == 0.5


def test_arguments_beside_settings_are_taken_over() -> None:
    assert other_arguments(["-k none port 22", "--set a.b=c", "--runmode=single", "--simulate-ips"]) == {
        "runmode": "single",
        "bpf-filter": "port 22",
    }
