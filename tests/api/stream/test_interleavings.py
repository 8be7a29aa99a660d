"""Whatever order things happen in: what was selected is delivered or told as shed, in order, and once."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from api.stream.stage import Stage
from api.stream.stream_fakes import Wire, event
from infraspectre.api.stream.client import Client
from infraspectre.records.detection import SEVERITIES, Severity

SELECTIONS: dict[str, dict[str, Any]] = {
    "all": {},
    "grave": {"filters": ["severity>=high"]},
    "host": {"filters": ["entities=10.0.0.1"]},
    "summary": {"aggregate_s": 5},
    "window": {"window": 7},
    "urgent": {"filters": ["severity=critical"], "priority": "urgent"},
}


def is_wanted(name: str, number: int, severity: Severity) -> bool:
    """Tell, in other words than the filters, what a subscription selects."""
    match name:
        case "grave":
            return severity in ("high", "critical")
        case "host":
            return number % 2 == 0
        case "urgent":
            return severity == "critical"
    return True


@dataclass
class Ledger:
    """What one subscription was told, over all its connections."""

    name: str
    position: str
    reached: int


class Course:
    """Publishes, reads slowly, breaks off, resumes and waits in an order that a seed decides."""

    def __init__(self, seed: int, names: Sequence[str]) -> None:
        self.chance = random.Random(seed)
        self.is_quick = self.chance.random() < 0.3
        self.stage = Stage(queue_size=40_000, queues_size=40_000, least_size=40_000, message_size=4_000)
        self.severities: list[Severity] = []
        self.client: Client | None = None
        self.wire = Wire()
        self.read = 0
        self.ledgers = {name: Ledger(name, f"{self.stage.topic.epoch}.0", 0) for name in names}

    def run(self, steps: int) -> None:
        ways = [self.publish, self.connect, self.take, self.wait, self.stage.replay, self.acknowledge, self.leave]
        for way in self.chance.choices(ways, (8, 4, 4, 8, 4, 4, 1), k=steps):
            way()
            self.all_is_accounted_for()
        self.finish()

    def publish(self) -> None:
        severities = self.chance.choices(SEVERITIES, (4, 4, 3, 2, 1), k=self.chance.choice((1, 5, 30, 100)))
        first = len(self.severities)
        self.severities += severities
        self.stage.publish(*(self.event(first + place, each) for place, each in enumerate(severities)))

    def event(self, number: int, severity: Severity) -> bytes:
        return event(number, severity, subject=f"s{number % 3}", entities=(f"10.0.0.{1 + number % 2}",))

    def connect(self) -> None:
        if self.client is not None:
            return
        self.client, self.wire = self.stage.join(is_quick=self.is_quick)
        self.read = 0
        for ledger in self.ledgers.values():
            self.stage.ask(self.client, "subscribe", id=ledger.name, resume=ledger.position, **SELECTIONS[ledger.name])

    def take(self) -> None:
        self.wire.take()
        self.stage.flush()

    def wait(self) -> None:
        self.stage.wait(self.chance.choice((0.05, 0.1, 0.3, 3.0)))

    def acknowledge(self) -> None:
        if self.client is not None and "window" in self.client.lanes:
            self.stage.ask(self.client, "ack", id="window", position=self.ledgers["window"].position)

    def leave(self) -> None:
        """Break off: what was on its way is lost."""
        if self.client is not None:
            self.stage.hub.leave(self.client)
            self.client = None

    def all_is_accounted_for(self) -> None:
        for message in self.wire.taken[self.read :]:
            if "subscription" in message and message["type"] in ("events", "summary"):
                self.check(self.ledgers[message["subscription"]], message)
        self.read = len(self.wire.taken)
        if self.client is not None and self.client.ending:
            self.leave()

    def check(self, ledger: Ledger, message: dict[str, Any]) -> None:
        end = int(message["position"].rpartition(".")[2])
        assert end >= ledger.reached
        numbers = [each["data"]["number"] for each in message.get("events", [])]
        assert all(ledger.reached <= number < end for number in numbers)
        assert numbers == sorted(set(numbers))
        wanted = [n for n in range(ledger.reached, end) if is_wanted(ledger.name, n, self.severities[n])]
        assert set(numbers) <= set(wanted)
        shed = message.get("shed", {})
        assert len(numbers) + sum(shed.values()) + message.get("count", 0) == len(wanted)
        left_out = [self.severities[n] for n in wanted if n not in numbers]
        assert message["type"] == "summary" or {name: left_out.count(name) for name in set(left_out)} == shed
        ledger.reached, ledger.position = end, message["position"]

    def finish(self) -> None:
        """In the end a quick client gets all that is left."""
        self.leave()
        self.is_quick = True
        for _ in range(1_000):
            self.connect()
            self.stage.replay()
            self.stage.wait(1.0)
            self.all_is_accounted_for()
            self.acknowledge()
            if not any(map(self.rest, self.ledgers.values())):
                return
        raise AssertionError({name: self.rest(ledger) for name, ledger in self.ledgers.items()})

    def rest(self, ledger: Ledger) -> list[int]:
        """Return what a subscription has not been told of."""
        numbers = range(ledger.reached, len(self.severities))
        return [number for number in numbers if is_wanted(ledger.name, number, self.severities[number])]


@pytest.mark.parametrize("seed", range(15))
def test_whatever_the_order_all_that_was_selected_is_told_once(seed: int) -> None:
    Course(seed, list(SELECTIONS)).run(150)


@pytest.mark.parametrize("names", [("all",), ("host",), ("grave", "urgent")])
@pytest.mark.parametrize("seed", range(4))
def test_so_it_is_where_nearly_everything_is_sent_as_others_get_it(seed: int, names: Sequence[str]) -> None:
    Course(seed, names).run(150)
