"""What would change the verdict is what the score itself says without a finding, or with more known."""

from __future__ import annotations

from collections.abc import Sequence

from findings import finding
from infraspectre.records import Asset, Detection, Incident, Level
from infraspectre.reflex.counterfactual import changes
from infraspectre.reflex.score import ReflexSettings, threat_score


def judge(incident: Incident, detections: Sequence[Detection]) -> Level:
    return threat_score(incident, detections, ReflexSettings()).level


def incident(*found: Detection, assets: dict[str, Asset] | None = None) -> Incident:
    return Incident("i", 0, 1, 1, "t", ["10.0.0.9", "10.0.0.5"], [], [], [], list(found), assets=assets or {})


STRONG = finding(1, detector="scan", severity="high", score=0.9)
WEAK = finding(2, detector="beacon", severity="low", score=0.4)


def test_the_finding_on_which_the_level_hangs_is_named() -> None:
    said = changes(incident(STRONG, WEAK), judge)
    assert said[0].text == "Without what scan found, the level would be low."
    assert said[0].detection_ids == [STRONG.detection_id]
    assert not any("beacon" in each.text for each in said)


def test_an_incident_that_hangs_on_nobody_says_so() -> None:
    sure = [finding(n, detector=name, severity="critical", score=0.9) for n, name in enumerate(("scan", "flood"), 3)]
    said = changes(incident(*sure, WEAK), judge)
    assert said[0].text.startswith("The level would stay ")


def test_an_incident_of_one_detector_hangs_on_it() -> None:
    assert "nothing is left" in changes(incident(STRONG), judge)[0].text


def test_importance_that_nobody_told_is_asked_for_where_it_matters() -> None:
    texts = [each.text for each in changes(incident(STRONG), judge)]
    reached = judge(incident(STRONG, assets={"10.0.0.9": Asset("10.0.0.9", criticality="critical")}), [STRONG])
    assert any(text.startswith("If 10.0.0.9 were") and reached in text for text in texts)
    known = {name: Asset(name, criticality="low") for name in ("10.0.0.9", "10.0.0.5")}
    assert not any("importance" in each.text for each in changes(incident(STRONG, assets=known), judge))
