from __future__ import annotations

import msgspec
import pytest

from findings import START, correlated, finding
from infraspectre.records import Asset, Escalation, Incident, Level
from infraspectre.reflex.escalation import EscalationRule, escalations, load_escalation

RULES = load_escalation(None)
HOUR = 3_600 * 1_000_000_000


def incident(at: int = START, criticality: Level | None = None) -> Incident:
    assets = {"10.0.0.5": Asset("10.0.0.5", "db", "Ops", criticality)}
    return msgspec.structs.replace(correlated([finding(1)])[0], raised_at=at, assets=assets)


def told(found: list[Escalation]) -> dict[str, int]:
    return {each.to: each.within_minutes for each in found}


def test_low_levels_disturb_nobody() -> None:
    assert escalations(RULES, incident(), "low") == []


def test_the_shortest_time_counts_for_each_addressee() -> None:
    found = told(escalations(RULES, incident(criticality="critical"), "critical"))
    assert found["analyst on duty"] == 15
    assert found["head of incident response"] == 30
    assert found["owner of the asset"] == 240


def test_an_important_asset_raises_whom_to_tell() -> None:
    assert "owner of the asset" not in told(escalations(RULES, incident(criticality="low"), "medium"))
    assert "owner of the asset" in told(escalations(RULES, incident(criticality="high"), "medium"))


def test_at_night_the_person_on_call_is_told() -> None:
    noon = START - START % (24 * HOUR) + 12 * HOUR  # a Thursday
    assert "person on call" not in told(escalations(RULES, incident(noon), "high"))
    assert "person on call" in told(escalations(RULES, incident(noon + 10 * HOUR), "high"))
    assert "person on call" in told(escalations(RULES, incident(noon + 48 * HOUR), "high"))


def test_a_time_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="less than 1"):
        EscalationRule("me", 0)
