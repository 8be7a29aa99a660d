from __future__ import annotations

import asyncio

import pytest

from infraspectre.adapters.sensor_link import intake as module
from infraspectre.adapters.sensor_link.intake import Arrival, Intake
from infraspectre.adapters.sensor_link.protocol import KEPT_EPOCHS
from infraspectre.errors import OutputError
from infraspectre.records.events import Entry
from infraspectre.records.feed import SENSORS_TOPIC
from infraspectre.records.flow_batches import FlowEnvelope, Sensor, decode
from link_rooms import numbers, payload
from log_fakes import MemoryLog

PROBE = Sensor("default", "probe")


def arrival(sequence: int, epoch: str = "ab", sensor: Sensor = PROBE) -> Arrival:
    return Arrival(FlowEnvelope(sensor.tenant, sensor.name, epoch, sequence, 1, 0, 0), payload(sequence))


def take(intake: Intake, *arrivals: Arrival, sensor: Sensor = PROBE) -> module.Taken:
    return asyncio.run(intake.take(sensor, arrivals))


def test_a_batch_is_taken_once() -> None:
    log = MemoryLog()
    intake = Intake(log)
    assert take(intake, arrival(0), arrival(1)).batches == 2
    assert take(intake, arrival(0), arrival(1), arrival(1), arrival(2))[:3] == (1, 1, 3)
    assert numbers(log) == [0, 1, 2]
    assert intake.known(PROBE) == {"ab": 3}


def test_tenants_and_epochs_are_apart() -> None:
    log = MemoryLog()
    intake = Intake(log)
    other = Sensor("acme", "probe")
    take(intake, arrival(0), arrival(0, "cd"))
    take(intake, arrival(0, sensor=other), sensor=other)
    assert intake.known(PROBE) == {"ab": 1, "cd": 1}
    assert intake.known(other) == {"ab": 1}


def test_what_is_missing_is_said_except_at_the_first_sight_of_an_epoch() -> None:
    log = MemoryLog()
    taken = take(Intake(log), arrival(5), arrival(6), arrival(9))
    entries = log.topic("flows").read(0)
    assert [decode(entry.data)[0].missing for entry in entries] == [0, 0, 2]
    assert taken.missing == 2


def test_a_failure_leaves_everything_as_it_was() -> None:
    log = MemoryLog()
    intake = Intake(log)
    take(intake, arrival(0))
    log.topic("flows").failure = OutputError("disk full")
    with pytest.raises(OutputError):
        take(intake, arrival(1))
    log.topic("flows").failure = None
    assert intake.known(PROBE) == {"ab": 1}
    take(intake, arrival(1))
    assert numbers(log) == [0, 1]


@pytest.mark.parametrize("saved", [0, 1, 2, 3, 100])
def test_a_new_start_knows_what_is_in_the_log(monkeypatch: pytest.MonkeyPatch, saved: int) -> None:
    monkeypatch.setattr(module, "SAVED_BATCHES", saved)
    monkeypatch.setattr(module, "SAVED_S", 0.0)
    log = MemoryLog()
    intake = Intake(log)
    for number in range(7):
        take(intake, arrival(number, "ab" if number < 4 else "cd"))
    assert bool(log.topic(SENSORS_TOPIC).end) is (saved <= 7)
    assert Intake(log).known(PROBE) == {"ab": 4, "cd": 7}


def test_it_is_not_saved_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAVED_BATCHES", 1)
    log = MemoryLog()
    intake = Intake(log)
    for number in range(20):
        take(intake, arrival(number))
    assert log.topic(SENSORS_TOPIC).end == 0


def test_a_new_start_reads_only_what_came_since_it_was_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    log = MemoryLog()
    intake = Intake(log)
    for number in range(5):
        take(intake, arrival(number))
    intake.save().result()
    take(intake, arrival(5))
    looked_at: list[bytes] = []

    def look(data: bytes) -> tuple[FlowEnvelope, memoryview]:
        looked_at.append(data)
        return decode(data)

    monkeypatch.setattr(module, "decode", look)
    assert Intake(log).known(PROBE) == {"ab": 6}
    assert len(looked_at) == 1


def test_a_damaged_note_costs_nothing_but_time() -> None:
    log = MemoryLog()
    take(Intake(log), arrival(0))
    log.topic(SENSORS_TOPIC).append([b"{broken"]).result()
    assert Intake(log).known(PROBE) == {"ab": 1}


def test_of_damaged_notes_the_last_whole_one_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    log = MemoryLog()
    intake = Intake(log)
    take(intake, *map(arrival, range(5)))
    intake.save().result()
    take(intake, arrival(5))
    log.topic(SENSORS_TOPIC).append([b"{broken"]).result()
    topic, read, starts = log.topic("flows"), log.topic("flows").read, list[int]()

    def look(start: int, most: int = 1_000, wait_s: float = 0.0) -> list[Entry]:
        starts.append(start)
        return read(start, most, wait_s)

    monkeypatch.setattr(topic, "read", look)
    assert Intake(log).known(PROBE) == {"ab": 6}
    assert starts == [5]


@pytest.mark.parametrize("bound", ["SAVED_BATCHES", "SAVED_BYTES"])
def test_what_a_start_had_to_read_the_next_one_need_not(monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    log = MemoryLog()
    take(Intake(log), *map(arrival, range(5)))
    monkeypatch.setattr(module, bound, 5)
    Intake(log)
    monkeypatch.setattr(module, "decode", None)
    assert Intake(log).known(PROBE) == {"ab": 5}


def test_many_bytes_are_saved_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAVED_BYTES", len(payload(0)) * 2)
    log = MemoryLog()
    intake = Intake(log)
    for number in range(6):
        take(intake, arrival(number))
    assert 2 <= log.topic(SENSORS_TOPIC).end <= 3


def test_what_others_wrote_into_the_topic_is_passed_over() -> None:
    log = MemoryLog()
    log.topic("flows").append([b"something else", b"ISF\x01\xff\xff\xff\xff"]).result()
    take(Intake(log), arrival(0))
    assert Intake(log).known(PROBE) == {"ab": 1}


def test_epochs_are_remembered_in_bounded_number_the_last_ones() -> None:
    intake = Intake(MemoryLog())
    for number in range(KEPT_EPOCHS + 5):
        take(intake, arrival(0, f"{number:x}"))
    known = intake.known(PROBE)
    assert len(known) == KEPT_EPOCHS
    assert f"{KEPT_EPOCHS + 4:x}" in known
