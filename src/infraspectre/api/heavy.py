"""Long work in few threads of its own, so that whatever much of it is asked for, everything else goes on."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, ParamSpec, TypeVar

from infraspectre.errors import OverloadError
from infraspectre.serving.metrics import REFUSED, Metrics

THREADS = 2
MOST_WAITING = 16
"""Calls that wait for a thread; whoever asks for more is told to come again."""
PART = 1_000
"""Lines of an answer that are made in one turn of a thread."""

Given = ParamSpec("Given")
Made = TypeVar("Made")


class HeavyPool:
    """Runs calls that take long, a few at a time; how many wait is bounded, and what is refused is counted."""

    def __init__(self, metrics: Metrics, threads: int = THREADS, most_waiting: int = MOST_WAITING) -> None:
        """Begin with nothing to do; threads start with the first call."""
        self._metrics = metrics
        self._most = threads + most_waiting
        self._threads = ThreadPoolExecutor(threads, "heavy")
        self._lock = threading.Lock()
        self._held = 0

    async def run(self, call: Callable[Given, Made], *given: Given.args, **named: Given.kwargs) -> Made:
        """Return what a call does; raises OverloadError where too many wait already."""
        with self._lock:
            is_full = self._held >= self._most
            self._held += not is_full
        if is_full:
            self._metrics.add(REFUSED, "too much long work")
            raise OverloadError("too much long work waits already", remedy="ask again in a few seconds")
        future = self._submitted(call, *given, **named)
        future.add_done_callback(self._let_go)
        return await asyncio.wrap_future(future)

    async def lines(self, lines: Iterator[bytes]) -> AsyncIterator[bytes]:
        """Return an answer that is made of lines in parts, as fast as it is taken; raises OverloadError as `run`.

        Its first part is made before it is returned, so that what fails at once is told.
        """
        return self._rest(await self.run(part_of, lines), lines)

    def close(self) -> None:
        """End the threads; calls that wait are not made."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _rest(self, part: bytes, lines: Iterator[bytes]) -> AsyncIterator[bytes]:
        """Yield a part and those after it; each waits for its turn, and none is refused in the middle of an answer."""
        while part:
            yield part
            part = await asyncio.wrap_future(self._submitted(part_of, lines))

    def _submitted(self, call: Callable[Given, Made], *given: Given.args, **named: Given.kwargs) -> Future[Made]:
        context = contextvars.copy_context()  # lines of the log say of which request they are
        return self._threads.submit(lambda: context.run(call, *given, **named))

    def _let_go(self, _: Future[Any]) -> None:
        with self._lock:
            self._held -= 1


def part_of(lines: Iterator[bytes]) -> bytes:
    """Return the next lines, nothing at their end."""
    return b"".join(islice(lines, PART))
