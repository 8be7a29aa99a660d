"""Memory with a ceiling: tables that forget the least recently used entry and counters of distinct values."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")

HASH_RANGE = 2.0**64


class BoundedTable(Generic[Key, Value]):
    """Maps keys to values that are made on first use; beyond `capacity` the least recently used key is forgotten."""

    def __init__(self, capacity: int, make: Callable[[], Value]) -> None:
        """Make an empty table whose missing values come from `make`."""
        self._capacity = capacity
        self._make = make
        self._entries: OrderedDict[Key, Value] = OrderedDict()
        self.evicted = 0

    def __getitem__(self, key: Key) -> Value:
        """Return the value of a key, made if it is new, and mark it as just used."""
        value = self._entries.get(key)
        if value is None:
            value = self._entries[key] = self._make()
            if len(self._entries) > self._capacity:
                self._entries.popitem(last=False)
                self.evicted += 1
        else:
            self._entries.move_to_end(key)
        return value

    def get(self, key: Key) -> Value | None:
        """Return the value of a key without making or marking it."""
        return self._entries.get(key)

    def __contains__(self, key: Key) -> bool:
        return key in self._entries

    def forget(self, key: Key) -> None:
        """Forget a key, if it is known."""
        self._entries.pop(key, None)

    def forget_oldest(self) -> Value:
        """Forget the least recently used entry and return its value; raises KeyError where there is none."""
        self.evicted += 1
        return self._entries.popitem(last=False)[1]

    def items(self) -> Iterator[tuple[Key, Value]]:
        """Iterate over entries, least recently used first."""
        return iter(self._entries.items())

    def __len__(self) -> int:
        return len(self._entries)


class RecentSet:
    """Remembers the numbers added last, at most `capacity` of them, in two generations.

    When the younger one holds half of `capacity`, the older one is forgotten; plain dictionaries take half the memory
    of one that is ordered for removal.
    """

    def __init__(self, capacity: int, members: Iterable[int] = ()) -> None:
        """Start from `members`, oldest first."""
        self._half = max(1, capacity // 2)
        self._old: dict[int, None] = {}
        self._young: dict[int, None] = {}
        self.add_new(members)

    def add_new(self, numbers: Iterable[int]) -> list[bool]:
        """Add numbers and tell for each whether it was unknown before."""
        return [self._add(number) for number in numbers]

    def _add(self, number: int) -> bool:
        if number in self._young or number in self._old:
            return False
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
        self._young[number] = None
        return True

    def members(self) -> list[int]:
        """Return what is remembered, oldest first."""
        return [*self._old, *self._young]


class DistinctCounter:
    """Counts distinct 64-bit hashes: exactly up to `size`, then by the k minimum values estimator.

    Source: Bar-Yossef et al., Counting Distinct Elements in a Data Stream (2002); standard error 1 / sqrt(size - 2).
    """

    __slots__ = ("_kept", "_size", "_worst")

    def __init__(self, size: int = 1_024) -> None:
        """Make an empty counter that keeps at most twice `size` hashes."""
        self._size = size
        self._kept: set[int] = set()
        self._worst: int | None = None

    def update(self, hashes: Iterable[int]) -> None:
        """Add uniformly distributed unsigned 64-bit hashes."""
        worst = self._worst
        self._kept.update(hashes if worst is None else (number for number in hashes if number < worst))
        if len(self._kept) > 2 * self._size:
            self._shrink()

    def count(self) -> int:
        """Return the number of distinct hashes, estimated if `is_exact` is false."""
        if self._worst is None and len(self._kept) > self._size:
            self._shrink()
        if self._worst is None:
            return len(self._kept)
        smallest = sorted(self._kept)[: self._size]
        return max(len(self._kept), round((self._size - 1) * HASH_RANGE / (smallest[-1] + 1)))

    @property
    def is_exact(self) -> bool:
        """Tell whether every hash seen is still kept."""
        return self._worst is None

    def _shrink(self) -> None:
        smallest = sorted(self._kept)[: self._size]
        self._kept, self._worst = set(smallest), smallest[-1]


class SmallIntegers:
    """Holds a set of integers below 65,536 in at most 8 KiB."""

    __slots__ = ("_bits",)

    def __init__(self) -> None:
        """Make an empty set."""
        self._bits = 0

    def update(self, numbers: Iterable[int]) -> None:
        """Add numbers from 0 to 65,535."""
        for number in numbers:
            self._bits |= 1 << number

    def __len__(self) -> int:
        return self._bits.bit_count()


def text_hashes(texts: Iterable[str]) -> list[int]:
    """Return a uniformly distributed 64-bit hash of each text, the same in every run."""
    return [int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") for text in texts]


def trim(entries: OrderedDict[Key, Value], capacity: int) -> int:
    """Drop the oldest entries beyond `capacity` and return how many they were."""
    excess = max(0, len(entries) - capacity)
    for _ in range(excess):
        entries.popitem(last=False)
    return excess
