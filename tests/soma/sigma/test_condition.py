"""Conditions mean what the specification says, and broken ones are refused with a remedy."""

from __future__ import annotations

import pytest

from infraspectre.errors import InputError
from infraspectre.soma.sigma.condition import MAX_DEPTH, MAX_TOKENS, parse
from infraspectre.soma.sigma.rule import Every, Not, Present, Some, Test

SEARCHES: dict[str, Test] = {name: Present(name) for name in ("selection_a", "selection_b", "filter", "_hidden")}
A, B, FILTER, HIDDEN = SEARCHES.values()


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("filter", FILTER),
        ("selection_a and not filter", Every((A, Not(FILTER)))),
        ("selection_a or selection_b and filter", Some((A, Every((B, FILTER))))),
        ("(selection_a or selection_b) and filter", Every((Some((A, B)), FILTER))),
        ("not not filter", Not(Not(FILTER))),
        ("1 of selection_*", Some((A, B))),
        ("any of selection_*", Some((A, B))),
        ("all of *_b and 1 of them", Every((Every((B,)), Some((A, B, FILTER))))),
        ("not 1 of selection* or filter", Some((Not(Some((A, B))), FILTER))),
        ("all of _*", Every((HIDDEN,))),
        ("selection_a AND NOT filter", Every((A, Not(FILTER)))),
    ],
)
def test_conditions_bind_as_the_specification_says(text: str, meant: Test) -> None:
    assert parse(text, SEARCHES) == meant


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "a search is missing"),
        ("selection_a and", "a search is missing"),
        ("selection_c", "no search is called 'selection_c'"),
        ("1 of other*", "no search is called 'other*'"),
        ("2 of selection*", "'2' of searches cannot be asked for"),
        ("(selection_a", "a bracket is not closed"),
        ("selection_a)", "')' is not expected"),
        ("selection_a selection_b", "'selection_b' is not expected"),
        ("selection_a | count() > 5", "counts and near are not part of conditions"),
        ("of", "a search is missing"),
        ("not " * (MAX_DEPTH + 1) + "filter", "is nested deeper"),
        ("filter or " * MAX_TOKENS + "filter", "has more than"),
    ],
)
def test_broken_conditions_are_refused(text: str, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(text, SEARCHES)
    assert caught.value.problem.startswith(problem)


def test_a_refusal_names_the_searches_there_are() -> None:
    with pytest.raises(InputError) as caught:
        parse("selection_c", SEARCHES)
    assert caught.value.remedy == "there are _hidden, filter, selection_a, selection_b"
