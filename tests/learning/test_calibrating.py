from __future__ import annotations

import random

import msgspec

from findings import finding
from infraspectre.intel.calibration import Calibration
from infraspectre.learning.calibrating import Example, judged, learn, likelihood
from infraspectre.records import Level
from infraspectre.reflex.likelihood import interval


def day(number: int, *, attacks: float = 0.5) -> list[Example]:
    """Draw the incidents of a day: attacks score higher, and benign ones are mostly beacons."""
    rng = random.Random(number)
    examples = []
    for place in range(20):
        is_attack = rng.random() < attacks
        score = min(1.0, max(0.0, rng.gauss(0.75 if is_attack else 0.5, 0.15)))
        level: Level = "medium" if score > 0.4 else "low"
        told = finding(
            place,
            category=rng.choice(["beacon", "port_scan"]),
            severity=level,
            score=score,
            lasting=3600 * rng.random(),
        )
        examples.append(Example(f"day/{number}", level, [told], is_attack, {told.detection_id} if is_attack else set()))
    return examples


def shares(learnt: Calibration, examples: list[Example]) -> tuple[float, float]:
    """Return how often intervals hold the outcomes of attacks, and of others."""
    held: tuple[list[bool], list[bool]] = [], []
    for each in examples:
        likely = likelihood(each, learnt)
        low, high = interval(100 * likely, likely, judged(each, learnt), each.level, learnt, 0.0)
        held[0 if each.is_attack else 1].append(high == 100 if each.is_attack else low == 0)
    return sum(held[0]) / len(held[0]), sum(held[1]) / len(held[1])


DAYS = [each for number in range(30) for each in day(number)]


def test_intervals_hold_as_stated_on_later_days_of_attacks_and_of_others() -> None:
    attacks, others = shares(learn(DAYS), [each for number in range(100, 160) for each in day(number)])
    assert 0.86 <= attacks <= 0.94
    assert 0.86 <= others <= 0.94


def test_they_hold_however_rare_attacks_are() -> None:
    attacks, others = shares(learn(DAYS), [each for number in range(100, 160) for each in day(number, attacks=0.1)])
    assert 0.84 <= attacks <= 0.96
    assert 0.86 <= others <= 0.94


def test_learning_is_reproducible_and_what_is_learnt_is_data() -> None:
    learnt = learn(DAYS)
    assert learn(DAYS) == learnt
    assert msgspec.json.decode(msgspec.json.encode(learnt), type=Calibration) == learnt


def test_families_that_are_often_right_are_more_probable() -> None:
    right = [
        msgspec.structs.replace(each, is_attack=True, true_detections={d.detection_id for d in each.detections})
        if each.detections[0].category == "port_scan"
        else each
        for each in DAYS
    ]
    learnt = learn(right)
    assert learnt.probability("port_scan", 0.6) > learnt.probability("beacon", 0.6)
