"""Windows and sequences find what a plain look at all flows finds, in whatever pieces and order the flows come."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from infraspectre.soma.detector import SECOND
from infraspectre.soma.rules.rule import Window
from infraspectre.soma.rules.windows import FEWEST_KEPT, LATENESS_NS, Event, SequenceCase, WindowCase

WITHIN = 10


def event(number: int, at: int, step: int = 0, mark: int = 0, amounts: tuple[float, ...] = ()) -> Event:
    row = {"started_at": at, "ended_at": at + 1, "flow_id": number, "first_packet": number}
    return Event(row | {"orig_ip": "10.0.0.1", "resp_ip": "10.0.0.2"}, step, (mark,), amounts)


def steps(number: int, at: int, step: int) -> Event:
    return event(number, at, step)


def takes(events: list[Event], sizes: list[int]) -> list[list[Event]]:
    """Cut events into pieces of these sizes, the rest being the last piece."""
    pieces = []
    for size in sizes:
        pieces.append(events[:size])
        events = events[size:]
    return [piece for piece in (*pieces, events) if piece]


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 3), st.integers(0, 9)), min_size=1, max_size=30),
    st.integers(1, 6),
    st.integers(1, 3),
    st.integers(0, 20),
    st.lists(st.integers(1, 8), max_size=6),
)
def test_a_window_tells_the_flows_of_every_window_that_has_enough(
    flows: list[tuple[int, int, int]], count: int, distinct: int, total: int, sizes: list[int]
) -> None:
    events = [event(number, at, mark=mark, amounts=(amount,)) for number, (at, mark, amount) in enumerate(flows)]
    expected: set[int] = set()
    for last in events:
        inside = [each for each in events if last.at - WITHIN <= each.at <= last.at]
        marks = {each.marks for each in inside}
        if len(inside) >= count and len(marks) >= distinct and sum(each.amounts[0] for each in inside) >= total:
            expected |= {each.flow_id for each in inside}
    case = WindowCase(Window(WITHIN, count, {"resp_port": distinct}, {"orig_bytes": total}))
    for piece in takes(events, sizes):
        case.take(piece)
    assert {each.flow_id for each in events if each.is_told} == expected
    assert case.flows == len(expected)


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 2)), min_size=1, max_size=16, unique_by=lambda flow: flow[0]),
    st.lists(st.integers(1, 8), max_size=6),
)
def test_a_sequence_is_found_where_there_is_one(flows: list[tuple[int, int]], sizes: list[int]) -> None:
    events = [steps(number, at, step) for number, (at, step) in enumerate(flows)]
    chains = [chain for chain in combinations(sorted(flows), 3) if [step for _, step in chain] == [0, 1, 2]]
    expected = {chain[-1] for chain in chains if chain[-1][0] - chain[0][0] <= WITHIN}
    case = SequenceCase(3, WITHIN)
    for piece in takes(events, sizes):
        case.take(piece)
    assert {(each.at, each.step) for each in events if each.is_told and each.step == 2} == expected


def test_what_is_kept_is_bounded() -> None:
    window = WindowCase(Window(LATENESS_NS, 3, {"resp_port": 1}, {}))
    sequence = SequenceCase(2, LATENESS_NS)
    for number in range(10 * FEWEST_KEPT):
        window.take([event(number, number, mark=number)])
        sequence.take([event(number, number, step=1)])
    assert len(window.recent) == len(sequence.recent) == FEWEST_KEPT


def test_a_flood_of_later_steps_does_not_hide_the_first() -> None:
    case = SequenceCase(2, 60 * SECOND)
    case.take([steps(0, 0, 0)])
    case.take([steps(number, number, 2) for number in range(1, 10 * FEWEST_KEPT)])
    assert case.flows == 0
    case.take([steps(1, 10 * FEWEST_KEPT, 1)])
    assert case.flows == 2


def test_what_comes_too_late_does_not_turn_the_order_round() -> None:
    case = SequenceCase(3, 60 * SECOND)
    case.take([steps(0, 1_000, 0)])
    case.take([steps(number, 2_000 + number, 2) for number in range(1, 2 * FEWEST_KEPT)])
    case.take([steps(1_000, 500, 1)])
    case.take([steps(1_001, 5_000, 2)])
    assert case.flows == 0
    case.take([steps(1_002, 6_000, 1), steps(1_003, 7_000, 2)])
    assert case.flows == 3


def test_what_is_too_old_is_forgotten() -> None:
    case = WindowCase(Window(SECOND, 2, {"resp_port": 1}, {}))
    case.take([event(0, 0), event(1, 2 * LATENESS_NS)])
    assert [each.flow_id for each in case.recent] == [1]
