"""Outboxes: a few threads that bring all receivers what they want, none of them for long at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec
import structlog

from infraspectre.errors import InfraSpectreError
from infraspectre.ports import Outbox
from infraspectre.records.collections import PROGRESS
from infraspectre.records.delivery import Destination, Progress, Receipt
from infraspectre.serving.destinations import all_destinations, outbox_of
from infraspectre.serving.metrics import OUTBOX_EVENTS, OUTBOX_FAILURES
from infraspectre.serving.observing import look_at_receivers
from infraspectre.serving.outbox import Courier
from infraspectre.serving.platform import Platform

MEASURED_S = 15.0
"""How often it is measured how far receivers are behind."""
LOOK_S = 0.5
"""How often it is looked for something to send."""
WORKERS = 8
MOST_OF_TENANT = WORKERS // 2
"""Receivers of a tenant that are served at once, so that slow ones of one do not delay those of others."""
STEPS = 50
"""Steps for a receiver until others have their turn."""
Name = tuple[str, str]
log = structlog.get_logger("infraspectre.outbox")


class Outboxes:
    """Sends to all receivers of all tenants, each by one thread at a time."""

    def __init__(self, platform: Platform) -> None:
        """Prepare to send; nothing is sent before `start`."""
        self._platform = platform
        self._courier = Courier(platform.records, platform.log, platform.clock)
        self._opened: dict[Name, tuple[Destination, Outbox]] = {}
        self._busy: set[Name] = set()
        self._turns: dict[Name, int] = {}
        self._turn = 0
        self._measured_at = float("-inf")
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._pool = ThreadPoolExecutor(WORKERS, "outbox")
        self._thread = threading.Thread(target=self._run, name="outboxes", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """End once what is being sent is answered; the rest waits in the log."""
        self._stopped.set()
        self._thread.join()
        self._pool.shutdown(cancel_futures=True)

    def finish(self) -> None:
        """Wait until those who are served now have got what there is; for who calls `look` alone."""
        self._pool.shutdown()

    def look(self) -> None:
        """Give receivers to threads, those first that waited longest, unless their tenant has enough of them."""
        known = list(all_destinations(self._platform))
        self._measure(known)
        names = {(tenant, each.key) for tenant, each in known}
        with self._lock:
            for gone in (self._opened.keys() | self._turns.keys()) - names - self._busy:
                self._opened.pop(gone, None)
                self._turns.pop(gone, None)
            for tenant, each in sorted(known, key=lambda one: self._turns.get((one[0], one[1].key), 0)):
                name = (tenant, each.key)
                if name not in self._busy and sum(owner == tenant for owner, _ in self._busy) < MOST_OF_TENANT:
                    self._busy.add(name)
                    self._turn = self._turns[name] = self._turn + 1
                    self._pool.submit(self._serve, tenant, each)

    def _run(self) -> None:
        while not self._stopped.wait(LOOK_S):
            try:
                self.look()
            except InfraSpectreError as error:  # the store is away for a while
                log.warning("receivers cannot be looked at", reason=error.problem)

    def _serve(self, tenant: str, destination: Destination) -> None:
        try:
            outbox = self._outbox(tenant, destination)
            for _ in range(STEPS):
                receipt = self._courier.step(tenant, destination, outbox)
                self._count(destination, receipt)
                if self._stopped.is_set() or not receipt.answered or receipt.failure:
                    return
        except InfraSpectreError as error:
            log.warning("a receiver cannot be served", tenant=tenant, receiver=destination.key, reason=error.problem)
        except Exception as error:
            log.error("unforeseen", tenant=tenant, receiver=destination.key, exc_info=error)
        finally:
            with self._lock:
                self._busy.discard((tenant, destination.key))

    def _outbox(self, tenant: str, destination: Destination) -> Outbox:
        """Return what sends to a receiver, the same as long as the receiver is the same."""
        kept = self._opened.get((tenant, destination.key))
        if kept is not None and kept[0] == destination:
            return kept[1]
        outbox = outbox_of(self._platform, tenant, destination)
        self._opened[tenant, destination.key] = (destination, outbox)
        return outbox

    def _measure(self, known: Sequence[tuple[str, Destination]]) -> None:
        """Measure from time to time how far receivers are behind."""
        if time.monotonic() - self._measured_at < MEASURED_S:
            return
        self._measured_at = time.monotonic()
        stored = ((each, self._platform.records.get(tenant, PROGRESS, each.key)) for tenant, each in known)
        found = [(each, msgspec.json.decode(row.body, type=Progress)) for each, row in stored if row is not None]
        look_at_receivers(self._platform, found)

    def _count(self, destination: Destination, receipt: Receipt) -> None:
        metrics, kind, refused = self._platform.metrics, destination.kind, len(receipt.refused)
        metrics.add(OUTBOX_EVENTS, kind, "delivered", count=receipt.answered - refused)
        metrics.add(OUTBOX_EVENTS, kind, "refused", count=refused)
        if receipt.failure is not None:
            metrics.add(OUTBOX_FAILURES, kind)
