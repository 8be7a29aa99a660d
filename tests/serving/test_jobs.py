from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from collectors import kept
from infraspectre.adapters.record_store import open_sqlite
from infraspectre.errors import ConflictError, InputError, OverloadError
from infraspectre.ports import RecordStore
from infraspectre.serving.jobs import Job, JobLimits, LeasedJobs
from infraspectre.telemetry import span

SECOND = 10**9


class SetClock:
    def __init__(self) -> None:
        self.at = 0

    def now(self) -> int:
        return self.at


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def records(tmp_path: Path, clock: SetClock) -> Iterator[RecordStore]:
    store = open_sqlite(tmp_path / "records.db", clock)
    yield store
    store.close()


@pytest.fixture
def jobs(records: RecordStore, clock: SetClock) -> LeasedJobs:
    return LeasedJobs(records, clock, JobLimits(lease_s=60, attempts=3, pause_s=5, waiting=4))


def leased(jobs: LeasedJobs, worker: str = "w") -> Job:
    job = jobs.lease("a", ["export"], worker)
    assert job is not None
    return job


def test_a_job_is_leased_told_of_and_finished(jobs: LeasedJobs) -> None:
    asked = jobs.enqueue("a", "export", {"format": "csv"}, "ann")
    assert jobs.lease("a", ["train"], "w") is None
    assert jobs.lease("b", ["export"], "w") is None
    job = leased(jobs)
    assert (job.key, job.arguments, job.state, job.worker) == (asked.key, {"format": "csv"}, "running", "w")
    assert jobs.lease("a", ["export"], "other") is None
    job = jobs.heartbeat(job, 0.5)
    assert jobs.get("a", job.key).progress == 0.5
    jobs.finish(job, "exports/1.csv")
    done = jobs.get("a", job.key)
    assert (done.state, done.result, done.progress, done.is_over) == ("done", "exports/1.csv", 1.0, True)
    assert jobs.lease("a", ["export"], "w") is None


def test_the_job_of_a_worker_that_vanished_is_taken_again_and_the_worker_learns_so(
    jobs: LeasedJobs, clock: SetClock
) -> None:
    jobs.enqueue("a", "export", {}, "ann")
    first = leased(jobs, "first")
    clock.at = 60 * SECOND - 1
    assert jobs.lease("a", ["export"], "second") is None
    clock.at += 1
    second = leased(jobs, "second")
    assert second.attempts == 2
    with pytest.raises(ConflictError):
        jobs.heartbeat(first, 0.9)
    with pytest.raises(ConflictError):
        jobs.finish(first, "x")
    with pytest.raises(ConflictError):
        jobs.fail(first, "x")
    assert jobs.finish(second, "y").result == "y"


def test_heartbeats_keep_a_lease(jobs: LeasedJobs, clock: SetClock) -> None:
    jobs.enqueue("a", "export", {}, "ann")
    job = leased(jobs)
    for _ in range(5):
        clock.at += 50 * SECOND
        job = jobs.heartbeat(job, 0.1)
        assert jobs.lease("a", ["export"], "other") is None


def test_failures_pause_twice_as_long_each_time_and_end(jobs: LeasedJobs, clock: SetClock) -> None:
    jobs.enqueue("a", "export", {}, "ann")
    assert jobs.fail(leased(jobs), "disk full").due_at == 5 * SECOND
    assert jobs.lease("a", ["export"], "w") is None
    clock.at = 5 * SECOND
    assert jobs.fail(leased(jobs), "disk full").due_at == 15 * SECOND
    clock.at = 15 * SECOND
    over = jobs.fail(leased(jobs), "disk still full")
    assert (over.state, over.problem, over.attempts) == ("failed", "disk still full", 3)
    clock.at = 10**6 * SECOND
    assert jobs.lease("a", ["export"], "w") is None


def test_a_job_that_kills_its_workers_ends(jobs: LeasedJobs, clock: SetClock) -> None:
    key = jobs.enqueue("a", "export", {}, "ann").key
    for _ in range(3):
        leased(jobs)
        clock.at += 60 * SECOND
    assert jobs.lease("a", ["export"], "w") is None
    assert (jobs.get("a", key).state, jobs.get("a", key).problem) == ("failed", "its workers vanished")


def test_a_final_failure_is_not_tried_again(jobs: LeasedJobs) -> None:
    jobs.enqueue("a", "export", {}, "ann")
    assert jobs.fail(leased(jobs), "no such model", is_final=True).state == "failed"


def test_a_cancelled_job_is_over_and_its_worker_learns_so(jobs: LeasedJobs) -> None:
    key = jobs.enqueue("a", "export", {}, "ann").key
    job = leased(jobs)
    assert jobs.cancel("a", key).state == "cancelled"
    with pytest.raises(ConflictError):
        jobs.finish(job, "x")
    assert jobs.cancel("a", key).state == "cancelled"
    with pytest.raises(InputError, match="no such job"):
        jobs.cancel("b", key)


def test_a_key_is_enqueued_once_and_no_more_than_there_is_room_for(jobs: LeasedJobs) -> None:
    first = jobs.enqueue("a", "export", {"n": 1}, "ann", key="k")
    assert jobs.enqueue("a", "export", {"n": 2}, "ann", key="k") == first
    for _ in range(3):
        jobs.enqueue("a", "export", {}, "ann")
    with pytest.raises(OverloadError, match="4 jobs wait already"):
        jobs.enqueue("a", "export", {}, "ann")
    jobs.finish(leased(jobs), "x")
    jobs.enqueue("a", "export", {}, "ann")


def test_workers_at_once_never_hold_the_same_job(records: RecordStore, clock: SetClock) -> None:
    jobs = LeasedJobs(records, clock)
    expected = {jobs.enqueue("a", "export", {}, "ann").key for _ in range(40)}
    taken: list[str] = []

    def work(name: str) -> None:
        while (job := jobs.lease("a", ["export"], name)) is not None:
            taken.append(job.key)
            jobs.finish(job, name)

    workers = [threading.Thread(target=work, args=(str(n),)) for n in range(4)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    while (job := jobs.lease("a", ["export"], "last")) is not None:
        taken.append(job.key)
        jobs.finish(job, "last")
    assert sorted(taken) == sorted(expected)


def test_a_job_belongs_to_the_trace_of_who_asked_for_it(jobs: LeasedJobs) -> None:
    with kept(), span("POST") as asked:
        told = asked.traceparent
        jobs.enqueue("default", "retraining", {}, "ada", "one")
    jobs.enqueue("default", "retraining", {}, "ada", "two")
    assert [jobs.get("default", key).trace for key in ("one", "two")] == [told, ""]
