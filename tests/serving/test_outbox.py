from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from infraspectre.adapters.record_store import open_sqlite
from infraspectre.errors import ConfigError, InputError
from infraspectre.records.collections import DEAD_LETTERS, PROGRESS, WEBHOOKS
from infraspectre.records.delivery import Destination, Failure, Outgoing, Progress, Receipt
from infraspectre.records.events import Position
from infraspectre.records.feed import FEED_TOPIC, NOTICES_TOPIC
from infraspectre.serving.destinations import Destinations
from infraspectre.serving.outbox import DISABLED_AFTER_S, MOST_RETRYING, SCHEDULE_S, Courier, Schedule
from infraspectre.serving.platform import Platform
from infraspectre.serving.sealing import Seal
from log_fakes import MemoryLog, SetClock
from receivers import happen

HOUR, SECOND = 3_600 * 1_000_000_000, 1_000_000_000


class Killed(BaseException):
    """Ends the sender wherever it is."""


@dataclass
class Inbox:
    """Takes what it is told to take."""

    judge: Callable[[Outgoing], Failure | str | None] = lambda _: None
    kill_after: int = -1
    arrived: list[str] = field(default_factory=list)

    def send(self, events: Sequence[Outgoing]) -> Receipt:
        refused: dict[int, str] = {}
        for index, each in enumerate(events):
            self.kill_after -= 1
            if self.kill_after == 0:
                raise Killed
            judged = self.judge(each)
            if isinstance(judged, Failure):
                return Receipt(index, refused, judged)
            if judged:
                refused[index] = judged
            else:
                self.arrived.append(each.key)
        return Receipt(len(events), refused)


@dataclass
class Site:
    platform: Platform
    clock: SetClock
    log: MemoryLog
    destinations: Destinations
    destination: Destination

    @property
    def progress(self) -> Progress:
        return self.destinations.progress(self.destination.key)

    def step(self, inbox: Inbox) -> Receipt:
        courier = Courier(self.platform.records, self.log, self.clock, Schedule(1))
        return courier.step("default", self.destination, inbox)

    def until_quiet(self, inbox: Inbox) -> None:
        while self.step(inbox).answered:
            pass

    def balanced(self) -> bool:
        told = self.progress
        return told.taken == told.delivered + told.dead + len(told.retrying)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    clock = SetClock()
    log = MemoryLog(clock)
    records = open_sqlite(tmp_path / "records.db", clock)
    platform = Platform(records, None, log, clock=clock)  # type: ignore[arg-type]
    destinations = Destinations(platform, "default")
    wanted = Destination(key="wh_1", kind="webhook", name="", url="https://example.org", created_at=0, batch=20)
    yield Site(platform, clock, log, destinations, destinations.add(wanted, "secret"))
    records.close()


def test_events_arrive_in_order_and_once(site: Site) -> None:
    happen(site.log, 50)
    inbox = Inbox()
    site.until_quiet(inbox)
    assert [int(key.rpartition("_")[2]) for key in inbox.arrived] == list(range(50))
    assert site.progress.delivered == 50
    assert site.balanced()


def test_what_happened_before_or_to_others_is_not_sent(site: Site) -> None:
    happen(site.log, 3, tenant="other")
    inbox = Inbox()
    site.until_quiet(inbox)
    assert inbox.arrived == []
    assert site.progress.position.endswith(".3")


def test_a_receiver_that_is_down_for_72_hours_gets_everything_though_the_sender_is_killed(site: Site) -> None:
    picks = random.Random(7)
    started, kills, inbox = site.clock.time, 0, Inbox()

    def is_down() -> bool:
        return site.clock.time - started < 72 * HOUR

    inbox.judge = lambda _: Failure("down") if is_down() else None
    happen(site.log, 400)
    while site.progress.delivered < 400:
        inbox.kill_after = picks.choice((-1, 1, 1, 1)) if is_down() else picks.randint(1, 8) if kills < 100 else -1
        try:
            receipt = site.step(inbox)
        except Killed:
            kills += 1
            assert site.balanced()
            continue
        assert site.balanced()
        if receipt.failure:
            site.clock.time = site.progress.due_at
    assert kills == 100
    assert site.clock.time - started < 100 * HOUR
    sent = Counter(inbox.arrived)
    epoch = site.log.topic(FEED_TOPIC).epoch
    assert set(sent) == {f"evt_{epoch}_{number}" for number in range(400)}
    assert site.progress.disabled == ""


