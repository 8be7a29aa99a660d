"""The learner of relevance, against analysts whose taste is simulated."""

from __future__ import annotations

import random

import msgspec
import pytest

from infraspectre.errors import InputError
from infraspectre.feed.relevance import BUCKETS, Apprentice, Relevance
from infraspectre.records.detection import SEVERITIES
from infraspectre.records.feed import FeedEvent

CATEGORIES = ("scan", "beacon", "tunnel", "guessing", "novelty")


def random_event(chance: random.Random, tenant: str = "default") -> FeedEvent:
    data = msgspec.Raw(msgspec.json.encode({"category": chance.choice(CATEGORIES)}))
    entities = [f"10.0.0.{chance.randrange(20)}"]
    severity = chance.choice(SEVERITIES)
    return FeedEvent(tenant, "threat", "detection.found", "x", "", severity, entities, [], chance.random(), data)


def is_worth(event: FeedEvent) -> bool:
    """An analyst who does not care for scans by the scanner, nor for novelty below high; all else is worth it."""
    category = msgspec.json.decode(event.data)["category"]
    if category == "scan":
        return event.entities[0] not in ("10.0.0.1", "10.0.0.2", "10.0.0.3")
    return category != "novelty" or event.severity in ("high", "critical")


def accuracy(relevance: Relevance, chance: random.Random) -> float:
    events = [random_event(chance) for _ in range(1_000)]
    return sum((relevance.of(each) >= 0.5) == is_worth(each) for each in events) / len(events)


@pytest.mark.parametrize("seed", range(5))
def test_it_learns_a_taste_that_producers_do_not_know(seed: int) -> None:
    chance = random.Random(seed)
    relevance = Relevance()
    before = accuracy(relevance, random.Random(1_000 + seed))
    for _ in range(300):
        event = random_event(chance)
        relevance.learn(event, is_worth(event))
    after = accuracy(relevance, random.Random(1_000 + seed))
    assert before < 0.6
    assert after > 0.85


def test_one_verdict_in_ten_that_is_wrong_does_not_spoil_it() -> None:
    chance = random.Random(7)
    relevance = Relevance()
    for _ in range(600):
        event = random_event(chance)
        relevance.learn(event, is_worth(event) != (chance.random() < 0.1))
    assert accuracy(relevance, random.Random(8)) > 0.8


def test_without_verdicts_it_is_what_producers_say_and_tenants_do_not_share() -> None:
    chance = random.Random(1)
    relevance = Relevance()
    event = random_event(chance)
    assert relevance.of(event) == event.relevance
    for _ in range(50):
        relevance.learn(random_event(chance, "other"), False)
    assert relevance.of(event) == event.relevance


def test_what_was_learnt_is_plain_data_and_bounded() -> None:
    chance = random.Random(2)
    relevance = Relevance()
    for _ in range(3_000):
        event = random_event(chance)
        relevance.learn(msgspec.structs.replace(event, entities=[str(chance.random())]), True)
    saved = msgspec.json.decode(msgspec.json.encode(relevance.save()))
    assert len(saved["tenants"]["default"]) <= BUCKETS
    again = Relevance.load(saved)
    events = [random_event(chance) for _ in range(100)]
    assert [again.of(each) for each in events] == [relevance.of(each) for each in events]
    with pytest.raises(InputError):
        Relevance.load({"verdicts": "many"})
    with pytest.raises(InputError):
        Relevance.load({"verdicts": 1, "tenants": {"default": {"99999": [0.0, 0.0]}}})


def test_hostile_records_hold_nothing_up() -> None:
    for data in (b'{"category":7}', b'[{"category":"x"}]', b'{"category":{}}'):
        event = FeedEvent("default", "custom", "x", "x", data=msgspec.Raw(data))
        relevance = Relevance()
        relevance.learn(event, True)
        assert 0 < relevance.of(event) < 1


def said(kind: str, subject: str, verdict: str, verdict_id: str, tenant: str = "default") -> FeedEvent:
    data = msgspec.Raw(msgspec.json.encode({"verdict": verdict, "verdict_id": verdict_id}))
    return FeedEvent(tenant, "threat", kind, "x", subject, data=data)


def test_a_verdict_that_is_withdrawn_is_forgotten_and_no_other() -> None:
    kept, both = Relevance(), Relevance()
    chance = random.Random(3)
    events = [msgspec.structs.replace(random_event(chance), subject=f"incident {number}") for number in range(2)]
    for learner in (Apprentice(kept), apprentice := Apprentice(both)):
        for event in events:
            learner.see(event)
        learner.see(said("verdict.given", "incident 0", "false_positive", "first"))
    apprentice.see(said("verdict.given", "incident 1", "true_positive", "second"))
    assert both.save() != kept.save()
    apprentice.see(said("verdict.withdrawn", "incident 1", "", "second", "other"))
    assert both.save() != kept.save()
    apprentice.see(said("verdict.withdrawn", "incident 1", "", "second"))
    apprentice.see(said("verdict.withdrawn", "incident 1", "", "second"))
    assert both.verdicts == kept.verdicts == 1
    assert [both.of(each) for each in events] == pytest.approx([kept.of(each) for each in events])
