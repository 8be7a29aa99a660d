"""Values, wildcards, escapes and modifiers match what the specification says they match."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infraspectre.errors import InputError
from infraspectre.soma.sigma.compile import RuleSet
from infraspectre.soma.sigma.events import Events
from infraspectre.soma.sigma.matching import MAX_ALTERNATIVES, item
from infraspectre.soma.sigma.rule import Head, LogSource, Rule, Test
from sigma_plainly import matches

HEAD = Head(title="A rule", id="1", name=None, level="low", techniques=(), falsepositives=(), path="a.yml", line=1)


def found(test: Test, events: list[dict[str, Any]]) -> list[bool]:
    """Tell for each event whether a test holds."""
    rule = Rule(head=HEAD, source=LogSource("dns"), test=test)
    rows = sum(rows for _, rows in RuleSet([rule]).matches(Events.of(events)))
    return [bool(rows >> number & 1) for number in range(len(events))]


def holds(key: str, value: Any, **event: Any) -> bool:
    return found(item(key, value, {}), [event])[0]


@pytest.mark.parametrize(
    ("key", "value", "text", "is_match"),
    [
        ("f", "Whoami", "WHOAMI", True),
        ("f", "whoami", "whoami.exe", False),
        ("f", r"a\*b", "a*b", True),
        ("f", r"a\*b", "axb", False),
        ("f", r"a\\*", "a\\rest", True),
        ("f", r"C:\Windows\cmd.exe", r"c:\windows\CMD.EXE", True),
        ("f", r"C:\\Windows", r"c:\windows", True),
        ("f", r"\\\\server", r"\\server", True),
        ("f", "a?c", "abc", True),
        ("f", "a?c", "ac", False),
        ("f", "a*c", "a\nc", True),
        ("f", "*", "", True),
        ("f", "", "", True),
        ("f", "", "x", False),
        ("f", 443, "443", True),
        ("f", True, "true", True),
        ("f|contains", "b*d", "abcde", True),
        ("f|contains", "b*d", "dcb", False),
        ("f|startswith", "ab", "ABC", True),
        ("f|startswith", "b", "abc", False),
        ("f|endswith", [".exe", ".dll"], "a.DLL", True),
        ("f|contains|all", ["a", "b"], "xbxa", True),
        ("f|contains|all", ["a", "b"], "xa", False),
        ("f|cased", "Abc", "Abc", True),
        ("f|cased", "Abc", "abc", False),
        ("f|contains|cased", "B", "aBc", True),
        ("f|neq", "a", "b", True),
        ("f|neq", ["a", "b"], "b", False),
        ("f|re", r"a{2,3}$", "xaa", True),
        ("f|re", "ABC", "abc", False),
        ("f|re|i", "ABC", "abc", True),
        ("f|re|m", "^b", "a\nb", True),
        ("f|re|s", "a.b", "a\nb", True),
        ("f|re", "a.b", "a\nb", False),
        ("f|cidr", "10.0.0.0/8", "10.1.2.3", True),
        ("f|cidr", "10.0.0.0/8", "11.1.2.3", False),
        ("f|cidr", "2001:db8::/32", "2001:DB8::1", True),
        ("f|cidr", "10.0.0.0/8", "no address", False),
        ("f|lt", 5, "4.5", True),
        ("f|lte", 5, "5", True),
        ("f|gt", 5, "5", False),
        ("f|gte", 5, "many", False),
        ("f|windash|contains", "-enc", "x /enc y", True),
        ("f|windash|contains", " -a -b", " \u2013a /b", True),
        ("f|windash|contains", "a-b", "a/b", False),
        ("f|base64", "foo*".replace("*", r"\*"), "Zm9vKg==", True),
        ("f|base64offset|contains", "http://", "eyJhIjoiaHR0cDovL3gifQ==", True),
        ("f|wide|base64offset|contains", "ping", "cABpAG4AZwA=", True),
        ("f|utf16be|base64", "a", "AGE=", True),
        ("f|utf16|base64", "a", "//5hAA==", True),
        ("f|hour", 23, "2026-01-31T23:59:00Z", True),
        ("f|minute|gte", 30, "2026-01-31 23:59:00", True),
        ("f|day", 31, "2026-01-31T23:59:00+02:00", True),
        ("f|week", 5, "2026-01-31", True),
        ("f|month", 1, "1767225600", True),
        ("f|year|lt", 2026, "1767225599.5", True),
        ("f|year", 2026, "next year", False),
    ],
)
def test_a_value_matches_what_it_stands_for(key: str, value: Any, text: str, is_match: bool) -> None:
    assert holds(key, value, f=text) is is_match


def test_absent_fields_match_null_alone() -> None:
    assert holds("f", None)
    assert not holds("f", None, f="x")
    assert not holds("f", "*")
    assert not holds("f|exists", True)
    assert holds("f|exists", False)
    assert holds("f|exists", True, f="")
    assert holds("f|neq", "a")


def test_one_of_several_values_of_a_field_is_enough() -> None:
    assert holds("f", "b", f=["a", "b"])
    assert holds("f|all", ["a", "b"], f=["a", "b"])
    assert not holds("f", None, f=["a", "b"])
    assert holds("f", None, f=[])


def test_keywords_are_looked_for_in_every_field() -> None:
    assert holds("", "needle", a="hay", b="a NEEDLE there")
    assert holds("|all", ["needle", "hay"], a="hay", b="needle")
    assert not holds("", "hay*needle", a="hay", b="needle")
    assert holds("", "hay*needle", a="hay and needle")


def test_an_event_without_fields_has_no_keyword() -> None:
    assert found(item("", "", {}), [{}, {"f": "x"}]) == [False, True]


def test_a_field_is_compared_with_another_one() -> None:
    assert holds("a|fieldref", "b", a="X", b="x")
    assert not holds("a|fieldref", "b", a="X", b="y")
    assert not holds("a|fieldref", "b", a="X")
    assert holds("a|fieldref|startswith", "b", a="name.exe", b="name")
    assert holds("a|fieldref|endswith", "b", a="name.exe", b=".exe")
    assert holds("a|fieldref|contains", "b", a="name.exe", b="e.e")
    assert holds("a|fieldref|neq", "b", a="X", b="y")


def test_fields_of_inner_objects_are_named_with_dots() -> None:
    assert holds("user.name", "a", user={"name": "A"})


def test_placeholders_stand_for_their_values() -> None:
    test = item("f|expand|endswith", r"%hosts%.corp", {"hosts": ["srv?", "web"]})
    assert found(test, [{"f": "srv1.corp"}, {"f": "web.corp"}, {"f": "db.corp"}]) == [True, True, False]


def test_a_value_that_holds_the_marks_of_the_search_deceives_nobody() -> None:
    assert not holds("f", "evil", f="good\ufdd0evil\ufdd1")


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("f|like", "a", "there is no modifier 'like'"),
        ("f|contains|endswith", "a", "modifiers contains and endswith exclude one another"),
        ("f|i", "a", "'i' is a flag of regular expressions"),
        ("f|re", "(?=a)b", "is not a regular expression that can be used: look-around"),
        ("f|re", "(", "is not a regular expression that can be used: unclosed group"),
        ("f|cidr", "10.0.0.0/99", "'10.0.0.0/99' is not a network"),
        ("f|gt", "many", "'many' is not a number"),
        ("f|gt|contains", 1, "numbers and times are not compared as texts"),
        ("f|exists", "perhaps", "'perhaps' is neither true nor false"),
        ("f|expand", "%hosts%", "the placeholder %hosts% has no values"),
        ("f|base64", "a*", "a value with wildcards cannot be encoded"),
        ("f|fieldref|re", "b", "fieldref does not go with re"),
        ("|fieldref", "b", "fieldref compares two fields"),
        ("|cidr", "10.0.0.0/8", "keywords have no field"),
        ("f", [], "has no value"),
        ("f", [["a"]], "is not a value"),
        ("f|windash", " -a" * 9, f"stands for more than {MAX_ALTERNATIVES:,} texts"),
    ],
)
def test_what_cannot_be_meant_is_refused(key: str, value: Any, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        item(key, value, {})
    assert caught.value.problem.startswith(problem)
    assert caught.value.remedy


TEXTS = st.text(alphabet="aAbB01*?\\.-/ ", max_size=8)
KEYS = {
    **dict.fromkeys(["f", "f|contains", "f|startswith", "f|endswith", "f|contains|all", "f|cased", "f|neq", ""], TEXTS),
    **dict.fromkeys(["f|windash", "f|base64offset|contains"], TEXTS),
    "f|lt": st.integers(0, 100),
    "f|cidr": st.sampled_from(["10.0.0.0/8", "::/0", "10.0.0.1"]),
    "f|fieldref": st.just("g"),
}
ASKED = st.sampled_from(sorted(KEYS)).flatmap(
    lambda key: st.tuples(st.just(key), st.lists(KEYS[key], min_size=1, max_size=4))
)
EVENTS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "f": st.one_of(TEXTS, st.lists(TEXTS, max_size=3), st.integers(0, 100), st.booleans(), st.just("10.0.0.1")),
            "g": TEXTS,
        },
    ),
    min_size=1,
    max_size=9,
)


@given(ASKED, EVENTS)
def test_compiled_tests_agree_with_plain_ones(asked: tuple[str, list[Any]], events: list[dict[str, Any]]) -> None:
    key, values = asked
    try:
        test = item(key, values, {})
    except InputError as refused:
        assert refused.problem == "a value with wildcards cannot be encoded"
        return
    assert found(test, events) == [matches({"s": {key: values}, "condition": "s"}, event) for event in events]