def test_people_get_what_happened_during_a_pause_together(site: Site) -> None:
    people = {"key": "p", "kind": "slack", "pause_s": 60, "batch": 500, "url": "https://hooks.example.org"}
    site.destination = site.destinations.add(msgspec.structs.replace(site.destination, **people), "/secret")
    sizes = []
    inbox = Inbox()
    for count in (1, 30, 300):
        happen(site.log, count)
        before = len(inbox.arrived)
        site.step(inbox)
        assert site.step(inbox) == Receipt(0)
        sizes.append(len(inbox.arrived) - before)
        site.clock.time += 60 * SECOND
    assert sizes == [1, 30, 300]
    assert site.balanced()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "slack", "template": "{{ 1 * 1 }}"}, "template"),
        ({"kind": "email", "options": {"sender": "x", "recipients": "a@b"}}, "options.sender"),
        ({"kind": "teams", "url": "https://example.org", "secret": "@evil.example/"}, "secret"),
    ],
)
def test_what_can_never_be_told_to_people_is_refused(site: Site, change: dict[str, Any], field: str) -> None:
    wanted = msgspec.structs.replace(site.destination, **{"key": "p", **change})
    with pytest.raises(InputError) as caught:
        site.destinations.add(wanted, change.get("secret", "/secret"))
    assert caught.value.field == field


def test_tries_follow_the_schedule_and_what_the_receiver_asks_for(site: Site) -> None:
    happen(site.log, 1)
    inbox = Inbox(lambda _: Failure("down"))
    waits = []
    for _ in SCHEDULE_S:
        site.step(inbox)
        waits.append((site.progress.due_at - site.clock.time) / SECOND)
        site.clock.time = site.progress.due_at
    assert all(0.9 * planned <= wait <= 1.1 * planned for wait, planned in zip(waits, SCHEDULE_S, strict=True))
    site.destinations.enable("wh_1")
    site.step(Inbox(lambda _: Failure("busy", retry_after_s=1_000)))
    assert site.progress.due_at == site.clock.time + 1_000 * SECOND


def test_a_receiver_that_fails_for_days_is_disabled_told_of_and_goes_on_when_enabled(site: Site) -> None:
    happen(site.log, 2)
    started, inbox = site.clock.time, Inbox(lambda _: Failure("down"))
    while not site.progress.disabled:
        site.step(inbox)
        site.clock.time = max(site.progress.due_at, site.clock.time)
    assert site.clock.time - started >= DISABLED_AFTER_S * SECOND
    [told] = site.log.topic(NOTICES_TOPIC).entries
    assert msgspec.json.decode(told.data)["kind"] == "webhook.disabled"
    site.step(Inbox())
    assert site.progress.delivered == 0
    site.destinations.enable("wh_1")
    site.step(Inbox())
    assert site.progress.delivered == 2


def test_a_receiver_that_is_gone_is_disabled_at_once(site: Site) -> None:
    happen(site.log, 1)
    site.step(Inbox(lambda _: Failure("gone", is_gone=True)))
    assert "410" in site.progress.disabled


