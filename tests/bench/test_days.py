"""The comparison of incidents with what a simulated day was made to show."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from benches.days import Attack, Day, Outcome, Played, completeness, outcome

from findings import SECOND, START, correlated, finding
from infraspectre.records import Decision
from infraspectre.records.times import rfc3339
from infraspectre.reflex import Reflex

ATTACKER, VICTIM = "10.0.0.9", "10.0.0.5"


def attack(
    techniques: Sequence[str] = ("T1046",),
    *,
    begin: float = 0,
    end: float = 600,
    campaign: str = "",
    **parts: list[str],
) -> Attack:
    return Attack.of(
        {
            "name": "scan", "category": "scan", "campaign": campaign, "techniques": techniques, "parameters": {},
            "attackers": [ATTACKER], "victims": [VICTIM], "control_servers": [],
            "started_at": rfc3339(START + int(begin * SECOND)), "ended_at": rfc3339(START + int(end * SECOND)),
        }
        | parts
    )  # fmt: skip


def raised(*targets: str, at: float = 300, techniques: tuple[str, ...] = ("T1046",)) -> list[Decision]:
    found = [
        finding(number, resp=target, at=at + number, techniques=techniques, severity="high")
        for number, target in enumerate(targets or (VICTIM,))
    ]
    return [Reflex().decide(each) for each in correlated(found)]


def test_an_incident_that_names_attacker_and_technique_in_time_is_strict() -> None:
    judged = outcome(attack(), raised())
    assert (judged.is_found, judged.is_named, judged.technique) == (True, True, 1.0)
    assert judged.delay_s == 300


@pytest.mark.parametrize(
    ("technique", "worth"), [("T1110.001", 1.0), ("T1110.003", 0.5), ("T1110", 0.5), ("T1046", 0.0)]
)
def test_a_relative_of_the_technique_counts_half_and_is_not_strict(technique: str, worth: float) -> None:
    judged = outcome(attack(["T1110.001"]), raised(techniques=(technique,)))
    assert (judged.technique, judged.is_named) == (worth, worth == 1.0)


def test_naming_the_victim_alone_is_loose() -> None:
    judged = outcome(attack(attackers=["203.0.113.9"]), raised())
    assert (judged.is_found, judged.is_named) == (True, False)


def test_an_incident_of_another_time_or_of_others_is_not_about_an_attack() -> None:
    assert not outcome(attack(begin=7200, end=7300), raised()).is_found
    assert not outcome(attack(), raised(at=600 + 1_801)).is_found
    assert not outcome(attack(attackers=["203.0.113.9"], victims=["203.0.113.10"]), raised()).is_found


def test_naming_everybody_is_not_strict() -> None:
    (decision,) = raised()
    everybody = [ATTACKER, *(f"10.0.1.{number}" for number in range(1, 30))]
    named = msgspec.structs.replace(decision.incident, entities=everybody)
    judged = outcome(attack(), [msgspec.structs.replace(decision, incident=named)])
    assert (judged.is_found, judged.is_named) == (True, False)


def test_a_campaign_is_complete_if_one_story_holds_all_its_stages() -> None:
    stage = attack(campaign="one")
    joined = [Outcome(stage, True, True, 1.0, frozenset({story}), 1.0) for story in ("a", "a", "b")]
    missed = Outcome(stage, False, False, 0.0, frozenset(), None)
    day = Played(Day(0, 10, 1, 4), [*joined, missed], [], 2, 3, 1, 0.1)
    assert list(completeness([day])) == [0.5]
