"""Running numbers of hosts and pairs, bounded, whose forgetting depends on flows and never on batches."""

from __future__ import annotations

import msgspec
import numpy as np

from infraspectre.ml.grouping import Counts


class MemoryState(msgspec.Struct):
    """Holds a memory's two generations as plain data."""

    old: dict[int, list[int]]
    young: dict[int, list[int]]


class Memory:
    """Keeps a few whole numbers for each key, in two generations.

    It grows until `turn` is called. When the younger generation then holds half of `capacity`, the older one, which
    nothing was written to since, is forgotten.
    """

    def __init__(self, capacity: int, width: int) -> None:
        """Start empty; unknown keys have `width` zeros."""
        self._half, self._nothing = max(1, capacity // 2), [0] * width
        self._old: dict[int, list[int]] = {}
        self._young: dict[int, list[int]] = {}

    def read(self, keys: list[int]) -> Counts:
        """Return the numbers of keys (keys, width)."""
        old, young, nothing = self._old, self._young, self._nothing
        found = [young.get(key) or old.get(key, nothing) for key in keys]
        return np.array(found, dtype=np.int64).reshape(len(keys), len(nothing))

    def write(self, keys: list[int], numbers: Counts) -> None:
        """Keep the numbers of keys (keys, width)."""
        self._young.update(zip(keys, numbers.tolist(), strict=True))

    def turn(self) -> None:
        """Forget what was not used for long, if there is too much."""
        if len(self._young) >= self._half:
            self._old = self._young
            self._young = {}

    def latest(self, count: int) -> Counts:
        """Return the numbers of the `count` keys that are newest in their generation, the younger one last."""
        both = [*(numbers for key, numbers in self._old.items() if key not in self._young), *self._young.values()]
        return np.array(both[-count:], dtype=np.int64).reshape(-1, len(self._nothing))

    def __len__(self) -> int:
        return len(self._old.keys() | self._young.keys())

    def save(self) -> MemoryState:
        """Return everything remembered."""
        return MemoryState(dict(self._old), dict(self._young))

    def load(self, state: MemoryState) -> None:
        """Go on from a saved state."""
        self._old, self._young = dict(state.old), dict(state.young)
