from __future__ import annotations

import msgspec
import pytest

from infraspectre.records.events import GapError
from infraspectre.records.feed import EVENTS_TOPIC, FEED_TOPIC, FeedEvent
from infraspectre.serving.outlets import CONSUMER, Feed
from infraspectre.serving.relay import READ, Relay
from log_fakes import MemoryLog


def posted(log: MemoryLog, *events: bytes) -> None:
    log.topic(EVENTS_TOPIC).append([b'{"tenant":"red","id":"a","event":%b}' % each for each in events]).result()


def told(log: MemoryLog) -> list[FeedEvent]:
    return [msgspec.json.decode(each.data, type=FeedEvent) for each in log.topic(FEED_TOPIC).read(0)]


def test_what_nobody_can_read_is_counted_and_the_rest_goes_on() -> None:
    log = MemoryLog()
    deep = b'{"kind":' + b"[" * 5_000 + b"]" * 5_000 + b"}"
    posted(log, b'{"kind":"login"}', deep, b'{"kind":1e999}', b'{"kind":"logout"}')
    relay = Relay(log, Feed(log))
    relay.step()
    assert [each.kind for each in told(log)] == ["custom.login", "custom.logout"]
    assert relay.lanes[EVENTS_TOPIC].account.shed == {"unreadable": 2}


def test_a_fault_of_ours_does_not_end_the_relay(monkeypatch: pytest.MonkeyPatch) -> None:
    log = MemoryLog()
    relay = Relay(log, Feed(log))
    posted(log, b'{"kind":"login"}')
    with monkeypatch.context() as broken:
        broken.setitem(READ, EVENTS_TOPIC, lambda entry: 1 // 0)
        assert not relay._tried()
    assert relay.breaker.state == "open"
    relay.step()
    assert [each.kind for each in told(log)] == ["custom.login"]


def test_the_worker_starts_although_a_part_of_the_feed_is_gone() -> None:
    log = MemoryLog()
    topic = log.topic(FEED_TOPIC)
    kept = FeedEvent("red", "custom", "custom", "2026-01-01T00:00:00Z", source="one")
    topic.append([msgspec.json.encode(kept)] * 4).result()
    feed = Feed(log)
    log.move(CONSUMER, FEED_TOPIC, 0)
    whole = topic.read

    def damaged(start: int, most: int = 1_000, wait_s: float = 0.0) -> list[object]:
        if start == 0:
            raise GapError("is damaged", 2, field="entry 0")
        return list(whole(start, most, wait_s))

    topic.read = damaged  # type: ignore[method-assign, assignment]
    assert Feed(log).sources == feed.sources == {"one"}
