"""One tree of errors: each says where and what, and what to do about it.

InfraSpectreError          exit status
├── UsageError             2   the command was called in a way that cannot work
├── ConfigError            2   a setting is unknown, or has a value it cannot have
├── InputError             2   an input is missing, unreadable, or not what it should be
│   └── CaptureError       2   the core cannot open a capture
├── OutputError            1   a result cannot be written
├── ConflictError          1   a record was changed by somebody else meanwhile
├── OverloadError          1   more is asked for than can be done now; it was refused, and counted
└── AccessError            1   whoever asks may not do that

Malformed traffic is not an error: it is counted in the summary. Status 0 is success, and 3 is success with losses
(something unreadable, or shed) that the summary reports.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_LOSSES = 3
SIGNALLED = 128
"""Added to the number of the signal that ended the program, as shells report it."""
EXIT_INTERRUPTED = SIGNALLED + 2


class InfraSpectreError(Exception):
    """Says what went wrong, where, and what to do about it."""

    exit_status = EXIT_FAILED

    def __init__(
        self,
        problem: str,
        *,
        path: str | Path | None = None,
        line: int | None = None,
        field: str | None = None,
        remedy: str | None = None,
        others: Sequence[InfraSpectreError] = (),
    ) -> None:
        """Describe the problem; `path`, `line` and `field` say where it is, `remedy` what to do.

        `others` are further problems of the same input, so that all can be mended at once.
        """
        super().__init__(problem)
        self.problem = problem
        self.path = None if path is None else str(path)
        self.line = line
        self.field = field
        self.remedy = remedy
        self.others = tuple(others)

    @property
    def place(self) -> str:
        """Return where the problem is, as `path:line: field`, as far as known."""
        where = ":".join(str(part) for part in (self.path, self.line) if part is not None)
        return ": ".join(part for part in (where, self.field) if part)

    @property
    def detail(self) -> str:
        """Return the problem with its field, without any path of this machine: for whoever is far away."""
        return f"{self.field}: {self.problem}" if self.field else self.problem

    def __str__(self) -> str:
        return "\n".join([self.message, *(other.message for other in self.others)])

    @property
    def message(self) -> str:
        """Return the problem with its place and remedy, without the others."""
        message = f"{self.place}: {self.problem}" if self.place else self.problem
        return f"{message}; {self.remedy}" if self.remedy else message


class UsageError(InfraSpectreError):
    """Says that the command was called in a way that cannot work."""

    exit_status = EXIT_BAD_INPUT


class ConfigError(InfraSpectreError):
    """Says which setting is unknown, or has a value it cannot have."""

    exit_status = EXIT_BAD_INPUT


class InputError(InfraSpectreError):
    """Says which input is missing, unreadable, or not what it should be."""

    exit_status = EXIT_BAD_INPUT


class CaptureError(InputError):
    """Says which capture the core cannot open."""


class OutputError(InfraSpectreError):
    """Says which result cannot be written."""


class ConflictError(InfraSpectreError):
    """Says which record was changed by somebody else meanwhile."""


class OverloadError(InfraSpectreError):
    """Says what was refused since more waits already than there is room for."""


class AccessError(InfraSpectreError):
    """Says what whoever asks may not do."""


MOST_NAMED = 100
"""Further errors of one input are counted."""


def all_of(errors: Sequence[InputError]) -> InputError:
    """Return the first of some errors, by file and line, with the others."""
    first, *others = sorted(errors, key=lambda error: (error.path or "", error.line or 0))
    problem = first.problem if len(others) < MOST_NAMED else f"{first.problem} (one of {len(errors):,} errors)"
    return InputError(
        problem,
        path=first.path,
        line=first.line,
        field=first.field,
        remedy=first.remedy,
        others=others[:MOST_NAMED],
    )
