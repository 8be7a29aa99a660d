"""Operations as roles of tenants: what `benches.api_matrix` does with ten thousand calls, with some."""

from __future__ import annotations

import os

import pytest
from benches.api_matrix import leaks, matrix

CALLS, SEED = 150, 7


def test_no_call_of_any_role_leaks_or_gets_what_it_may_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", os.environ.get("XDG_DATA_HOME", ""))  # the matrix sets another
    made, wrong, good = matrix(CALLS, 25.0, SEED)
    assert not wrong
    assert made > CALLS // 3
    assert len(good) > 25


def test_a_leak_is_seen() -> None:
    assert leaks('{"title":"mark-red-title"}', "blue")
    assert not leaks('{"title":"mark-red-title"}', "red")
