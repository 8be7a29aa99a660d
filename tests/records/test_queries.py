from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infraspectre.errors import InputError
from infraspectre.records.queries import Collection, Filter, Kind, Operator, Order, Query, held, split

FIELDS: dict[str, Kind] = {"level": "text", "value": "real", "at": "integer", "entities": "texts"}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", [""]),
        ("a", ["a"]),
        ("a|b", ["a", "b"]),
        ("a|", ["a", ""]),
        ("|a", ["", "a"]),
        ("|", ["", ""]),
        (r"a\|b", ["a|b"]),
        (r"a\\|b", ["a\\", "b"]),
        ("a\\", ["a\\"]),
        ("a\n|b", ["a\n", "b"]),
    ],
)
def test_alternatives_stand_between_bars(text: str, parts: list[str]) -> None:
    assert split(text) == parts


@given(st.lists(st.text(max_size=8), min_size=1, max_size=5))
def test_whatever_is_escaped_comes_back(parts: list[str]) -> None:
    assert split("|".join(part.replace("\\", "\\\\").replace("|", "\\|") for part in parts)) == parts


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("level=high|critical", ("level", "=", ("high", "critical"))),
        ("level!=", ("level", "!=", ("",))),
        ("value >= 60", ("value", ">=", (60.0,))),
        ("at<-5", ("at", "<", (-5,))),
        ("level~a|b", ("level", "~", ("a|b",))),
        ("entities^10.", ("entities", "^", ("10.",))),
        ("level=>x", ("level", "=", (">x",))),
    ],
)
def test_filters_are_read_as_they_are_written(text: str, read: tuple[str, str, tuple[object, ...]]) -> None:
    assert Filter.of(text, FIELDS) == read


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("level", "is no filter"),
        ("=x", "is no filter"),
        ("Level=x", "is no filter"),
        ("other=x", "other: cannot be filtered by; choose one of at, entities, level, value"),
        ("at=x", "at: is neither a number nor a time: x"),
        ("at=1.5", "at: is neither a number nor a time"),
        ("value=nan", "value: is a number that no store holds"),
        ("value<inf", "value: is a number that no store holds"),
        ("at=9223372036854775808", "at: is a number that no store holds"),
        ("at=" + "9" * 1_000, "at: is a number that no store holds"),
        ("at~1", "at: cannot be compared by ~; choose one of = != < <= > >="),
        ("entities<x", "entities: cannot be compared by <; choose one of = != ~ ^"),
        ("level=" + "|" * 100, "level: has more than 100 alternatives"),
    ],
)
def test_what_is_no_filter_says_why(text: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem.replace("|", r"\|").replace("^", r"\^")):
        Filter.of(text, FIELDS)


@pytest.mark.parametrize(
    ("name", "operator", "values", "value", "is_fitting"),
    [
        ("level", "=", ("high",), "high", True),
        ("level", "=", ("",), None, True),
        ("level", "!=", ("high",), None, True),
        ("level", "~", ("IG",), "high", True),
        ("level", "~", ("é",), "É", False),
        ("level", "^", ("H",), "high", False),
        ("level", "=", ("x" * 400,), "x" * 500, True),
        ("at", "<", (5,), None, False),
        ("at", "!=", (5,), None, True),
        ("at", "<=", (5,), 5, True),
        ("value", "<", (5.0,), 4, True),
        ("entities", "=", ("a", "b"), ["c", "b"], True),
        ("entities", "!=", ("a",), ["c", "a"], False),
        ("entities", "!=", ("a",), None, True),
        ("entities", "^", ("10.",), ["x", "10.1"], True),
        ("entities", "~", ("",), [], False),
    ],
)
def test_the_reference_says_what_fits(
    name: str, operator: Operator, values: tuple[str | float, ...], value: object, is_fitting: bool
) -> None:
    assert Filter(name, operator, values).fits(value, FIELDS[name]) is is_fitting


def test_values_are_held_as_every_store_can() -> None:
    assert held("level", "a\0b", "text") == ["a\ufffdb"]
    assert held("entities", ["a", "a", "b"], "texts") == ["a", "b"]
    assert held("at", True, "integer") == [1]
    with pytest.raises(InputError, match="at: is no integer number"):
        held("at", 1.0, "integer")


def test_orders_are_of_fields_with_one_value() -> None:
    assert Order.of("-value", FIELDS) == ("value", True)
    for text in ("entities", "-other", "", "--value"):
        with pytest.raises(InputError, match="cannot be sorted by"):
            Order.of(text, FIELDS)


def test_collections_and_pages_have_bounds() -> None:
    for name in ("", "Robert'); DROP TABLE", 'a"b', "a" * 65):
        with pytest.raises(InputError):
            Collection(name)
        with pytest.raises(InputError):
            Collection("x", {name: "text"})
    for limit in (0, -1, 1_001):
        with pytest.raises(InputError, match="limit"):
            Query(limit=limit).checked(FIELDS)
