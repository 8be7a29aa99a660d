"""Every event log keeps the same promises."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infraspectre.adapters.log.local import LocalLog
from infraspectre.errors import InputError, OutputError
from infraspectre.ports import EventLog
from infraspectre.records.events import Position
from kafka_broker import running_broker
from log_fakes import MemoryLog, SetClock

WAIT_S = 30

Opening = Callable[[], EventLog]


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_broker(tmp_path_factory.mktemp("kafka")) as address:
        yield address


def maker(kind: str, request: pytest.FixtureRequest, clock: SetClock) -> Opening:
    """What opens the same log, again and again."""
    if kind == "memory":
        kept = MemoryLog(clock)
        return lambda: kept
    folder: Path = request.getfixturevalue("tmp_path")
    if kind == "local":
        return lambda: LocalLog(folder / "log", clock)
    pytest.importorskip("confluent_kafka")
    from infraspectre.adapters.log.kafka import KafkaLog

    address: str = request.getfixturevalue("broker")
    return lambda: KafkaLog(address, clock, prefix=f"{folder.name}.", replicas=1)


@pytest.fixture(params=["local", "memory", "kafka"])
def opening(request: pytest.FixtureRequest, clock: SetClock) -> Iterator[Opening]:
    opened: list[EventLog] = []
    make = maker(request.param, request, clock)

    def open_log() -> EventLog:
        opened.append(make())
        return opened[-1]

    yield open_log
    for log in opened:
        log.close()


@pytest.fixture
def log(opening: Opening) -> EventLog:
    return opening()


def put(log: EventLog, *data: bytes, topic: str = "events") -> int:
    return log.topic(topic).append(data).result(WAIT_S)


def test_entries_come_back_in_order_with_number_and_time(log: EventLog, clock: SetClock) -> None:
    assert put(log, b"a", b"", b"c") == 0
    clock.time += 5_000_000_000
    assert put(log, bytes(range(256))) == 3
    entries = log.topic("events").read(0)
    assert [entry.data for entry in entries] == [b"a", b"", b"c", bytes(range(256))]
    assert [entry.sequence for entry in entries] == [0, 1, 2, 3]
    assert [entry.at for entry in entries] == [clock.time - 5_000_000_000] * 3 + [clock.time]
    assert (log.topic("events").begin, log.topic("events").end) == (0, 4)


def test_a_part_is_read_from_a_number_on(log: EventLog) -> None:
    for number in range(20):
        put(log, *[b"%d.%d" % (number, each) for each in range(5)])
    topic = log.topic("events")
    assert [entry.data for entry in topic.read(7, 4)] == [b"1.2", b"1.3", b"1.4", b"2.0"]
    assert [entry.sequence for entry in topic.read(97)] == [97, 98, 99]
    assert topic.read(100) == []
    assert topic.read(5, 0) == []


def test_nothing_lies_beyond_the_end(log: EventLog) -> None:
    put(log, b"a")
    with pytest.raises(InputError):
        log.topic("events").read(2)


def test_an_append_of_nothing_is_done_at_once(log: EventLog) -> None:
    put(log, b"a")
    assert log.topic("events").append([]).result(WAIT_S) == 1
    assert log.topic("events").end == 1


def test_who_waits_is_told(log: EventLog) -> None:
    topic = log.topic("events")
    assert topic.read(0, wait_s=0.01) == []
    with ThreadPoolExecutor() as threads:
        reading = threads.submit(topic.read, 0, 10, WAIT_S)
        time.sleep(0.01)
        put(log, b"a")
        assert [entry.data for entry in reading.result(WAIT_S)] == [b"a"]


def test_topics_are_apart(log: EventLog) -> None:
    put(log, b"a")
    put(log, b"b", b"c", topic="feed")
    assert [entry.data for entry in log.topic("feed").read(0)] == [b"b", b"c"]
    assert log.topic("events").end == 1
    assert log.topic("events").epoch != log.topic("feed").epoch


def test_an_epoch_is_part_of_a_position(log: EventLog) -> None:
    epoch = log.topic("feed").epoch
    assert Position.of(str(Position(epoch, 7))) == (epoch, 7)
    put(log, b"a", topic="feed")
    assert log.topic("feed").epoch == epoch


def test_appends_of_many_threads_stay_whole(log: EventLog) -> None:
    topic = log.topic("events")
    with ThreadPoolExecutor(8) as threads:
        parts = [[b"%d" % number] * (1 + number % 7) for number in range(200)]
        futures = list(threads.map(topic.append, parts))
    firsts = {future.result(WAIT_S): part for future, part in zip(futures, parts, strict=True)}
    expected = [each for first in sorted(firsts) for each in firsts[first]]
    assert [entry.data for entry in topic.read(0, 10_000)] == expected


def test_a_large_entry_comes_back(log: EventLog) -> None:
    data = bytes(range(256)) * 2_000
    put(log, data)
    assert log.topic("events").read(0)[0].data == data


def test_a_cursor_is_where_its_consumer_moved_it(log: EventLog) -> None:
    put(log, b"a", b"b")
    assert log.cursor("worker", "events") is None
    log.move("worker", "events", 1)
    log.move("other", "events", 2)
    assert (log.cursor("worker", "events"), log.cursor("other", "events"), log.cursor("worker", "feed")) == (1, 2, None)
    epoch = log.topic("events").epoch
    assert (log.position("worker", "events"), log.position("worker", "feed")) == (Position(epoch, 1), None)
    log.move("worker", "events", 0)
    assert log.cursor("worker", "events") == 0


def test_a_log_that_is_opened_again_is_the_same(opening: Opening) -> None:
    log = opening()
    put(log, b"a", b"b")
    log.move("worker", "events", 1)
    epoch = log.topic("events").epoch
    log.close()
    again = opening()
    topic = again.topic("events")
    assert (topic.epoch, topic.end, again.cursor("worker", "events")) == (epoch, 2, 1)
    assert [entry.data for entry in topic.read(1)] == [b"b"]


def test_a_log_that_is_closed_takes_nothing(log: EventLog) -> None:
    put(log, b"a")
    log.close()
    with pytest.raises(OutputError):
        log.topic("events").append([b"b"]).result(WAIT_S)
