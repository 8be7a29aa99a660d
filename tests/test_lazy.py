from __future__ import annotations

import sys

import pytest

from infraspectre.lazy import lazy


def test_a_name_is_imported_when_it_is_used() -> None:
    find = lazy("json", {"JSONDecoder": "decoder"})
    assert find("JSONDecoder") is sys.modules["json.decoder"].JSONDecoder


def test_other_names_are_refused_as_by_any_module() -> None:
    with pytest.raises(AttributeError, match="module 'json' has no attribute 'nonsense'"):
        lazy("json", {})("nonsense")
