"""What the store needs of a database, and in what the databases differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

LONGEST_S = 10.0
"""Seconds that a question may take."""
Rows = list[tuple[Any, ...]]


class Connection(Protocol):
    """Runs statements, whose parameters stand as `?`."""

    @property
    def dialect(self) -> Dialect:
        """Say how the database calls things."""
        ...

    def rows(self, statement: str, parameters: Sequence[Any] = ()) -> Rows:
        """Run a statement and return all its rows."""
        ...

    def rows_within(self, steps: int, statement: str, parameters: Sequence[Any] = ()) -> Rows | None:
        """Run a statement and return all its rows, or None if that takes more steps than so many."""
        ...

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        """Run a statement and return how many rows it changed."""
        ...

    def run_many(self, statement: str, parameters: Iterable[Sequence[Any]]) -> None:
        """Run a statement once for each row of parameters."""
        ...

    def structure(self) -> list[str]:
        """Return what is wrong with the tables as such."""
        ...

    def fingerprint(self) -> str:
        """Return what changes whenever a definition of a table does, and then alone."""
        ...

    def has_others(self) -> bool:
        """Tell whether there are tables that a store which says nothing of itself cannot have."""
        ...

    def lock(self, name: str, is_shared: bool = False) -> None:
        """Wait until no other transaction holds a name, but for sharing, and hold it until the transaction ends."""
        ...


@dataclass(frozen=True)
class Dialect:
    """Says what databases call differently."""

    text: str
    """A text that is sorted by its code points."""
    integer: str
    real: str
    blob: str
    least_real: str
    """Minus infinity."""
    suffix: str
    """Ends the statement that makes a table without another key than its own."""
    like: str
    """Compares with a pattern whatever the case of A to Z."""
    identity: str
    """The column of a row's identity."""
    fresh: str
    """Returns so many identities that no row of `{table}` has."""
    is_local: bool
    """Tells whether the database is within this process."""
    is_planned: bool
    """Tells whether we choose indexes, since the database does not know how many rows pass."""


class Database(Protocol):
    """Gives connections: any number that read, and one at a time that writes."""

    @property
    def dialect(self) -> Dialect:
        """Say how the database calls things."""
        ...

    def reading(self, longest_s: float = LONGEST_S, is_one_state: bool = True) -> AbstractContextManager[Connection]:
        """Lend a connection that sees one state of the database; a question may take so many seconds.

        Where one statement gives the answer, it needs no such state, which costs as much as the statement.
        """
        ...

    def writing(self) -> AbstractContextManager[Connection]:
        """Lend the connection that writes, in a transaction that is durable at the end, or undone by an exception."""
        ...

    def forget(self) -> None:
        """Overwrite on the disk, as far as the database can, what was removed."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...
