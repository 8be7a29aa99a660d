"""Golden journeys: each folder of cases/ holds an input and the flows expected from it; a new case needs no code.

A line of `expected.jsonl` names only the columns that the case is about.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

import infraspectre

CASES = sorted(path.parent for path in Path(__file__).parent.glob("cases/*/expected.jsonl"))


def same(found: Any, expected: Any) -> bool:
    if isinstance(expected, float) and isinstance(found, float):
        return math.isclose(found, expected, rel_tol=1e-6)
    return bool(found == expected)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_journey(case: Path) -> None:
    (source,) = case.glob("input*")
    found = [row for batch in infraspectre.flows(source) for row in batch.frame.iter_rows(named=True)]
    expected = [json.loads(line) for line in (case / "expected.jsonl").read_text().splitlines()]
    assert len(found) == len(expected)
    for row, wanted in zip(found, expected, strict=True):
        assert {name: row[name] for name in wanted if not same(row[name], wanted[name])} == {}, wanted
