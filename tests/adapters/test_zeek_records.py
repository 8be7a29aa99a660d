from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infraspectre.adapters.zeek_records import Header, nanoseconds, unescape


@given(st.integers(0, 4_000_000_000_000_000))
def test_times_are_exact_to_the_microsecond(micros: int) -> None:
    text = f"{micros // 1_000_000}.{micros % 1_000_000:06}"
    assert nanoseconds(text) == micros * 1000
    assert nanoseconds(float(text)) == micros * 1000


@pytest.mark.parametrize("value", ["", "soon", "nan", "inf", None, [], 1e300, "2026-99-01T00:00:00"])
def test_other_values_are_no_times(value: object) -> None:
    with pytest.raises(ValueError, match=r".+"):
        nanoseconds(value)


def test_containers_and_escapes() -> None:
    header = Header()
    assert header.value("set[port]", "1,2") == [1, 2]
    assert header.value("vector[string]", "a,-") == ["a", None]
    assert header.value("vector[string]", "(empty)") == []
    assert header.value("string", "a\\x2cb\\x1bc") == "a,b\\x1bc"
    assert unescape("\\x09") == "\t"
