from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from findings import correlated, finding
from infraspectre.records import Asset, Detection, Incident
from infraspectre.records.detection import SEVERITIES
from infraspectre.reflex import ReflexSettings
from infraspectre.reflex.evidence import distinct_flows, follow_up
from infraspectre.reflex.score import Thresholds, Weights, strength, threat_score

SETTINGS = ReflexSettings()
LEARNED = ReflexSettings(scorer="learned")
HOSTS = ("10.0.0.1", "10.0.0.2", "10.0.0.3", None)

detections = st.builds(
    finding,
    st.integers(1, 10**6),
    st.sampled_from(HOSTS),
    st.sampled_from(HOSTS),
    category=st.sampled_from(["port_scan", "beacon", "signature", "ssh_brute_force", "anomaly", "exfiltration"]),
    detector=st.sampled_from(["one", "two", "three", "four"]),
    severity=st.sampled_from(SEVERITIES),
    score=st.floats(0, 1),
    at=st.integers(0, 1000),
)


def incident_of(*joined: Detection) -> Incident:
    """Join detections by force, whatever they share."""
    return msgspec.structs.replace(correlated(joined[:1])[0], detections=list(joined))


def value(*told: Detection, assets: dict[str, Asset] | None = None, settings: ReflexSettings = SETTINGS) -> float:
    incident = msgspec.structs.replace(incident_of(*told), assets=assets or {})
    return threat_score(incident, incident.detections, settings).value


@settings(deadline=None)
@given(st.lists(detections, min_size=1, max_size=8), detections)
def test_one_more_detection_never_lowers_the_score(told: list[Detection], more: Detection) -> None:
    assert value(*told, more) >= value(*told)
    assert value(*told, more, settings=LEARNED) >= value(*told, settings=LEARNED)


@settings(deadline=None)
@given(st.lists(detections, min_size=1, max_size=6), st.sampled_from(SEVERITIES), st.floats(0, 1))
def test_a_severer_detection_never_lowers_the_score(told: list[Detection], severity: str, score: float) -> None:
    first = told[0]
    worse = msgspec.structs.replace(
        first, severity=max(first.severity, severity, key=SEVERITIES.index), score=max(first.score, score)
    )
    assert value(worse, *told[1:]) >= value(*told)
    assert value(worse, *told[1:], settings=LEARNED) >= value(*told, settings=LEARNED)


@settings(deadline=None)
@given(st.lists(detections, min_size=1, max_size=8))
def test_interval_parts_and_level_agree_with_the_value(told: list[Detection]) -> None:
    score = threat_score(incident_of(*told), told, SETTINGS)
    assert 0 <= score.low <= score.value <= score.high <= 100
    assert math.isclose(sum(score.parts.values()), score.value, abs_tol=1e-6)
    assert score.level == SETTINGS.thresholds.level(score.value)


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("score", [0.0, 0.5, 0.99])
def test_a_lone_behavioural_detection_reaches_its_own_level(severity: str, score: float) -> None:
    lone = finding(1, severity=severity, score=score)  # type: ignore[arg-type]
    assert SETTINGS.thresholds.level(value(lone)) == severity


def test_behaviour_alone_reaches_high() -> None:
    chain = [
        finding(1, "a", "b"),
        finding(2, "a", "b", category="ssh_brute_force"),
        finding(3, "b", "c", category="lateral_movement"),
    ]
    assert SETTINGS.thresholds.level(value(*chain)) == "high"


def test_many_weak_findings_of_one_detector_do_not_add_up() -> None:
    weak = [finding(n, category="anomaly", severity="low") for n in range(100)]
    assert value(*weak) == value(weak[0])


def test_a_known_important_host_adds_and_an_unknown_one_does_not() -> None:
    important = {"10.0.0.5": Asset("10.0.0.5", criticality="critical")}
    unrated = {"10.0.0.5": Asset("10.0.0.5", "db")}
    assert value(finding(1), assets=important) > value(finding(1), assets=unrated) == value(finding(1))


def test_levels_begin_at_their_thresholds() -> None:
    levels = [Thresholds().level(value) for value in (0, 29.9, 30, 60, 85, 95, 100)]
    assert levels == ["informational", "informational", "low", "medium", "high", "critical", "critical"]


def test_weights_are_settings() -> None:
    told = [finding(1), finding(2, category="beacon")]
    light = ReflexSettings(weights=Weights(correlation=0.0))
    assert threat_score(incident_of(*told), told, light).value < threat_score(incident_of(*told), told, SETTINGS).value


def test_a_score_outside_its_range_is_taken_to_the_nearest() -> None:
    assert strength(finding(1, score=7.0), Thresholds()) == strength(finding(1, score=1.0), Thresholds())


def test_follow_up_needs_another_kind_of_activity() -> None:
    hit, back, acts = finding(1, "a", "b"), finding(2, "b", "a", at=5), finding(3, "b", "c", category="beacon", at=9)
    assert follow_up([hit, back]) is None
    assert follow_up([hit, back, acts]) == (hit, acts)


def test_what_a_host_did_before_it_was_hit_does_not_follow_from_it() -> None:
    hit, always = finding(1, "a", "b", at=50), finding(2, "b", "c", category="beacon", at=90, lasting=80)
    assert follow_up([hit, always]) is None


def test_a_flow_that_several_detections_list_counts_once() -> None:
    shared = [msgspec.structs.replace(finding(n), flow_ids=[1, 2, 3]) for n in range(4)]
    assert distinct_flows(shared) == 3 + 4 * (12 - 3)
