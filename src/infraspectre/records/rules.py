"""Rules of all kinds: what a check says about them, and Sigma rules and own rules as people list them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from infraspectre.errors import InputError
from infraspectre.records.detection import Severity

Status = Literal["enabled", "disabled", "unseen"]
"""Unseen is a rule that looks at what network traffic does not tell."""


class ListedRule(msgspec.Struct, frozen=True):
    """Describes a Sigma rule, an own rule or one of correlation by what it says about itself."""

    kind: Literal["sigma", "own", "correlation"]
    path: str
    line: int
    name: str
    msg: str
    severity: Severity
    status: Status
    about: str
    """What it looks at, or why it sees nothing; of an own rule, its category; of a correlation, what it makes."""
    techniques: tuple[str, ...] = ()
    """Identities in ATT&CK."""


class ShownRule(msgspec.Struct, frozen=True):
    """Holds a rule with its text."""

    rule: ListedRule
    text: str


class Refusal(msgspec.Struct, frozen=True):
    """Says what is wrong with a rule or a test, where, and what to do about it."""

    path: str | None
    line: int | None
    field: str | None
    reason: str
    remedy: str | None

    @classmethod
    def of(cls, error: InputError) -> Refusal:
        """Return what an error says."""
        return cls(error.path, error.line, error.field, error.problem, error.remedy)

    def __str__(self) -> str:
        return str(InputError(self.reason, path=self.path, line=self.line, field=self.field, remedy=self.remedy))


class Check(msgspec.Struct, frozen=True):
    """Says how many rules of a kind can be used, and which cannot."""

    kind: str
    files: int
    loaded: int
    unseen: int
    refused: Sequence[object]
