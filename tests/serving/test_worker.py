from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from infraspectre import app
from infraspectre.adapters.results import detection_object, incident_object
from infraspectre.errors import OutputError
from infraspectre.ports import Topic
from infraspectre.records.collections import INCIDENTS
from infraspectre.records.events import Entry
from infraspectre.records.feed import EVENTS_TOPIC, FEED_TOPIC, FLOWS_TOPIC, NOTICES_TOPIC, FeedEvent
from infraspectre.records.flows import FlowBatch
from infraspectre.records.times import NANOSECONDS
from infraspectre.serving.journal import read_over_gaps
from infraspectre.serving.outlets import CONSUMER, Queue
from infraspectre.serving.platform import Platform
from infraspectre.serving.worker import Worker
from infraspectre.settings import DetectionSettings, Settings
from infraspectre.simulation import simulate
from pipeline_fakes import Detecting
from serving_fakes import (
    Tables,
    clocked,
    compose,
    deliver,
    drain,
    entry,
    incidents,
    limited,
    platform,
    sample_flows,
    told,
)


@pytest.fixture(scope="module")
def flows() -> pl.DataFrame:
    return sample_flows()


def play(worker: Worker, batches: list[bytes], is_saved: bool = False) -> None:
    """Give a worker one batch after another, each when it has nothing else to do."""
    for batch in batches:
        worker.platform.log.topic(FLOWS_TOPIC).append([batch])
        drain(worker)
        if is_saved:
            worker.save()


def working(one: Platform, folder: Path) -> Worker:
    """Return a worker for which time passes with each look at the clock."""
    return Worker(one, compose, folder / "worker", now=count(step=1.0).__next__)


