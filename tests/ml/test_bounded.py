"""The bounded memories forget what they declare to forget, and count what they claim to count."""

from __future__ import annotations

import random

import pytest

from infraspectre.ml.bounded import BoundedTable, DistinctCounter, RecentSet, SmallIntegers


def test_the_least_recently_used_key_is_forgotten() -> None:
    table: BoundedTable[str, list[int]] = BoundedTable(2, list)
    table["a"].append(1)
    table["b"].append(2)
    table["a"].append(3)
    table["c"].append(4)
    assert dict(table.items()) == {"a": [1, 3], "c": [4]}
    assert table.get("b") is None
    assert table.evicted == 1


def test_recent_set_tells_news_and_stays_bounded() -> None:
    recent = RecentSet(2)
    assert recent.add_new([1, 2, 1]) == [True, True, False]
    assert recent.add_new([3]) == [True]
    assert recent.members() == [2, 3]


@pytest.mark.parametrize("count", [0, 1, 1_024])
def test_distinct_counter_is_exact_while_small(count: int) -> None:
    source = random.Random(7)
    numbers = [source.getrandbits(64) for _ in range(count)]
    counter = DistinctCounter()
    counter.update(numbers + numbers)
    assert counter.count() == count
    assert counter.is_exact


def test_distinct_counter_estimates_within_four_standard_errors() -> None:
    source = random.Random(7)
    counter = DistinctCounter()
    for _ in range(50):
        counter.update(source.getrandbits(64) for _ in range(1_000))
    assert not counter.is_exact
    assert counter.count() == pytest.approx(50_000, rel=4 / 1_022**0.5)


def test_small_integers_count_each_once() -> None:
    ports = SmallIntegers()
    ports.update([0, 65_535, 0])
    ports.update(range(1_000))
    assert len(ports) == 1_001


def test_a_recent_set_forgets_the_older_half_and_goes_on_from_its_members() -> None:
    memory = RecentSet(10)
    assert memory.add_new([1, 2, 1, 3]) == [True, True, False, True]
    memory.add_new(range(4, 12))
    assert memory.members() == [6, 7, 8, 9, 10, 11]
    again = RecentSet(10, memory.members())
    assert again.add_new([5, 6, 11]) == memory.add_new([5, 6, 11]) == [True, False, False]
    for number in range(1_000):
        memory.add_new([number])
        assert len(memory.members()) <= 10


def test_the_oldest_entry_can_be_forgotten() -> None:
    table: BoundedTable[str, list[int]] = BoundedTable(3, list)
    table["a"].append(1)
    table["b"].append(2)
    table["a"].append(3)
    assert table.forget_oldest() == [2]
    assert ("a" in table, "b" in table, table.evicted) == (True, False, 1)
    table.forget_oldest()
    with pytest.raises(KeyError):
        table.forget_oldest()
