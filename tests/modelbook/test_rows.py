from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from infraspectre.errors import InputError
from infraspectre.modelbook import rows as rows_module
from infraspectre.modelbook.rows import frame_of

KINDS = {"size": "number", "name": "text", "gaps": "list"}


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A model that takes a column of each kind."""
    monkeypatch.setattr(rows_module, "columns_in", lambda model, names: KINDS)
    return SimpleNamespace()


def test_rows_become_columns_of_their_kinds(model: Any) -> None:
    rows: list[dict[str, Any]] = [
        {"size": 1, "name": "a", "gaps": [1, 2.5]},
        {"size": 2.5, "other": 1},
        {"size": 2**70, "gaps": []},
    ]
    assert frame_of(model, rows).to_dict(as_series=False) == {
        "size": [1.0, 2.5, 2.0**70],
        "name": ["a", None, None],
        "gaps": [[1.0, 2.5], None, []],
    }


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"size": "1"}, "size: is no number in row 1"),
        ({"name": 1}, "name: is no text in row 1"),
        ({"gaps": ["x"]}, "gaps: is no list in row 1"),
        ({"size": 10**400}, "a number is too large"),
    ],
)
def test_what_is_of_another_kind_is_refused(model: Any, row: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        frame_of(model, [{}, row])
