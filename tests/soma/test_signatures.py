"""Alerts become detections: when, about whom, how severe, and on which evidence."""

from __future__ import annotations

from typing import Any

import pytest

from flow_rows import flow, frame
from infraspectre.records import Detection, Technique
from infraspectre.soma import Signatures
from signature_fakes import alert

RAISED_NS = 1_700_000_000_000_000_000
"""When the alerts of the doubles are raised."""


def found(*alerts: dict[str, Any]) -> list[Detection]:
    return Signatures(alerts).finish()


def about(sid: int = 7, **rule: Any) -> dict[str, Any]:
    raised = alert(sid)
    return raised | {"alert": raised["alert"] | rule}


def test_an_alert_is_a_detection_with_its_evidence() -> None:
    (one,) = found(about(7, metadata={"mitre_technique_id": ["T1190"], "confidence": ["High"]}))
    assert (one.detector, one.category, one.severity, one.score) == ("signatures", "signature", "high", 0.75)
    assert (one.orig, one.resp, one.flow_ids, one.at) == ("10.0.0.1", "10.0.0.2", [77], RAISED_NS)
    assert one.techniques == [Technique("T1190", "Exploit Public-Facing Application")]
    assert one.evidence.packets == [1]
    assert one.evidence.examples == ["rule 7"]
    assert one.evidence.measures == {"flows": 1, "alerts": 1, "gid": 1, "sid": 7, "priority": 1}
    assert one.evidence.summary == "rule 1:7 (rule 7) raised 1 alert between 10.0.0.1 and 10.0.0.2"


@pytest.mark.parametrize(
    ("rule", "severity"),
    [
        ({"severity": 1}, "high"),
        ({"severity": 1, "metadata": {"confidence": ["Low"]}}, "medium"),
        ({"severity": 2}, "medium"),
        ({"severity": 3}, "low"),
        ({"severity": 4}, "informational"),
        ({"severity": 0}, "informational"),
    ],
)
def test_priority_and_confidence_make_the_severity(rule: dict[str, Any], severity: str) -> None:
    assert [one.severity for one in found(about(**rule))] == [severity]


def test_alerts_of_one_rule_between_two_hosts_are_one_detection() -> None:
    raised = [alert(7), alert(7, flow_id=78), alert(7, flow_id=78), alert(7, dest_ip="10.0.0.3"), alert(8)]
    counts = [(one.resp, one.evidence.measures["sid"], one.evidence.measures["alerts"]) for one in found(*raised)]
    assert counts == [("10.0.0.2", 7, 3), ("10.0.0.3", 7, 1), ("10.0.0.2", 8, 1)]
    assert found(*raised)[0].evidence.measures["flows"] == 2


def test_hosts_are_called_as_flows_call_them() -> None:
    (one,) = found(alert(7, src_ip="2001:0db8:0000:0000:0000:0000:0000:0001", dest_ip="fe80:0000:0000:0000::2"))
    assert (one.orig, one.resp) == ("2001:db8::1", "fe80::2")


def test_rules_that_match_in_one_packet_are_told_apart() -> None:
    assert len({one.detection_id for one in found(alert(7), alert(8))}) == 2


def test_the_direction_is_that_of_the_flow() -> None:
    answer = alert(7, src_ip="10.0.0.2", dest_ip="10.0.0.1")
    (one,) = found(answer | {"direction": "to_client"})
    (other,) = found(answer | {"flow": {"src_ip": "10.0.0.1", "dest_ip": "10.0.0.2"}})
    assert (one.orig, one.resp) == (other.orig, other.resp) == ("10.0.0.1", "10.0.0.2")


def test_a_packet_without_addresses_is_no_problem() -> None:
    bare = {key: value for key, value in alert(7).items() if key not in ("src_ip", "dest_ip", "flow_id", "pcap_cnt")}
    (one,) = found(bare)
    assert (one.orig, one.resp, one.flow_ids, one.evidence.packets) == (None, None, [], [])


def test_unknown_techniques_are_called_as_the_rule_calls_them() -> None:
    metadata = {"mitre_technique_id": ["T9999", "T9998"], "mitre_technique_name": ["New_Trick"]}
    (one,) = found(about(metadata=metadata))
    assert one.techniques == [Technique("T9999", "New Trick"), Technique("T9998", "T9998")]


def test_alerts_are_told_when_the_flows_have_reached_their_time() -> None:
    detector = Signatures([alert(7), alert(8, timestamp="2023-11-14T22:13:22.000000+0000")])
    second = 1_000_000_000
    reached = [frame([flow(started_at=at, ended_at=at)]) for at in (RAISED_NS - second, RAISED_NS + second)]
    told = [[one.evidence.measures["sid"] for one in detector.detect(block)] for block in reached]
    assert told == [[], [7]]
    assert [one.evidence.measures["sid"] for one in detector.finish()] == [8]
