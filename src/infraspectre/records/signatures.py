"""Signatures: rules in Suricata's language as people list and choose them, and why one was refused."""

from __future__ import annotations

from typing import Literal

import msgspec


class Signature(msgspec.Struct, frozen=True):
    """Describes one rule by what it says about itself, not by what it looks for."""

    path: str
    line: int
    """Line on which the rule begins, from 1."""
    gid: int
    sid: int
    rev: int
    action: str
    msg: str
    classtype: str
    metadata: dict[str, list[str]]
    is_enabled: bool
    """Whether it is looked for; a rule behind # is not."""

    @property
    def name(self) -> str:
        """Return the identity that alerts show, such as 1:2010665."""
        return f"{self.gid}:{self.sid}"

    @property
    def status(self) -> Literal["enabled", "disabled"]:
        """Return whether it is enabled."""
        return "enabled" if self.is_enabled else "disabled"


class ShownSignature(msgspec.Struct, frozen=True):
    """Holds a rule with its text and what was decided about it."""

    signature: Signature
    text: str
    decisions: list[str]


class Refusal(msgspec.Struct, frozen=True):
    """Says which rule cannot be used, why, and what would help."""

    path: str
    line: int
    gid: int
    sid: int | None
    reason: str
    suggestion: str = ""
    text: str = ""

    def __str__(self) -> str:
        rule = "" if self.sid is None else f"{self.gid}:{self.sid}: "
        help_ = f"; {self.suggestion}" if self.suggestion else ""
        return f"{self.path}:{self.line}: {rule}{self.reason}{help_}"


class SignatureCost(msgspec.Struct, frozen=True):
    """Says how often a rule was checked after its pattern was found, how often it matched, and what that took."""

    gid: int
    sid: int
    msg: str
    checks: int
    matches: int
    ns: int
