"""Jobs: long work that was asked for, and how far it has come."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import Response, delete, get, post
from litestar.params import JSONBody
from msgspec import Meta
from msgspec.structs import asdict

from infraspectre.api.given import GivenPlatform, GivenPrincipal, GivenQuestion, InPath
from infraspectre.api.pages import PageOf, asked
from infraspectre.api.problems import RefusedError
from infraspectre.errors import InputError
from infraspectre.records.collections import JOBS
from infraspectre.records.times import rfc3339
from infraspectre.serving.jobs import Job, LeasedJobs, State, job_of
from infraspectre.serving.platform import Platform
from infraspectre.serving.retraining import RETRAINING

PATH = "/api/v1/jobs"


class JobStatus(msgspec.Struct, frozen=True):
    """Is a job and how far it has come."""

    job_id: str
    kind: str
    state: State
    owner: str
    created_at: str
    attempts: int
    progress: float
    """The part that is done, 0 to 1."""
    result: str
    """What came of it, such as the name of a model."""
    problem: str
    """Why the last attempt failed."""


class RetrainingRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Asks for a model learnt from verdicts, registered as a candidate."""

    name: Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9-]{0,62}\Z")]
    days: Annotated[int, Meta(ge=1, le=365)] = 30
    """How far back flows are learnt from."""


def status_of(job: Job) -> JobStatus:
    """Return what is shown of a job."""
    kept = {name: getattr(job, name) for name in JobStatus.__struct_fields__ if hasattr(job, name)}
    return JobStatus(**{**kept, "job_id": job.key, "created_at": rfc3339(job.created_at)})


def jobs_of(platform: Platform) -> LeasedJobs:
    """Return the queue of jobs."""
    return LeasedJobs(platform.records, platform.clock)


def accepted(job: Job) -> Response[JobStatus]:
    """Return the answer to an order for long work: where to look how far it has come."""
    return Response(status_of(job), status_code=202, headers={"location": f"{PATH}/{job.key}"})


@get(
    PATH,
    opt={"permission": "read"},
    dependencies={"question": asked(JOBS.fields, JobStatus.__struct_fields__)},
    sync_to_thread=True,
)
def list_jobs(platform: GivenPlatform, principal: GivenPrincipal, question: GivenQuestion) -> PageOf[JobStatus]:
    """List jobs."""
    page = platform.records.page(principal.tenant, JOBS, question.query)
    jobs = (asdict(status_of(job_of(principal.tenant, row))) for row in page.rows)
    answer: PageOf[JobStatus] = question.page(jobs, page.next)
    return answer


@get(PATH + "/{job_id:str}", opt={"permission": "read"}, sync_to_thread=True)
def show_job(platform: GivenPlatform, principal: GivenPrincipal, job_id: InPath) -> JobStatus:
    """Show a job and how far it has come."""
    return status_of(job_called(platform, principal.tenant, job_id))


@delete(PATH + "/{job_id:str}", opt={"permission": "engineer"}, status_code=200, sync_to_thread=True)
def cancel_job(platform: GivenPlatform, principal: GivenPrincipal, job_id: InPath) -> JobStatus:
    """Cancel a job that is not over."""
    job_called(platform, principal.tenant, job_id)
    return status_of(jobs_of(platform).cancel(principal.tenant, job_id))


@post("/api/v1/retraining", opt={"permission": "engineer"}, status_code=202, sync_to_thread=True)
def retrain_model(
    platform: GivenPlatform, principal: GivenPrincipal, data: JSONBody[RetrainingRequest]
) -> Response[JobStatus]:
    """Learn a model from verdicts and ordinary flows, and register it as a candidate: a job."""
    order = {"name": data.name, "days": data.days}
    return accepted(jobs_of(platform).enqueue(principal.tenant, RETRAINING, order, principal.subject))


def job_called(platform: Platform, tenant: str, job_id: str) -> Job:
    """Return a job; raises RefusedError where the tenant has none."""
    try:
        return jobs_of(platform).get(tenant, job_id)
    except InputError as error:
        raise RefusedError("not-found", "there is no such job") from error


HANDLERS = [list_jobs, show_job, cancel_job, retrain_model]
