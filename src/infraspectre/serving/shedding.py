"""Sheds under overload what is worth least, in a declared order, and accounts for every flow.

The topic is the queue; of what waits, only the size is held here. The fuller the queue, the less is looked at:

| full  | level | no longer looked at                                                           |
|-------|-------|-------------------------------------------------------------------------------|
| 50%   | 1     | flows that are still going on, which are told again when they end             |
| 70%   | 2     | and flows that nobody answered, but for every 16th pair of hosts              |
| 90%   | 3     | and flows without a known application protocol                                |
| 100%  | 4     | and the oldest batches whole, until the queue is below its bound              |

Events that others send have a way of their own (`infraspectre.serving.relay`).
"""

from __future__ import annotations

from collections import deque
from typing import Literal, NamedTuple, get_args

import msgspec
import polars as pl

Reason = Literal["unfinished", "unanswered", "unknown protocol", "waited too long", "unreadable", "repeated"]
"""Why flows were not looked at; repeated ones were looked at before."""
REASONS: tuple[Reason, ...] = get_args(Reason)
STEPS = (0.5, 0.7, 0.9)
"""Shares of the bound at which the levels 1, 2 and 3 begin."""
SAMPLE = 16
WHOLE = 4
"""The level at which batches are shed whole."""
EARLY = "early"
"""Why a row ended whose flow is still going on."""


class Account(msgspec.Struct):
    """Counts flows: at any time `taken` is the sum of `done`, what was shed and what waits."""

    taken: int = 0
    done: int = 0
    shed: dict[str, int] = {}

    def drop(self, reason: str, flows: int) -> None:
        """Count flows as shed."""
        if flows:
            self.shed[reason] = self.shed.get(reason, 0) + flows

    def add(self, other: Account) -> None:
        """Add what another account counted."""
        self.taken += other.taken
        self.done += other.done
        for reason, flows in other.shed.items():
            self.drop(reason, flows)

    @property
    def queued(self) -> int:
        """Return how many flows wait."""
        return self.taken - self.done - sum(self.shed.values())


class Waiting(NamedTuple):
    """Is a batch in the topic that nobody has looked at."""

    sequence: int
    flows: int
    size: int


class Backlog:
    """Knows what waits in a topic, within bounds of flows and bytes."""

    def __init__(self, most_flows: int, most_bytes: int) -> None:
        """Begin with nothing waiting."""
        self._most_flows, self._most_bytes = most_flows, most_bytes
        self._waiting: deque[Waiting] = deque()
        self.flows = 0
        self.size = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, waiting: Waiting) -> None:
        """Add a batch that came behind the others."""
        self._waiting.append(waiting)
        self.flows += waiting.flows
        self.size += waiting.size

    def take(self) -> Waiting:
        """Return the oldest batch, which waits no more; raises IndexError where none waits."""
        waiting = self._waiting.popleft()
        self.flows -= waiting.flows
        self.size -= waiting.size
        return waiting

    @property
    def fill(self) -> float:
        """Return how full the queue is; 1 is its bound."""
        return max(self.flows / self._most_flows, self.size / self._most_bytes)

    @property
    def level(self) -> int:
        """Return how much is to be shed of what is taken now."""
        return WHOLE if self.fill > 1 else sum(self.fill >= step for step in STEPS)


def lighten(frame: pl.DataFrame, level: int) -> tuple[pl.DataFrame, dict[Reason, int]]:
    """Return the rows worth looking at on a level, and how many others there were, by reason."""
    shed: dict[Reason, int] = {}
    for reason, worthless in zip(REASONS, RULES[:level], strict=False):
        if worthless.needs <= set(frame.columns):
            kept = frame.filter(~worthless.condition)
            shed[reason] = len(frame) - len(kept)
            frame = kept
    return frame, shed


class Worthless(NamedTuple):
    """Tells rows that are not worth their time under load."""

    needs: frozenset[str]
    condition: pl.Expr


PAIR = pl.concat_str("orig_ip", pl.lit(">"), "resp_ip")
RULES = (
    Worthless(frozenset({"end_reason"}), pl.col("end_reason").eq_missing(EARLY)),
    Worthless(
        frozenset({"resp_packets", "orig_ip", "resp_ip"}),
        pl.col("resp_packets").eq_missing(0) & (PAIR.hash(seed=0) % SAMPLE != 0).fill_null(value=True),
    ),
    Worthless(frozenset({"app_protocol"}), pl.col("app_protocol").is_null()),
)
"""What each level adds, in the order of REASONS."""