def test_a_refused_event_holds_up_no_other_dies_at_the_end_of_the_schedule_and_is_revived(site: Site) -> None:
    happen(site.log, 30)
    inbox = Inbox(lambda each: "no" if each.key.endswith("_7") else None)
    site.until_quiet(inbox)
    assert len(inbox.arrived) == 29
    for _ in SCHEDULE_S:
        site.clock.time = site.progress.retrying[0].due_at
        site.step(inbox)
        assert site.balanced()
    assert (site.progress.dead, site.progress.retrying) == (1, [])
    [letter] = site.destinations.letters("wh_1", 10)
    assert (letter.attempts, letter.problem) == (1 + len(SCHEDULE_S), "no")
    site.destinations.revive("wh_1")
    assert site.balanced()
    site.step(Inbox())
    assert (site.progress.delivered, site.progress.dead, site.destinations.letters("wh_1", 10)) == (30, 0, [])


def test_too_many_refused_events_hold_up_those_behind_them(site: Site) -> None:
    happen(site.log, 300)
    inbox = Inbox(lambda _: "no")
    site.until_quiet(inbox)
    assert len(site.progress.retrying) == MOST_RETRYING
    assert site.progress.taken == MOST_RETRYING


def test_a_kill_while_a_letter_is_buried_leaves_no_letter_of_what_arrives_later(site: Site) -> None:
    happen(site.log, 1)
    inbox = Inbox(lambda _: "no")
    site.step(inbox)
    for _ in SCHEDULE_S[:-1]:
        site.clock.time = site.progress.retrying[0].due_at
        site.step(inbox)
    site.clock.time = site.progress.retrying[0].due_at
    site.platform.records.put("default", DEAD_LETTERS, f"wh_1.{site.progress.retrying[0].position}", LETTER)
    site.step(Inbox())
    assert (site.progress.delivered, site.destinations.letters("wh_1", 10)) == (1, [])
    assert site.balanced()


LETTER: dict[str, Any] = {"destination": "wh_1", "position": "a.0", "attempts": 10, "at": 1, "problem": ""}


def test_a_replay_sends_the_same_identities_again(site: Site) -> None:
    happen(site.log, 5)
    inbox = Inbox()
    site.until_quiet(inbox)
    epoch = site.log.topic(FEED_TOPIC).epoch
    site.destinations.replay("wh_1", Position(epoch, 2))
    site.until_quiet(inbox)
    assert inbox.arrived[5:] == inbox.arrived[2:5]
    assert site.balanced()
    with pytest.raises(InputError, match="outside"):
        site.destinations.replay("wh_1", Position(epoch, 6))
    with pytest.raises(InputError, match="outside"):
        site.destinations.replay("wh_1", Position("elsewhere", 1))


def test_what_the_log_dropped_is_counted_and_refused_events_among_it_are_dead(site: Site) -> None:
    happen(site.log, 10)
    site.step(Inbox(lambda each: "no" if each.key.endswith("_0") else None))
    happen(site.log, 10)
    topic = site.log.topic(FEED_TOPIC)
    topic.begin = 15
    topic.entries[:15] = [topic.entries[15]] * 15
    site.until_quiet(Inbox())
    assert site.progress.lost == 5
    site.clock.time = site.progress.retrying[0].due_at
    site.step(Inbox())
    assert site.progress.dead == 1
    assert site.balanced()


def test_secrets_are_sealed_and_open_at_their_own_place_alone(site: Site) -> None:
    stored = site.platform.records.get("default", WEBHOOKS, "wh_1")
    assert stored is not None
    assert b"secret" not in stored.body.replace(b'"secret":', b"")
    sealed = site.destination.secret
    assert Seal(site.platform.token_key).open(sealed, "default wh_1") == "secret"
    for seal, place in ((Seal(site.platform.token_key), "other wh_1"), (Seal(b"k" * 32), "default wh_1")):
        with pytest.raises(ConfigError, match="another key"):
            seal.open(sealed, place)


def test_a_removed_receiver_leaves_nothing(site: Site) -> None:
    happen(site.log, 1)
    assert site.destinations.remove(WEBHOOKS, "wh_1")
    assert not site.destinations.remove(WEBHOOKS, "wh_1")
    assert site.platform.records.get("default", PROGRESS, "wh_1") is None
    assert site.step(Inbox()) == Receipt(0)
