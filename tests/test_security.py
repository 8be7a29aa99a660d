from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from infraspectre.security import printable


def test_signs_that_act_become_escapes() -> None:
    assert printable("a\x1b[31mb\n\u202ec") == "a\\x1b[31mb\\n\\u202ec"
    assert printable("café 日本") == "café 日本"


@given(st.text())
def test_nothing_that_acts_remains(text: str) -> None:
    assert not {"\x1b", "\n", "\r", "\x00", "\u202e", "\u2066"} & set(printable(text))
