"""Runs tasks in processes that may die or hang without harm: each such end is a result."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

READY_S = 300.0
"""How long a process may take to prepare itself."""


@dataclass(frozen=True)
class Ended:
    """Says that a task ended its process with this status (negative: by a signal), or hung where there is none."""

    status: int | None
    seconds: float

    def __str__(self) -> str:
        return "hung" if self.status is None else f"the process ended with {self.status}"


class Worker:
    """Does tasks in a process of its own, which is replaced whenever it dies or hangs."""

    def __init__(self, function: Callable[[Any], Any], limit_s: float, prepare: Callable[[], object] = bool) -> None:
        """Take what does a task, how long one may take, and what is done before the first; both are top-level."""
        self._function = function
        self._limit_s = limit_s
        self._prepare = prepare
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=serve, args=(other, self._function, self._prepare), daemon=True)
        self._process.start()
        other.close()
        if not self._connection.poll(READY_S):
            self.stop()
            raise RuntimeError(f"{self._prepare} did not end within {READY_S} s")
        try:
            problem = self._connection.recv()
        except EOFError:
            problem = "the process died"
        if problem:
            self.stop()
            raise RuntimeError(f"{self._prepare}: {problem}")

    def do(self, task: Any) -> Any:
        """Return what a task gave, or how it ended the process."""
        started = time.monotonic()
        self._connection.send(task)
        hung = not self._connection.poll(self._limit_s)
        try:
            if not hung:
                return self._connection.recv()
        except (EOFError, ConnectionResetError):
            self._process.join()
        ended = Ended(None if hung else self._process.exitcode, time.monotonic() - started)
        self.stop()
        self._start()
        return ended

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()


def serve(connection: Connection, function: Callable[[Any], Any], prepare: Callable[[], object]) -> None:
    """Do the tasks that are sent, until nobody sends any more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # warnings about losses are expected here
    try:
        prepare()
    except Exception as error:  # noqa: BLE001 - told to whoever waits for this process
        connection.send(f"{type(error).__name__}: {error}")
        return
    connection.send("")
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        connection.send(function(task))


def do_all(
    function: Callable[[Any], Any],
    tasks: Sequence[Any],
    limit_s: float,
    jobs: int = 1,
    prepare: Callable[[], object] = bool,
) -> Iterator[Any]:
    """Yield what each task gave, in the order of the tasks; several processes share them."""
    jobs = max(1, min(jobs, len(tasks)))
    with ThreadPoolExecutor(jobs) as threads:
        workers = list(threads.map(lambda _: Worker(function, limit_s, prepare), range(jobs)))
        free: SimpleQueue[Worker] = SimpleQueue()
        for worker in workers:
            free.put(worker)
        try:
            yield from threads.map(partial(lend, free), tasks)
        finally:
            for worker in workers:
                worker.stop()


def lend(free: SimpleQueue[Worker], task: Any) -> Any:
    """Let the next free worker do a task."""
    worker = free.get()
    try:
        return worker.do(task)
    finally:
        free.put(worker)