@pytest.fixture(scope="module")
def batches(flows: pl.DataFrame) -> list[bytes]:
    size = -(-len(flows) // 5)
    return [entry(flows[start : start + size], start // size) for start in range(0, len(flows), size)]


@pytest.fixture(scope="module")
def expected(batches: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What comes of a run that nothing disturbs."""
    folder = tmp_path_factory.mktemp("expected")
    one = platform(folder, limited(waiting_flows=10_000))
    play(working(one, folder), batches)
    return results(one)


def results(of: Platform) -> dict[str, Any]:
    tables = of.tables
    assert isinstance(tables, Tables)
    return {
        "flows": sorted(tables.rows("flows")["flow_id"].to_list()),
        "detections": tables.rows("detections").to_dicts(),
        "incidents": incidents(of),
        "feed": told(of),
    }


def test_flows_become_rows_records_and_events(expected: dict[str, Any], flows: pl.DataFrame) -> None:
    assert expected["flows"] == sorted(flows["flow_id"].to_list())
    assert expected["incidents"]
    assert {record["status"] for record in expected["incidents"].values()} == {"new"}
    kinds = [event["kind"] for event in expected["feed"]]
    assert kinds.count("detection.found") == len(expected["detections"]) > 0
    raised = [event["subject"] for event in expected["feed"] if event["kind"] == "incident.raised"]
    assert sorted(raised) == sorted(expected["incidents"])


class Stop(BaseException):
    """Stands for a process that is killed."""


@pytest.mark.parametrize(
    ("place", "is_saved"),
    [
        ("tables", True),
        ("records", True),
        ("before feed", True),
        ("after feed", True),
        ("cursor", True),
        ("records", False),
        ("after feed", False),
    ],
)
def test_a_worker_that_is_killed_anywhere_goes_on_exactly(
    batches: list[bytes],
    expected: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    is_saved: bool,
) -> None:
    one = platform(tmp_path, limited(waiting_flows=10_000))
    worker = working(one, tmp_path)
    play(worker, batches[:1], is_saved)
    with monkeypatch.context() as patched:
        kill_at(place, one, patched)
        with pytest.raises(Stop):
            play(worker, batches[1:], is_saved)
    again = working(one, tmp_path)
    drain(again)
    play(again, batches[one.log.topic(FLOWS_TOPIC).end :])
    assert results(one) == expected
    assert again.learnt.account.queued == 0


def kill_at(place: str, one: Platform, patched: pytest.MonkeyPatch) -> None:
    """Let the process die at the next call of an outlet, or right behind it."""
    owner, name = {
        "tables": (one.tables, "append"),
        "records": (one.records, "put"),
        "before feed": (one.log.topic(FEED_TOPIC), "append"),
        "after feed": (one.log.topic(FEED_TOPIC), "append"),
        "cursor": (one.log, "move"),
    }[place]
    call: Callable[..., Any] = getattr(owner, name)

    def die(*given: Any, **named: Any) -> Any:
        if place != "before feed":
            call(*given, **named)
        raise Stop

    patched.setattr(owner, name, die)


def test_a_new_process_goes_on_from_a_checkpoint_as_if_the_first_had_not_ended(
    flows: pl.DataFrame, tmp_path: Path
) -> None:
    """Cut a run, save, restore in another process and go on: detections and incidents are the same to the byte."""
    half = len(flows) // 2
    flows.write_parquet(tmp_path / "flows.parquet")
    pipeline = compose()
    whole = pipeline.process(FlowBatch(flows[:half])) + pipeline.process(FlowBatch(flows[half:])) + pipeline.finish()
    lines = [msgspec.json.encode(detection_object(each)) for each in pipeline.detections]
    lines += [msgspec.json.encode(incident_object(each)) for each in whole]
    halves = [subprocess.run([sys.executable, "-c", HALF, str(tmp_path), name], capture_output=True, check=True).stdout
              for name in ("first", "second")]  # fmt: skip
    cut = b"".join(halves).splitlines()
    assert sorted(cut) == sorted(lines)
    assert any(b"threat_score" in line for line in halves[1].splitlines())


HALF = """
import sys
from pathlib import Path
import msgspec, polars as pl
from infraspectre import app
from infraspectre.adapters.results import detection_object, incident_object
from infraspectre.records.flows import FlowBatch
from infraspectre.serving.checkpoint import Checkpoints, Learnt, Place

folder, part = Path(sys.argv[1]), sys.argv[2]
flows = pl.read_parquet(folder / "flows.parquet")
half = len(flows) // 2
kept = Checkpoints(folder / "checkpoint", b"k" * 32)
if part == "first":
    pipeline = app.compose()
    decisions = pipeline.process(FlowBatch(flows[:half]))
    kept.save(Learnt({"a": pipeline}), Place("e", 1))
else:
    learnt, _ = kept.load(app.compose)
    pipeline = learnt.pipelines["a"]
    decisions = pipeline.process(FlowBatch(flows[half:])) + pipeline.finish()
for each in pipeline.detections:
    sys.stdout.buffer.write(msgspec.json.encode(detection_object(each)) + b"\\n")
for each in decisions:
    sys.stdout.buffer.write(msgspec.json.encode(incident_object(each)) + b"\\n")
"""


def small(tmp_path: Path, **limits: int) -> tuple[Platform, Worker, list[float]]:
    """Return a worker whose pipeline finds the same in every batch."""
    one, times = platform(tmp_path, limited(**limits) if limits else None), [0.0]
    return one, Worker(one, stages, tmp_path / "worker", now=clocked(times)), times


def stages() -> Any:
    from infraspectre.pipeline import Pipeline

    double = Detecting()
    return Pipeline(double, double, double, double)  # type: ignore[arg-type]


@pytest.fixture
def few(flows: pl.DataFrame) -> pl.DataFrame:
    return flows[:100]


def test_what_people_decided_about_an_incident_stays(few: pl.DataFrame, tmp_path: Path) -> None:
    one, worker, _ = small(tmp_path)
    deliver(one.log, few[:50])  # type: ignore[arg-type]
    drain(worker)
    [(key, record)] = incidents(one).items()
    one.records.put(
        "default", INCIDENTS, key, record | {"status": "closed", "assignee": "eve", "comments": ["no"], "value": 1}
    )
    one.log.topic(FLOWS_TOPIC).append([entry(few[50:], 1)])
    drain(worker)
    after = incidents(one)[key]
    assert (after["status"], after["assignee"], after["comments"], after["value"]) == ("closed", "eve", ["no"], 70.0)


def test_tenants_never_meet(few: pl.DataFrame, tmp_path: Path) -> None:
    one, worker, _ = small(tmp_path)
    one.log.topic(FLOWS_TOPIC).append([entry(few[:50], 0, "a"), entry(few[50:], 0, "b"), entry(few[:10], 1, "a")])
    drain(worker)
    assert isinstance(one.tables, Tables)
    assert (len(one.tables.rows("flows", "a")), len(one.tables.rows("flows", "b"))) == (60, 50)
    assert len(worker.learnt.pipelines) == 2
    assert {event["tenant"] for event in told(one)} == {"a", "b"}


def test_a_batch_that_came_before_and_one_that_is_broken_are_counted(few: pl.DataFrame, tmp_path: Path) -> None:
    one, worker, _ = small(tmp_path)
    sound, broken = entry(few[:60], 0), entry(few[60:], 1)[:-40]
    one.log.topic(FLOWS_TOPIC).append([sound, sound, broken, b"nothing"])
    drain(worker)
    account = worker.learnt.account
    assert (account.taken, account.done, account.shed) == (160, 60, {"repeated": 60, "unreadable": 40})
    assert account.queued == 0


def test_an_outlet_that_fails_is_tried_again_and_holds_nobody_up(few: pl.DataFrame, tmp_path: Path) -> None:
    one, worker, _ = small(tmp_path)
    times = [0.0]
    worker.queues[0] = Queue(
        worker.queues[0]._outlet, 0, breaker=type(worker.queues[0].breaker)("flows", 1, 5.0, now=clocked(times))
    )
    assert isinstance(one.tables, Tables)
    one.tables.fails = 1
    deliver(one.log, few)  # type: ignore[arg-type]
    worker.step()
    assert len(told(one)) > 0, "the feed goes on"
    assert (len(worker.queues[0]), one.log.cursor(CONSUMER, FLOWS_TOPIC)) == (1, None)
    assert not worker.save(), "what is not handed on must be worked on again after a crash"
    worker.step()
    assert len(worker.queues[0]) == 1, "the breaker is open"
    times[0] = 5.0
    worker.step()
    assert len(one.tables.rows("flows")) == len(few)
    assert one.log.cursor(CONSUMER, FLOWS_TOPIC) == one.log.topic(FLOWS_TOPIC).end


def test_tables_that_are_full_of_unsorted_rows_are_sorted_first(few: pl.DataFrame, tmp_path: Path) -> None:
    one, worker, _ = small(tmp_path)
    assert isinstance(one.tables, Tables)
    one.tables.overloads = 1
    deliver(one.log, few)  # type: ignore[arg-type]
    drain(worker)
    assert len(one.tables.rows("flows")) == len(few)
    assert worker.queues[0].breaker.failures == 0


def test_a_pipeline_that_fails_costs_its_flows_only(
    few: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, worker, _ = small(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(Detecting, "detect", lambda *_: 1 / 0)
        one.log.topic(FLOWS_TOPIC).append([entry(few[:50], 0)])
        drain(worker)
    one.log.topic(FLOWS_TOPIC).append([entry(few[50:], 1)])
    drain(worker)
    assert worker.failures == 1
    assert isinstance(one.tables, Tables)
    assert len(one.tables.rows("flows")) == 100
    assert incidents(one)


def test_flows_that_wait_for_more_are_not_waited_beside(
    few: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    one, times = platform(tmp_path, Settings(detection=DetectionSettings(patience_s=0.25))), [0.0]
    worker = Worker(one, compose, tmp_path / "worker", now=clocked(times))

    def noted(topic: Topic, start: int, most: int, wait_s: float = 0.0) -> tuple[list[Entry], int]:
        waits.append(wait_s)
        return read_over_gaps(topic, start, most, wait_s)

    monkeypatch.setattr("infraspectre.serving.worker.read_over_gaps", noted)
    deliver(one.log, few)  # type: ignore[arg-type]
    worker.step()
    times[0] = 0.1
    worker.step(0.2)
    assert max(waits) == pytest.approx(0.15)
    times[0] = 0.25
    worker.step(0.2)
    waits.clear()
    worker.step(0.2)
    assert max(waits) == 0.2


def test_flows_that_wait_for_more_are_looked_at_once_nothing_comes(few: pl.DataFrame, tmp_path: Path) -> None:
    one, worker, times = small(tmp_path)
    deliver(one.log, few)  # type: ignore[arg-type]
    drain(worker)
    calls = worker.learnt.pipelines["default"].soma.calls
    assert "settle" not in calls
    times[0] = 1.0
    worker.step()
    worker.step()
    assert calls.count("settle") == 1


@pytest.fixture(scope="module")
def attack(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    """Flows of a host that runs programs on others, which is told apart from software distribution after an hour."""
    capture = simulate(
        "lateral-movement", tmp_path_factory.mktemp("attack"), 3, kind="psexec", background=False
    ).capture
    return pl.concat([batch.frame for batch in app.flows(capture)], how="diagonal_relaxed")


def silent(attack: pl.DataFrame, tmp_path: Path, size: int) -> tuple[Platform, Worker, list[float]]:
    """Return a worker that has seen an attack, in batches of a size, and behind which no flow comes."""
    one, times = platform(tmp_path, Settings(detection=DetectionSettings(grace_s=GRACE_S))), [0.0]
    worker = Worker(one, compose, tmp_path / "worker", now=clocked(times))
    deliver(one.log, attack, size)  # type: ignore[arg-type]
    drain(worker)
    return one, worker, times


GRACE_S = 60.0


def due_s(worker: Worker) -> float:
    """Return how long after the last flow something is to be told."""
    due = worker.learnt.pipelines["default"].due()
    assert due is not None
    return float(due - worker.learnt.reached["default"]) / NANOSECONDS


def wait(worker: Worker, times: list[float], until_s: float) -> None:
    """Let time go on, and a worker do what it has to meanwhile."""
    times[0] = until_s
    worker.step()
    drain(worker)


def test_what_is_held_back_is_told_though_no_flow_comes(attack: pl.DataFrame, tmp_path: Path) -> None:
    one, worker, times = silent(attack, tmp_path, 200)
    wait(worker, times, 2.0)
    assert not incidents(one)
    held_s = due_s(worker)
    assert held_s > 3_000
    wait(worker, times, held_s + GRACE_S - 1.0)
    assert not incidents(one), "a sensor may be so late"
    wait(worker, times, held_s + GRACE_S + 2.0)
    assert [record["categories"] for record in incidents(one).values()] == [["remote_execution"]]
    assert [event["kind"] for event in told(one)].count("incident.raised") == 1


def test_what_is_told_in_silence_depends_on_no_batch_and_on_no_restart(attack: pl.DataFrame, tmp_path: Path) -> None:
    found = []
    for size in (1, 200):
        folder = tmp_path / str(size)
        one, worker, times = silent(attack, folder, size)
        wait(worker, times, 2.0)
        wait(worker, times, due_s(worker) + GRACE_S + 2.0)
        found.append(results(one))
        drain(Worker(one, compose, folder / "worker", now=clocked([0.0])))
        assert results(one) == found[-1], "what was noted is done again, and told once"
    assert found[0] == found[1]


def test_time_goes_on_for_silent_tenants_alone(attack: pl.DataFrame, tmp_path: Path) -> None:
    one, worker, times = silent(attack, tmp_path, 200)
    wait(worker, times, 2.0)
    held_s = due_s(worker)
    times[0] = held_s + GRACE_S
    one.log.topic(FLOWS_TOPIC).append([entry(attack, 0, "other")])
    wait(worker, times, held_s + GRACE_S + 2.0)
    assert incidents(one)
    assert not incidents(one, "other")


def test_under_overload_flows_in_are_flows_out_shed_and_queued(flows: pl.DataFrame, tmp_path: Path) -> None:
    one, worker, _ = small(tmp_path, waiting_flows=300)
    many = flows[: min(len(flows), 4_000)]
    deliver(one.log, many, 50)  # type: ignore[arg-type]
    worker.step()
    account = worker.learnt.account
    assert account.taken == account.done + sum(account.shed.values()) + worker.backlog.flows
    drain(worker)
    assert account.taken == len(many) == account.done + sum(account.shed.values())
    assert account.shed["waited too long"] > 0
    assert 0 < account.done < len(many)
    before = msgspec.structs.asdict(account)
    again = Worker(one, stages, tmp_path / "worker", now=clocked([0.0]))
    drain(again)
    assert msgspec.structs.asdict(again.learnt.account) == before, "a restart sheds the same"


def test_a_checkpoint_of_other_settings_or_a_damaged_one_means_to_read_again(few: pl.DataFrame, tmp_path: Path) -> None:
    one, worker, _ = small(tmp_path)
    deliver(one.log, few)  # type: ignore[arg-type]
    drain(worker)
    worker.close()
    path = tmp_path / "worker" / "checkpoint"
    data = bytearray(path.read_bytes())
    data[-3] ^= 4
    path.write_bytes(data)
    before = results(one)
    again = Worker(one, stages, tmp_path / "worker", now=clocked([0.0]))
    assert again.is_learning
    drain(again)
    assert results(one) == before


def test_events_and_notices_are_relayed_once_and_the_grave_before_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, worker, _ = small(tmp_path)
    monkeypatch.setattr("infraspectre.serving.relay.LADDER", (2, 4, 6, 8))
    severities = ["critical", "informational", "high", "low", 5, None, "medium", "critical", "low", "informational"]
    posted = [
        {"tenant": "t", "id": str(n), "event": {"severity": each, "kind": "k"}} for n, each in enumerate(severities)
    ]
    one.log.topic(EVENTS_TOPIC).append([*map(msgspec.json.encode, posted), b"no event"])
    one.log.topic(NOTICES_TOPIC).append([msgspec.json.encode(FeedEvent("t", "system", "sensor.connected", "now", "s"))])
    worker.relay.step()
    kinds = [(event["kind"], event.get("severity", "informational")) for event in told(one)]
    assert kinds == [("sensor.connected", "informational"), ("custom.k", "critical"), ("custom.k", "critical")]
    account = worker.relay.lanes[EVENTS_TOPIC].account
    assert account.taken == account.done + sum(account.shed.values()) == 11
    again = Worker(one, stages, tmp_path / "again", now=clocked([0.0]))
    again.relay.step()
    assert len(told(one)) == 3


def test_an_event_told_before_a_crash_is_not_told_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, worker, _ = small(tmp_path)
    one.log.topic(EVENTS_TOPIC).append([msgspec.json.encode({"tenant": "t", "id": "1", "event": {}})])
    with monkeypatch.context() as patched:
        kill_at("after feed", one, patched)
        with pytest.raises(Stop):
            worker.relay.step()
    again = Worker(one, stages, tmp_path / "worker", now=clocked([0.0]))
    again.relay.step()
    assert len(told(one)) == 1


def test_what_cannot_be_relayed_now_is_relayed_later(tmp_path: Path) -> None:
    one, worker, _ = small(tmp_path)
    feed = one.log.topic(FEED_TOPIC)
    feed.failure = OutputError("no space is left")  # type: ignore[attr-defined]
    one.log.topic(EVENTS_TOPIC).append([msgspec.json.encode({"tenant": "t", "id": "1", "event": {}})])
    with worker.relay as relay:
        deadline = time.monotonic() + 10
        while relay.breaker.failures == 0 and time.monotonic() < deadline:
            time.sleep(0.005)
        feed.failure = None  # type: ignore[attr-defined]
        while not feed.end and time.monotonic() < deadline:
            time.sleep(0.005)
    lane = relay.lanes[EVENTS_TOPIC]
    assert (len(told(one)), lane.waits, lane.account.taken, lane.account.done) == (1, 0, 1, 1)
