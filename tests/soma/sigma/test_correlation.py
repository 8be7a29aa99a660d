"""Correlations find what the specification says they find, within their windows and within bounded memory."""

from __future__ import annotations

import time
from typing import Any

import pytest

from infraspectre.soma.sigma.correlation import CAPACITY, MAX_EVENTS, Correlator, Hit, Match
from infraspectre.soma.sigma.rule import Correlation, Every, Head, Kind, Not, Seen, Test

SECOND = 1_000_000_000


def correlation(kind: Kind, name: str = "c", rules: tuple[str, ...] = ("a",), **more: Any) -> Correlation:
    head = Head(title=name, id=name, name=None, level="low", techniques=(), falsepositives=(), path="c.yml", line=1)
    known: dict[str, Any] = {"group_by": ("host",), "timespan": 60 * SECOND, "bounds": {"gte": float(len(rules))}}
    return Correlation(head=head, kind=kind, rules=rules, **(known | more))


def hits(*seen: tuple[float, str] | tuple[float, str, Any], host: str = "h") -> list[Hit]:
    return [
        Hit(round(at * SECOND), rule, {"host": host, "value": more[0] if more else None}) for at, rule, *more in seen
    ]


def found(known: Correlation | list[Correlation], events: list[Hit], *, at_once: bool = True) -> list[Match]:
    correlator = Correlator(known if isinstance(known, list) else [known])
    parts = [events] if at_once else [[hit] for hit in events]
    matches = [match for part in parts for match in correlator.take(part, max(hit.at for hit in part))]
    return matches + correlator.finish()


