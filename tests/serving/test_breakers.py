from __future__ import annotations

import polars as pl

from infraspectre.records import Detection
from infraspectre.serving.breakers import Breaker, GuardedDetector
from pipeline_fakes import detection
from serving_fakes import clocked


def breaker(times: list[float]) -> Breaker:
    return Breaker("model", failures=2, wait_s=1.0, longest_s=3.0, now=clocked(times))


def state(of: Breaker) -> str:
    return of.state


def test_it_opens_after_failures_in_a_row_and_lets_one_call_through_after_a_wait() -> None:
    times = [0.0]
    one = breaker(times)
    one.failed(OSError("a"))
    one.succeeded()
    one.failed(OSError("b"))
    assert state(one) == "closed"
    one.failed(OSError("c"))
    assert (state(one), one.allows(), one.skipped, one.waits_s) == ("open", False, 1, 1.0)
    times[0] = 1.0
    assert one.allows()
    assert state(one) == "half-open"
    one.succeeded()
    assert (state(one), one.failures) == ("closed", 3)


def test_the_wait_doubles_up_to_a_longest_and_success_ends_that() -> None:
    times = [0.0]
    one = breaker(times)
    one.failed(OSError())
    one.failed(OSError())
    waits = []
    for _ in range(3):
        waits.append(one.waits_s)
        times[0] += one.waits_s
        assert one.allows()
        one.failed(OSError())
    assert waits == [1.0, 2.0, 3.0]
    times[0] += 3.0
    assert one.allows()
    one.succeeded()
    one.failed(OSError())
    one.failed(OSError())
    assert one.waits_s == 1.0


def test_it_says_what_failed() -> None:
    one = breaker([5.0])
    one.failed(ValueError("x" * 1_000))
    assert (one.name, state(one), one.failures) == ("model", "closed", 1)
    assert one.error.startswith("ValueError: xxx")
    assert len(one.error) <= 300


class Faulty:
    name, columns, helpful = "faulty", frozenset({"a"}), frozenset({"b"})

    def __init__(self) -> None:
        self.fails, self.calls = True, 0

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        self.calls += 1
        if self.fails:
            raise KeyError("no such column")
        return [detection("d")]

    def finish(self) -> list[Detection]:
        return []


def test_a_detector_that_raises_is_off_for_a_while_and_comes_back() -> None:
    times, faulty = [0.0], Faulty()
    guarded = GuardedDetector(faulty, Breaker("detector faulty", failures=1, wait_s=60.0, now=clocked(times)))
    assert (guarded.name, set(guarded.columns), set(guarded.helpful)) == ("faulty", {"a"}, {"b"})
    assert guarded.detect(pl.DataFrame()) == []
    assert guarded.detect(pl.DataFrame()) == []
    assert faulty.calls == 1
    faulty.fails, times[0] = False, 60.0
    assert len(guarded.detect(pl.DataFrame())) == 1
    assert guarded.breaker.state == "closed"


class Holding(Faulty):
    def due(self) -> int | None:
        return 5

    def turn(self, until: int) -> list[Detection]:
        return self.detect(pl.DataFrame())


def test_a_detector_that_holds_something_back_has_nothing_due_while_it_is_off() -> None:
    times, holding = [0.0], Holding()
    guarded = GuardedDetector(holding, Breaker("detector holding", failures=1, wait_s=60.0, now=clocked(times)))
    assert guarded.due() == 5
    assert guarded.turn(5) == []
    assert guarded.due() is None
    holding.fails, times[0] = False, 60.0
    assert guarded.due() == 5
    assert len(guarded.turn(5)) == 1


def test_a_detector_that_holds_nothing_back_has_nothing_due() -> None:
    guarded = GuardedDetector(Faulty())
    assert (guarded.due(), guarded.turn(5)) == (None, [])
