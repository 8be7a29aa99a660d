"""Connections that wait for the next use."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar


class Closable(Protocol):
    """Can be closed."""

    def close(self) -> None:
        """Release what is held."""
        ...


Lent = TypeVar("Lent", bound=Closable)


class Pool(Generic[Lent]):
    """Lends connections, each to one at a time; it keeps a few, and opens more while they are needed."""

    def __init__(self, opened: Callable[[], Lent], kept: int = 8) -> None:
        """Use a function that opens one."""
        self._opened, self._kept = opened, kept
        self._idle: list[Lent] = []
        self._is_closed = False
        self._lock = threading.Lock()

    @contextmanager
    def lent(self) -> Iterator[Lent]:
        """Lend a connection; one with which something went wrong is not lent again."""
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        connection = self._opened() if connection is None else connection
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        with self._lock:
            if not self._is_closed and len(self._idle) < self._kept:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Close all that wait; those that are lent are closed when they come back."""
        with self._lock:
            self._is_closed, idle = True, self._idle
            self._idle = []
        for each in idle:
            each.close()
