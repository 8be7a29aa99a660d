"""Networks by address: finds for many addresses at once the smallest network around each."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from infraspectre.intel.indicators.values import pack

BITS, V4_BITS = 128, 32
NOWHERE = -1


class Ranges:
    """Maps disjoint ranges of addresses, cut from networks that may lie in one another, to numbers."""

    def __init__(self, networks: Iterable[tuple[str, int]]) -> None:
        """Take networks and the number of each; of equal networks the last counts."""
        spans = sorted(dict(_span(text, number) for text, number in networks).items(), key=_outermost_first)
        starts, numbers = _flattened([(*span, number) for span, number in spans])
        self._starts = np.array([start.to_bytes(16, "big") for start in starts], dtype="S16")
        self._numbers = np.array(numbers, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._numbers)

    def find(self, addresses: Iterable[str]) -> NDArray[np.int64]:
        """Return the number of the smallest network around each address; NOWHERE where there is none."""
        packed = [pack(text) for text in addresses]
        known = np.array([each or b"" for each in packed], dtype="S16")
        places = np.searchsorted(self._starts, known, side="right") - 1
        found = self._numbers[places] if len(self) else np.full(len(packed), NOWHERE)
        is_known = np.array([each is not None for each in packed], dtype=bool)
        return np.where((places >= 0) & is_known, found, NOWHERE)


def _span(text: str, number: int) -> tuple[tuple[int, int], int]:
    """Return the first and the last address of a network, as numbers of IPv6."""
    address, _, prefix = text.partition("/")
    packed = pack(address) or b""
    whole = BITS if ":" in address else V4_BITS
    low = (1 << whole - int(prefix or whole)) - 1
    first = int.from_bytes(packed, "big") & ~low
    return (first, first + low), number


def _outermost_first(item: tuple[tuple[int, int], int]) -> tuple[int, int]:
    (first, last), _ = item
    return first, -last


def _flattened(spans: list[tuple[int, int, int]]) -> tuple[list[int], list[int]]:
    """Cut networks, of which any two are apart or one in the other, at their edges; inner ones count."""
    starts: list[int] = []
    numbers: list[int] = []
    open_spans: list[tuple[int, int]] = []

    def begin(at: int, number: int) -> None:
        if starts and starts[-1] == at:
            numbers[-1] = number
        else:
            starts.append(at)
            numbers.append(number)

    def end_before(at: int) -> None:
        while open_spans and open_spans[-1][0] < at:
            last, _ = open_spans.pop()
            begin(last + 1, open_spans[-1][1] if open_spans else NOWHERE)

    for first, last, number in spans:
        end_before(first)
        begin(first, number)
        open_spans.append((last, number))
    end_before(1 << BITS)
    return [at for at in starts if at < 1 << BITS], numbers[: sum(at < 1 << BITS for at in starts)]
