from __future__ import annotations

import math

import msgspec

from findings import SECOND, START, correlated, finding
from infraspectre.intel.assets import Assets
from infraspectre.records import Asset, Decision, Detection
from infraspectre.reflex import Reflex


def decide(*detections: Detection, assets: Assets | None = None) -> Decision:
    (incident,) = correlated(detections, assets)
    return Reflex().decide(incident)


CHAIN = (
    finding(2, category="ssh_brute_force", severity="high", at=60, techniques=("T1110.001",)),
    finding(1, severity="low", at=90),
    finding(3, "10.0.0.5", "10.0.0.7", category="lateral_movement", at=120, techniques=("T1021.002",)),
)


def test_every_sentence_carries_evidence() -> None:
    many = [finding(n + 10, resp=f"10.0.1.{n}", category=f"web attack {n}", at=n) for n in range(40)]
    decision = decide(*CHAIN, *many, assets=Assets([Asset("10.0.0.5", "db", "Ops", "high")]))
    steps = decision.explanation.steps
    known = {each.detection_id for each in decision.incident.detections}
    assert len(steps) > 20
    assert all(step.detection_ids and step.flow_ids and set(step.detection_ids) <= known for step in steps)
    text = " ".join(step.text for step in steps)
    assert "10.0.0.5 is db, owned by Ops, of high importance." in text
    assert "10.0.0.5 was first a target (SSH brute force) and then acted itself (Lateral movement)" in text
    assert "further findings belong to this incident" in text


def test_attributions_sum_to_the_value() -> None:
    decision = decide(*CHAIN)
    assert math.isclose(sum(each.points for each in decision.explanation.attributions), decision.threat_score.value)


def test_the_summary_holds_the_figures() -> None:
    summary = decide(*CHAIN).explanation.summary
    assert summary.startswith("3 findings by 3 detectors, resting on 36 flows within 60.0 s, give the level ")
    assert summary.endswith("the aims are Credential Access and Lateral Movement.")


def test_raised_at_is_when_the_level_was_reached() -> None:
    assert decide(*CHAIN[:2]).incident.raised_at == START + 60 * SECOND
    assert decide(finding(1), finding(2, at=9, score=0.1, severity="informational")).incident.raised_at == START


def test_detected_at_is_when_medium_was_reached_whatever_came_later() -> None:
    grave = finding(2, severity="high", at=3_600, lasting=3_540)
    tunnel = decide(finding(1, severity="low"), finding(2, at=60), grave).incident
    assert (tunnel.detected_at, tunnel.raised_at) == (START + 60 * SECOND, START + 3_600 * SECOND)
    assert decide(finding(1, severity="low")).incident.detected_at is None


def test_two_incidents_that_become_one_were_detected_with_the_first() -> None:
    later = finding(2, "c", "d", category="lateral_movement", at=120.0)
    link = finding(3, "a", "c", category="web_attack", at=60.0, severity="high")
    assert decide(finding(1, "a", "b"), later, link).incident.detected_at == START


def test_the_same_incident_is_judged_the_same() -> None:
    assert msgspec.json.encode(decide(*CHAIN)) == msgspec.json.encode(decide(*CHAIN))


def test_a_detection_without_a_sentence_is_named() -> None:
    bare = msgspec.structs.replace(finding(1), evidence=msgspec.structs.replace(finding(1).evidence, summary=""))
    assert decide(bare).explanation.steps[0].text.endswith(": Port scan was seen.")


def test_nothing_counts_as_nothing() -> None:
    assert decide(finding(1, severity="informational", score=0.0)).threat_score.value == 0.0