@pytest.mark.parametrize("at_once", [True, False])
def test_events_are_counted_over_any_span_of_the_window(at_once: bool) -> None:
    three = correlation("event_count", bounds={"gte": 3})
    assert not found(three, hits((0, "a"), (30, "a"), (61, "a")), at_once=at_once)
    (match,) = found(three, hits((0, "a"), (50, "a"), (61, "a"), (70, "a")), at_once=at_once)
    assert match.measure == 3
    assert [hit.at // SECOND for hit in match.hits] == [50, 61, 70]


def test_counted_events_do_not_count_again() -> None:
    assert len(found(correlation("event_count", bounds={"gt": 1}), hits(*((n, "a") for n in range(7))))) == 3


def test_groups_are_counted_apart_and_events_without_the_field_not_at_all() -> None:
    two = correlation("event_count", bounds={"gte": 2})
    assert not found(two, hits((0, "a")) + hits((1, "a"), host="other"))
    lacking = [Hit(n, "a", {"host": None}) for n in range(5)]
    assert not found(two, lacking)


def test_late_events_join_the_window_they_belong_to() -> None:
    three = correlation("event_count", bounds={"gte": 3})
    assert len(found(three, hits((10, "a"), (50, "a"), (20, "a")), at_once=False)) == 1
    assert not found(three, hits((10, "a"), (80, "a"), (15, "a")), at_once=False)


@pytest.mark.parametrize(
    ("bounds", "count", "is_match"),
    [
        ({"lt": 3}, 2, True), ({"lt": 3}, 3, False), ({"lte": 3}, 3, True), ({"eq": 2}, 2, True), ({"eq": 2}, 3, False),
        ({"neq": 2}, 3, True), ({"neq": 2}, 2, False), ({"gt": 1, "lte": 3}, 3, True), ({"gt": 1, "lte": 3}, 4, False),
    ],
)  # fmt: skip
def test_what_further_events_may_undo_is_judged_when_the_window_is_over(
    bounds: dict[str, float], count: int, is_match: bool
) -> None:
    limited = correlation("event_count", bounds=bounds)
    correlator = Correlator([limited])
    assert not correlator.take(hits(*((n, "a") for n in range(count))), 59 * SECOND)
    assert bool(correlator.take([], 60 * SECOND)) is is_match
    assert not correlator.finish()


def test_a_window_that_is_over_is_judged_before_the_next_event_counts() -> None:
    one = correlation("event_count", bounds={"eq": 1})
    assert len(found(one, hits((0, "a"), (60, "a"), (200, "a")))) == 3


def test_distinct_values_are_counted() -> None:
    three = correlation("value_count", fields=("value",), bounds={"gte": 3})
    assert not found(three, hits((0, "a", 1), (1, "a", 1), (2, "a", 2), (3, "a", None)))
    (match,) = found(three, hits((0, "a", 1), (1, "a", 1), (2, "a", 2), (3, "a", 3)))
    assert (match.measure, match.group) == (3, ("h",))


def test_values_of_several_fields_are_counted_together() -> None:
    pairs = correlation("value_count", fields=("value", "host"), group_by=(), bounds={"gte": 2})
    assert len(found(pairs, hits((0, "a", 1)) + hits((1, "a", 1), host="other"))) == 1


@pytest.mark.parametrize(
    ("kind", "bounds", "more", "measure"),
    [
        ("value_sum", {"gt": 9}, {}, 10.0),
        ("value_avg", {"gt": 2}, {}, 2.5),
        ("value_percentile", {"gte": 2}, {"percentile": 50.0}, 2.5),
        ("value_percentile", {"gte": 4}, {"percentile": 100.0}, 4.0),
        ("value_percentile", {"lte": 1}, {"percentile": 0.0}, 1.0),
    ],
)
def test_numbers_are_added_up(kind: Kind, bounds: dict[str, float], more: dict[str, Any], measure: float) -> None:
    known = correlation(kind, fields=("value",), bounds=bounds, **more)
    (match,) = found(known, hits((0, "a", "1"), (1, "a", 2), (2, "a", 3.0), (3, "a", 4), (4, "a", "no number")))
    assert match.measure == measure
    assert not found(known, hits((0, "a", "none")))


def test_without_a_percentile_rare_values_are_found_by_their_share() -> None:
    rare = correlation("value_percentile", fields=("value",), bounds={"lte": 1})
    events = hits(*((n / 10, "a", "usual") for n in range(199)), (20, "a", "odd"))
    (match,) = found(rare, events)
    assert (match.measure, [hit.fields["value"] for hit in match.hits]) == (0.5, ["odd"])


def test_temporal_needs_every_rule_in_any_order() -> None:
    both = correlation("temporal", rules=("a", "b"))
    assert found(both, hits((0, "b"), (5, "a")))
    assert not found(both, hits((0, "b"), (61, "a")))
    assert not found(both, hits((0, "b"), (5, "b")))
    assert found(correlation("temporal", rules=("a", "b", "c"), bounds={"gte": 2}), hits((0, "c"), (5, "a")))


def test_temporal_ordered_needs_the_order_of_its_rules() -> None:
    ordered = correlation("temporal_ordered", rules=("a", "b", "c"))
    assert found(ordered, hits((0, "b"), (1, "a"), (2, "c"), (3, "b"), (4, "c")))
    assert not found(ordered, hits((0, "c"), (1, "b"), (2, "a")))


def test_a_condition_in_words_says_which_rules_must_have_matched() -> None:
    def when(kind: Kind, test: Test) -> Correlation:
        return correlation(kind, rules=("a", "b"), bounds={}, condition=test)

    only_a = when("temporal", Every((Seen("a"), Not(Seen("b")))))
    assert found(only_a, hits((0, "a")))
    assert not found(only_a, hits((0, "a"), (5, "b")))
    in_order = when("temporal_ordered", Every((Seen("a"), Seen("b"))))
    assert found(in_order, hits((0, "a"), (5, "b")))
    assert not found(in_order, hits((0, "b"), (5, "a")))


def test_aliases_call_a_field_by_the_name_it_has_in_the_events_of_a_rule() -> None:
    known = correlation("temporal", rules=("a", "b"), group_by=("ip",), aliases={"ip": {"a": "src", "b": "dst"}})
    assert found(known, [Hit(0, "a", {"src": "x", "dst": "y"}), Hit(1, "b", {"src": "y", "dst": "x"})])
    assert not found(known, [Hit(0, "a", {"src": "x", "dst": "y"}), Hit(1, "b", {"src": "x", "dst": "y"})])


def test_correlations_build_on_one_another() -> None:
    many = correlation("event_count", name="many", bounds={"gte": 3})
    then = correlation("temporal_ordered", name="then", rules=("many", "b"))
    events = hits((0, "a"), (1, "a"), (2, "a"), (9, "b"))
    assert [match.correlation.head.key for match in found([many, then], events)] == ["many", "then"]
    assert [
        match.correlation.head.key for match in found([many, then], hits((0, "b"), *((n, "a") for n in (1, 2, 3))))
    ] == ["many"]


def test_a_window_that_does_not_reach_its_count_costs_little_for_each_event() -> None:
    never = [
        correlation("value_count", name="n", fields=("value",), bounds={"gte": 50}),
        correlation("value_sum", name="s", fields=("value",), bounds={"gte": 10**9}),
        correlation("temporal_ordered", name="t", rules=("a", "b")),
    ]
    begun = time.process_time()
    assert not found(never, hits(*((n / 1_000, "a", n % 3) for n in range(20_000))))
    assert time.process_time() - begun < 10


def test_memory_is_bounded_and_what_is_forgotten_is_counted() -> None:
    both = correlation("temporal", rules=("a", "b"), timespan=10**15)
    correlator = Correlator([both])
    correlator.take([Hit(n, "a", {"host": n}) for n in range(CAPACITY + 5)], CAPACITY)
    assert correlator.forgotten == 5
    correlator.take([Hit(n, "a", {"host": CAPACITY}) for n in range(MAX_EVENTS + 9)], MAX_EVENTS)
    assert correlator.forgotten == 5 + 10
