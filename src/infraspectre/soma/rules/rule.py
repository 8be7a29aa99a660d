"""An own rule as data: what a flow must be, how often or in which order it must happen, and what that means."""

from __future__ import annotations

from typing import NamedTuple

from infraspectre.records import Severity, Technique
from infraspectre.soma.rules.expression import Condition

PAIR = ("orig_ip", "resp_ip")
"""Columns by which flows belong together unless a rule says otherwise."""


class Step(NamedTuple):
    """Says what a flow must be, and the columns whose values it must share with the others."""

    when: Condition
    by: tuple[str, ...] = PAIR

    @property
    def columns(self) -> frozenset[str]:
        """Name the columns without which the step cannot be judged."""
        return self.when.columns.union(self.by)


class Window(NamedTuple):
    """Says what the flows of a stretch of time must amount to at least."""

    within_ns: int
    flows: int
    distinct: dict[str, int]
    sums: dict[str, float]

    @property
    def fewest(self) -> int:
        """Return how many flows it takes at the very least."""
        return max([self.flows, *self.distinct.values()])

    def least(self) -> dict[str, float]:
        """Return what is waited for, named like the measures of a window."""
        return {
            "flows_in_window": self.flows,
            **{f"distinct_{name}": least for name, least in self.distinct.items()},
            **{f"sum_{name}": least for name, least in self.sums.items()},
        }


class Rule(NamedTuple):
    """Describes suspicious flows: each that fulfils the one step, so many in a window, or several steps in order."""

    id: str
    title: str
    severity: Severity
    probability: float
    techniques: tuple[Technique, ...]
    category: str
    steps: tuple[Step, ...]
    within_ns: int = 0
    """The time from the first step to the last."""
    window: Window | None = None

    @property
    def columns(self) -> frozenset[str]:
        """Name the columns without which the rule cannot be judged."""
        measured = (*self.window.distinct, *self.window.sums) if self.window else ()
        return frozenset(measured).union(*(step.columns for step in self.steps))
