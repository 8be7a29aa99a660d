from __future__ import annotations

from infraspectre.records.words import figure, listed, plural


def test_a_count_agrees_with_its_word() -> None:
    assert [plural(0, "host"), plural(1, "host"), plural(1200, "host")] == ["0 hosts", "1 host", "1,200 hosts"]


def test_a_list_ends_with_and() -> None:
    assert [listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])] == ["a", "a and b", "a, b and c"]


def test_figures() -> None:
    assert [figure(each) for each in (1000.0, 0.12345, float("nan"))] == ["1,000", "0.1235", "nan"]
