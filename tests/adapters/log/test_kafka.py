"""What is particular to the log on Kafka; tests/contract/ holds it to the promises of all."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("confluent_kafka")

from infraspectre.adapters.log.kafka import Delivery, KafkaLog
from infraspectre.errors import InputError, OutputError, UsageError
from log_fakes import SetClock


def message(offset: int) -> Any:
    return SimpleNamespace(offset=lambda: offset)


def failure(text: str) -> Any:
    return SimpleNamespace(str=lambda: text)


def test_an_append_is_done_once_all_its_entries_are_there() -> None:
    future: Future[int] = Future()
    done: list[bool] = []
    delivery = Delivery("events", 3, future, lambda: done.append(True))
    for offset in (7, 8):
        delivery(None, message(offset))
    assert not future.done()
    delivery(None, message(9))
    assert future.result() == 7
    assert done == [True]


def test_an_append_fails_with_any_of_its_entries() -> None:
    future: Future[int] = Future()
    delivery = Delivery("events", 4, future, lambda: None)
    delivery(None, message(7))
    delivery(failure("no leader"), message(-1))
    delivery.give_up(2, "queue full")
    with pytest.raises(OutputError, match="events: cannot be written: no leader"):
        future.result()


def test_brokers_that_are_not_there_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infraspectre.adapters.log.kafka.ANSWER_S", 0.2)
    log = KafkaLog("127.0.0.1:1", SetClock(), options={"socket.timeout.ms": 100})
    with pytest.raises(OutputError, match=r"infraspectre\.events: Kafka: .*; look whether the brokers are up"):
        log.topic("events").append([b"a"]).result(10)
    with pytest.raises(InputError, match="Kafka"):
        log.cursor("worker", "events")
    with pytest.raises(UsageError):
        log.topic("../x")
    log.close()
