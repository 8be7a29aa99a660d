from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from api_platform import close_platform, fill, open_platform
from infraspectre.errors import InputError
from infraspectre.modelbook import history
from infraspectre.records.access import Principal
from infraspectre.serving.jobs import LeasedJobs
from infraspectre.serving.platform import Platform
from infraspectre.serving.retraining import IDENTITY, LABEL, RETRAINING, learnt_rows, retrain
from infraspectre.serving.tasks import Tasks
from infraspectre.serving.triage import Triage

ANALYST = Principal("default", "ada", "analyst")
DAYS = 30


@pytest.fixture
def platform(tmp_path: Path, analyzed: Path) -> Iterator[Platform]:
    platform = open_platform(tmp_path)
    fill(platform, analyzed)
    yield platform
    close_platform(platform)


def judge(platform: Platform, title: str, verdict: str) -> None:
    from infraspectre.records.collections import INCIDENTS
    from infraspectre.records.queries import Filter, Query

    found = platform.records.page("default", INCIDENTS, Query((Filter("title", "~", (title,)),))).rows
    Triage(platform, ANALYST).judge(found[0].key, verdict)  # type: ignore[arg-type]


def test_labels_are_what_analysts_said(platform: Platform) -> None:
    judge(platform, "Port scan", "true_positive")
    rows = learnt_rows(platform, "default", DAYS)
    counts = dict(rows[LABEL].value_counts().iter_rows())
    assert counts["scan"] > 10
    assert counts["benign"] > 100
    assert not set(IDENTITY) & set(rows.columns)


def test_flows_of_what_nobody_judged_are_not_learnt(platform: Platform) -> None:
    judge(platform, "Port scan", "true_positive")
    unsure = len(learnt_rows(platform, "default", DAYS))
    judge(platform, "Beacon", "benign")
    assert len(learnt_rows(platform, "default", DAYS)) > unsure


def test_without_a_hostile_verdict_nothing_is_learnt(platform: Platform) -> None:
    judge(platform, "Port scan", "benign")
    with pytest.raises(InputError, match="known to be hostile"):
        learnt_rows(platform, "default", DAYS)


def test_a_job_learns_a_candidate(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    judge(platform, "Port scan", "true_positive")
    jobs = LeasedJobs(platform.records, platform.clock)
    order = jobs.enqueue("default", RETRAINING, {"name": "site-flows", "days": DAYS}, "ada")
    assert Tasks(platform, {RETRAINING: retrain}).step()
    done = jobs.get("default", order.key)
    assert (done.state, done.result, done.problem) == ("done", "registry:site-flows@1", "")
    (version,) = history("site-flows")
    assert version.stage == "candidate"


def test_a_job_that_fails_says_why(platform: Platform) -> None:
    jobs = LeasedJobs(platform.records, platform.clock)
    order = jobs.enqueue("default", RETRAINING, {"name": "site-flows"}, "ada")
    Tasks(platform, {RETRAINING: retrain}).step()
    failed = jobs.get("default", order.key)
    assert "known to be hostile" in failed.problem
    assert failed.state == "waiting"


def test_a_job_that_breaks_ends_no_other(platform: Platform) -> None:
    def broken(platform: Platform, job: object, is_lost: threading.Event) -> str:
        raise ZeroDivisionError

    jobs = LeasedJobs(platform.records, platform.clock)
    first, second = (jobs.enqueue("default", kind, {}, "ada") for kind in ("broken", "sound"))
    tasks = Tasks(platform, {"broken": broken, "sound": lambda *_: "here"})
    while tasks.step():
        pass
    assert jobs.get("default", second.key).result == "here"
    assert "the log of the server says what" in jobs.get("default", first.key).problem


def test_a_cancelled_job_is_given_up(platform: Platform) -> None:
    jobs = LeasedJobs(platform.records, platform.clock)
    order = jobs.enqueue("default", "long", {}, "ada")

    def long(platform: Platform, job: object, is_lost: threading.Event) -> str:
        jobs.cancel("default", order.key)
        return "too late"

    Tasks(platform, {"long": long}).step()
    assert jobs.get("default", order.key).state == "cancelled"
