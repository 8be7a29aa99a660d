"""The events that authors of Sigma rules recorded match their rules."""

from __future__ import annotations

from pathlib import Path

import pytest
from benches import sigma
from benches.report import UnavailableError

from infraspectre.soma.sigma.compile import RuleSet


def test_objects_that_follow_one_another_are_all_read() -> None:
    assert list(sigma.objects('{"a": 1}\n{"b": 2}  \n')) == [{"a": 1}, {"b": 2}]


def test_recorded_events_match_their_rules(data: Path) -> None:
    try:
        measured = sigma.regression(RuleSet(sigma.loaded().rules))
    except UnavailableError as reason:
        pytest.skip(str(reason))
    assert len(measured) > 100
    assert [one.rule for one, matches in measured if matches < one.matches] == []
