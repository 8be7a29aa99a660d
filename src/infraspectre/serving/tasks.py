"""Tasks: the long work that the API takes orders for, done beside it, one after another."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping

import structlog

from infraspectre.errors import ConflictError, InfraSpectreError
from infraspectre.records.collections import JOBS
from infraspectre.serving.jobs import Job, LeasedJobs
from infraspectre.serving.platform import Platform
from infraspectre.telemetry import span

POLL_S = 1.0
BEAT_S = 10.0
"""A sixth of a lease: a late word costs nothing."""
Work = Callable[[Platform, Job, threading.Event], str]
"""Does a job and returns where its result is; ends soon once the event is set. Raises InfraSpectreError."""
log = structlog.get_logger("infraspectre.tasks")


class Tasks:
    """Takes jobs of all tenants and does them in a thread."""

    def __init__(self, platform: Platform, works: Mapping[str, Work]) -> None:
        """Do the kinds of work named; nothing begins before `start`."""
        self._platform, self._works = platform, works
        self._jobs = LeasedJobs(platform.records, platform.clock)
        self._name = secrets.token_hex(8)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tasks", daemon=True)

    def start(self) -> None:
        """Begin to take jobs."""
        self._thread.start()

    def stop(self) -> None:
        """End; a job under way is given back by its lease."""
        self._stopped.set()
        self._thread.join()

    def step(self) -> bool:
        """Do one job of each tenant that has one; tell whether there was any."""
        found = False
        for tenant in self._platform.records.tenants(JOBS):
            job = self._jobs.lease(tenant, list(self._works), self._name)
            if job is not None and not self._stopped.is_set():
                found = True
                self._do(job)
        return found

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                found = self.step()
            except InfraSpectreError as error:  # the store is away for a while
                log.warning("jobs cannot be taken", reason=error.problem)
                found = False
            if not found:
                self._stopped.wait(POLL_S)

    def _do(self, job: Job) -> None:
        about = {"infraspectre.job": job.key, "infraspectre.tenant": job.tenant}
        with (
            span(f"job {job.kind}", "consumer", about, parent=job.trace) as traced,
            Beat(self._jobs, job, self._stopped) as beat,
        ):
            try:
                result, fault = self._works[job.kind](self._platform, job, beat.is_lost), ""
            except InfraSpectreError as error:
                traced.end(type(error).__name__)
                log.warning("a job failed", job=job.key, kind=job.kind, reason=error.message)
                result, fault = "", error.detail
            except Exception as error:
                traced.end(type(error).__name__)
                log.error("unforeseen", job=job.key, kind=job.kind, exc_info=error)
                result, fault = "", "something went wrong; the log of the server says what"
        self._end(beat.job, result, fault)

    def _end(self, job: Job, result: str, fault: str) -> None:
        try:
            if fault:
                self._jobs.fail(job, fault)
            elif not self._stopped.is_set():
                self._jobs.finish(job, result)
        except ConflictError:
            log.info("a job was lost or cancelled", job=job.key)


class Beat:
    """Extends the lease of a job while it is done, and says when the job is lost."""

    def __init__(self, jobs: LeasedJobs, job: Job, stopped: threading.Event) -> None:
        """Prepare to extend a lease; whoever stops the tasks ends the job, too."""
        self.job = job
        self.is_lost = threading.Event()
        self._jobs, self._stopped = jobs, stopped
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Beat:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        told = 0.0
        while not self._done.wait(POLL_S / 4):
            told += POLL_S / 4
            if self._stopped.is_set():
                self.is_lost.set()
            if told >= BEAT_S:
                told = 0.0
                self._extend()

    def _extend(self) -> None:
        try:
            self.job = self._jobs.heartbeat(self.job, self.job.progress)
        except ConflictError:
            self.is_lost.set()
        except InfraSpectreError as error:
            log.warning("a lease cannot be extended", job=self.job.key, reason=error.problem)
