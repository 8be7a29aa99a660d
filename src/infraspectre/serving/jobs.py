"""Long work that outlives its worker: jobs are leased for a while, and taken again when a lease runs out."""

from __future__ import annotations

import secrets
from collections.abc import Collection as Several
from typing import Any, Literal

import msgspec

from infraspectre.errors import ConflictError, InputError, OverloadError
from infraspectre.ports import Clock, RecordStore, Stored
from infraspectre.records.collections import JOBS
from infraspectre.records.queries import Filter, Order, Query
from infraspectre.records.times import NANOSECONDS
from infraspectre.telemetry import traceparent

State = Literal["waiting", "running", "done", "failed", "cancelled"]
LOOKED_AT = 20
"""Jobs that one call tries to lease, if others take them meanwhile."""


class JobLimits(msgspec.Struct, frozen=True):
    """Says how long jobs are leased, and how often they are tried."""

    lease_s: float = 60.0
    """Seconds after which a job is taken from a worker that says nothing."""
    attempts: int = 3
    pause_s: float = 5.0
    """Seconds before a job that failed is tried again; they double each time."""
    waiting: int = 1_000
    """Jobs of a tenant that are not done, at the most."""


class Job(msgspec.Struct, frozen=True):
    """Is a piece of work, and how far it has come."""

    kind: str
    arguments: dict[str, Any]
    owner: str
    """Who asked for it."""
    created_at: int
    """Nanoseconds since the epoch, UTC, as all times of a job."""
    due_at: int
    """When it may be taken, again if it is running; irrelevant once it is done."""
    state: State = "waiting"
    attempts: int = 0
    worker: str = ""
    progress: float = 0.0
    """The part that is done, 0 to 1."""
    result: str = ""
    """Where the result is."""
    problem: str = ""
    """Why the last attempt failed."""
    trace: str = ""
    """The traceparent of who asked for it; empty where nothing is traced."""
    key: str = ""
    tenant: str = ""
    revision: int = 0
    """What the store holds; who has another one has lost the job."""

    @property
    def is_over(self) -> bool:
        """Tell whether nothing more will be done."""
        return self.state in ("done", "failed", "cancelled")


class LeasedJobs:
    """Keeps jobs in a store, and gives each to one worker at a time."""

    def __init__(self, records: RecordStore, clock: Clock, limits: JobLimits | None = None) -> None:
        """Keep jobs in a store."""
        self._records, self._clock = records, clock
        self._limits = limits or JobLimits()

    def enqueue(self, tenant: str, kind: str, arguments: dict[str, Any], owner: str, key: str = "") -> Job:
        """Add a job, once for each key; raises OverloadError where too many wait already."""
        waiting = Query((Filter("state", "=", ("waiting", "running")),))
        if self._records.count(tenant, JOBS, waiting, self._limits.waiting) >= self._limits.waiting:
            raise OverloadError(f"{self._limits.waiting:,} jobs wait already", field="jobs", remedy="try again later")
        now = self._clock.now()
        key = key or secrets.token_hex(16)
        job = Job(
            kind, arguments, owner, created_at=now, due_at=now, trace=traceparent(), key=key, tenant=tenant
        )  # fmt: skip
        try:
            return self._put(job)
        except ConflictError:
            return self.get(tenant, job.key)

    def get(self, tenant: str, key: str) -> Job:
        """Return a job; raises InputError if there is none."""
        found = self._records.get(tenant, JOBS, key)
        if found is None:
            raise InputError("there is no such job", field=f"jobs {key[:64]}")
        return job_of(tenant, found)

    def lease(self, tenant: str, kinds: Several[str], worker: str) -> Job | None:
        """Take the job that is due longest, or return None; one whose workers vanished too often fails instead."""
        now = self._clock.now()
        due = Query(
            (
                Filter("state", "=", ("waiting", "running")),
                Filter("kind", "=", tuple(kinds)),
                Filter("due_at", "<=", (now,)),
            ),
            Order("due_at"),
            LOOKED_AT,
        )
        for each in self._records.page(tenant, JOBS, due).rows:
            leased = self._taken(job_of(tenant, each), worker, now)
            if leased is not None:
                return leased
        return None

    def heartbeat(self, job: Job, progress: float) -> Job:
        """Extend a lease, and say how much is done; raises ConflictError for a job that was lost or cancelled."""
        return self._put(
            msgspec.structs.replace(job, progress=progress, due_at=self._until(self._clock.now(), self._limits.lease_s))
        )

    def finish(self, job: Job, result: str) -> Job:
        """Say where the result is; raises ConflictError for a job that was lost or cancelled."""
        return self._put(msgspec.structs.replace(job, state="done", progress=1.0, result=result, problem=""))

    def fail(self, job: Job, problem: str, is_final: bool = False) -> Job:
        """Say why an attempt failed; the job waits to be tried again, or is over. Raises ConflictError as `finish`."""
        if is_final or job.attempts >= self._limits.attempts:
            return self._put(msgspec.structs.replace(job, state="failed", problem=problem))
        due_at = self._until(self._clock.now(), self._limits.pause_s * 2 ** (job.attempts - 1))
        return self._put(msgspec.structs.replace(job, state="waiting", problem=problem, due_at=due_at))

    def cancel(self, tenant: str, key: str) -> Job:
        """End a job that is not over; its worker learns so by its next word."""
        job = self.get(tenant, key)
        return job if job.is_over else self._put(msgspec.structs.replace(job, state="cancelled"))

    def _taken(self, job: Job, worker: str, now: int) -> Job | None:
        try:
            if job.attempts >= self._limits.attempts:
                self._put(msgspec.structs.replace(job, state="failed", problem="its workers vanished"))
                return None
            due_at = self._until(now, self._limits.lease_s)
            return self._put(
                msgspec.structs.replace(
                    job, state="running", worker=worker, attempts=job.attempts + 1, due_at=due_at, progress=0.0
                )
            )
        except ConflictError:
            return None

    def _put(self, job: Job) -> Job:
        written = self._records.put(job.tenant, JOBS, job.key, msgspec.to_builtins(job), expected=job.revision)
        return job_of(job.tenant, written)

    @staticmethod
    def _until(now: int, seconds: float) -> int:
        return now + int(seconds * NANOSECONDS)


def job_of(tenant: str, stored: Stored) -> Job:
    """Return the job of a record."""
    job = msgspec.json.decode(stored.body, type=Job)
    return msgspec.structs.replace(job, key=stored.key, tenant=tenant, revision=stored.revision)
