"""Keeps a hub going: reads the feed and history in threads of their own, and sends in the loop of the server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from itertools import islice

import structlog

from infraspectre.api.stream.hub import Hub
from infraspectre.feed.batches import Batch

MOST_READ = 4_096
WAIT_S = 0.25
"""How long one read waits for the first entry; a server ends that much later."""
LEAST_PAUSE_S, MOST_PAUSE_S = 0.005, 0.05
DUTY = 0.5
"""The pause between two rounds is so many times what a round took, within bounds: few clients are served at once."""
SLICE = 250
"""Clients that are sent to before others in the loop have their turn."""
TEND_S = 0.25
RETRY_S = 1.0
log = structlog.get_logger("infraspectre.stream")


@asynccontextmanager
async def running(hub: Hub) -> AsyncIterator[None]:
    """Run a hub while the block runs; then its clients are told to go elsewhere."""
    runner = Runner(hub)
    rounds: tuple[Callable[[], Awaitable[None]], ...] = (runner.follow, runner.deliver, runner.replay, runner.tend)
    tasks = [asyncio.create_task(forever(each)) for each in rounds]
    try:
        yield
    finally:
        hub.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        runner.threads.shutdown(wait=False, cancel_futures=True)


async def forever(once: Callable[[], Awaitable[None]]) -> None:
    """Do something again and again; whatever goes wrong costs one round and is logged."""
    while True:
        try:
            await once()
        except Exception as error:
            log.error("round failed", round=once.__name__, exc_info=error)
            await asyncio.sleep(RETRY_S)


class Runner:
    """Runs the rounds of a hub."""

    def __init__(self, hub: Hub) -> None:
        """Use two threads, so that reading history never delays what happens now."""
        self.hub = hub
        self.threads = ThreadPoolExecutor(2, "stream")
        self._pause_s = LEAST_PAUSE_S
        self._is_waiting = asyncio.Event()
        hub.on_waiting = self._is_waiting.set

    async def follow(self) -> None:
        """Read what came next, and send it to all who can take it."""
        batch = await self._read(self.hub.feed.read, self.hub.position, MOST_READ, WAIT_S)
        if batch.end == self.hub.position:
            return
        begin = time.perf_counter()
        self.hub.take(batch)
        await self._flush()
        self._pace(time.perf_counter() - begin)
        if batch.end - batch.start < MOST_READ:
            await asyncio.sleep(self._pause_s)
        self._is_waiting.set()

    async def deliver(self) -> None:
        """Send to those who could not take everything at once."""
        if not self.hub.waiting:
            self._is_waiting.clear()
            await self._is_waiting.wait()
        await self._flush()
        await asyncio.sleep(self._pause_s)

    async def replay(self) -> None:
        """Read history for one lane after another, as far as their clients take it."""
        hub = self.hub
        began = time.perf_counter()
        for lane in list(hub.behind):
            if not hub.is_ready(lane):
                continue
            batch = hub.feed.held(lane.next)
            if batch is None:
                batch = await self._read(hub.feed.block, lane.next, hub.position)
                hub.feed.hold_history(batch)
            hub.catch_up(lane, batch)
            await asyncio.sleep(0)
        if hub.behind:
            self._is_waiting.set()
        await asyncio.sleep(max(LEAST_PAUSE_S, time.perf_counter() - began) if hub.behind else MOST_PAUSE_S)

    async def tend(self) -> None:
        """Do what is due without events."""
        await asyncio.sleep(TEND_S)
        self.hub.tend()
        self._is_waiting.set()

    async def _read(self, function: Callable[..., Batch], *given: float) -> Batch:
        return await asyncio.get_running_loop().run_in_executor(self.threads, function, *given)

    async def _flush(self) -> None:
        clients = iter(list(self.hub.waiting))
        while some := list(islice(clients, SLICE)):
            self.hub.flush(some)
            await asyncio.sleep(0)

    def _pace(self, took_s: float) -> None:
        wanted = min(max(DUTY * took_s, LEAST_PAUSE_S), MOST_PAUSE_S)
        self._pause_s += 0.2 * (wanted - self._pause_s)
