from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infraspectre.api.bodies import MOST_DEPTH, NO_BRACKETS, STRINGS, brackets_of, decoded
from infraspectre.api.problems import RefusedError

TEXTS = st.text(st.sampled_from('[]{}"\\a:, é'), max_size=8)
VALUES = st.recursive(
    TEXTS | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_brackets_are_those_outside_of_strings(value: Any) -> None:
    body = json.dumps(value, ensure_ascii=False).encode()
    assert brackets_of(body) == STRINGS.sub(b"", body).translate(None, NO_BRACKETS)


@pytest.mark.parametrize("string", ['"a"', '"]"', '"\\""'])
def test_what_is_nested_too_deeply_is_refused_whatever_its_strings_hold(string: str) -> None:
    allowed = "[" * MOST_DEPTH + string + "]" * MOST_DEPTH
    assert decoded(allowed.encode(), Any)
    with pytest.raises(RefusedError, match="nested more than"):
        decoded(f"[{string},{allowed}]".encode(), Any)


@pytest.mark.parametrize("body", [b'{"a":1,"a":1}', b'[{"b":{"a":1,"\\u0061":2}}]', b"\xff", b"\xef\xbb\xbf1", b"[1"])
def test_what_parsers_read_differently_is_refused(body: bytes) -> None:
    with pytest.raises(RefusedError, match="not sound JSON"):
        decoded(body, Any)
