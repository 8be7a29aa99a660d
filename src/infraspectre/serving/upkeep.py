"""Keeps the house: sorts what was appended to tables, and drops what is older than it has to be."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import structlog

from infraspectre.errors import InfraSpectreError
from infraspectre.ports import RecordStore, Stored, every
from infraspectre.records.collections import IDEMPOTENCY, INCIDENTS, SESSIONS
from infraspectre.records.queries import Collection, Filter, Query
from infraspectre.records.tables import TABLES
from infraspectre.records.times import UNITS
from infraspectre.serving.breakers import Breaker
from infraspectre.serving.platform import Platform

EVERY_S = 60.0
DAY = UNITS["d"]
MOST_REMOVED = 1_000
"""Records of a tenant that are removed at once; the rest has its turn a minute later."""

logger = structlog.get_logger(__name__)
Task = Callable[[], object]


class Upkeep:
    """Does some tasks once a minute beside the work; one that fails is left alone for a while."""

    def __init__(self, tasks: dict[str, Task], every_s: float = EVERY_S) -> None:
        """Begin when entered."""
        self.breakers = {name: Breaker(f"upkeep {name}", failures=1, wait_s=every_s) for name in tasks}
        self._tasks, self._every_s = tasks, every_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)

    def __enter__(self) -> Upkeep:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def once(self) -> None:
        """Do each task that its breaker allows."""
        for name in self._tasks:
            self.do(name)

    def do(self, name: str) -> None:
        """Do a task if its breaker allows."""
        breaker = self.breakers[name]
        if not breaker.allows():
            return
        try:
            self._tasks[name]()
        except (InfraSpectreError, OSError) as error:
            logger.warning("upkeep failed", task=name, reason=str(error))
            breaker.failed(error)
        except Exception as error:  # one task must not end the others for good; what went wrong is told
            logger.exception("upkeep failed", task=name, error=repr(error))
            breaker.failed(error)
        else:
            breaker.succeeded()

    def _run(self) -> None:
        while not self._stopped.wait(self._every_s):
            self.once()


def table_tasks(platform: Platform) -> dict[str, Task]:
    """Return what is to be done about tables."""
    days = {"flows": platform.settings.retention.flows_days, "detections": platform.settings.retention.detections_days}

    def tidy(table: str) -> None:
        start = platform.clock.now() - days[table] * DAY
        for tenant in platform.tables.tenants(table):
            platform.tables.compact(tenant, table)
            platform.tables.retain(tenant, table, start)

    return {f"table {table}": lambda table=table: tidy(table) for table in TABLES}  # type: ignore[misc]


def record_tasks(platform: Platform) -> dict[str, Task]:
    """Return what is to be done about records: incidents go that were seen, and told or judged, before their time."""

    def tidy() -> None:
        start = platform.clock.now() - platform.settings.retention.incidents_days * DAY
        for tenant in platform.records.tenants(INCIDENTS):
            for row in islice(_untouched(platform.records, tenant, start), MOST_REMOVED):
                platform.records.delete(tenant, INCIDENTS, row.key)

    return {"incidents": tidy}


def _untouched(records: RecordStore, tenant: str, start: int) -> Iterator[Stored]:
    """Return incidents that were seen last, and changed last, before a time: those of a replayed capture are young."""
    old = every(records, tenant, INCIDENTS, Filter("last_seen", "<", (start,)), is_listed=True)
    return (row for row in old if row.changed_at < start)


def access_tasks(platform: Platform) -> dict[str, Task]:
    """Return what is to be done about what lets people in: sessions and kept answers go once they are over."""

    def tidy(collection: Collection) -> None:
        over = Query((Filter("expires_at", "<=", (platform.clock.now(),)),), limit=MOST_REMOVED)
        for tenant in platform.records.tenants(collection):
            for row in platform.records.page(tenant, collection, over).rows:
                platform.records.delete(tenant, collection, row.key, row.revision)

    return {each.name: lambda each=each: tidy(each) for each in (SESSIONS, IDEMPOTENCY)}  # type: ignore[misc]


def log_tasks(platform: Platform, topics: Sequence[str]) -> dict[str, Task]:
    """Return what is to be done about the topics that this process writes."""
    from infraspectre.adapters.log.local import LocalTopic

    found = {name: platform.log.topic(name) for name in topics}
    return {f"topic {name}": topic.retain for name, topic in found.items() if isinstance(topic, LocalTopic)}
