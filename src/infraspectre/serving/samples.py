"""Samples: the bytes that an incident and a detection become for a kind of receiver, with nothing sent."""

from __future__ import annotations

import msgspec

from infraspectre.adapters.outgoing import outgoing_client
from infraspectre.adapters.webhooks import body_of
from infraspectre.records.delivery import Destination, Format, Outgoing, Program, Told
from infraspectre.records.detection import Detection, Evidence, Technique
from infraspectre.records.events import Position
from infraspectre.records.feed import FeedEvent
from infraspectre.records.incident import (
    Attribution,
    Decision,
    Explanation,
    Incident,
    ResponsePlan,
    ResponseStep,
    Statement,
    TacticTechnique,
    ThreatScore,
)
from infraspectre.serving.destinations import sender_of
from infraspectre.serving.outbox import told_of
from infraspectre.serving.outlets import detection_event, incident_event

OPTIONS = {name: name.upper() for name in ("directory", "client", "rule", "stream")}
BEGIN, END = 1_767_225_600_000_000_000, 1_767_229_200_123_456_789
ORIG, RESP = "192.0.2.5", "198.51.100.7"
TELLS = f"{ORIG} called {RESP} every 60 s, 1% jitter, 60 times"
DETECTION = Detection(
    detection_id="4d1c5e0a9b7f3e2d6c81",
    at=END,
    detector="beacon",
    category="command-and-control",
    severity="high",
    score=0.93,
    probability=0.81,
    flow_ids=[1_001, 1_002, 1_003],
    orig=ORIG,
    resp=RESP,
    techniques=[Technique("T1071.001", "Web Protocols")],
    evidence=Evidence(TELLS, {"flows": 60.0, "period_s": 60.0}, packets=[17, 64]),
    first_seen=BEGIN,
    last_seen=END,
)
DECISION = Decision(
    incident=Incident(
        incident_id="9a0f6b2c7d1e4f3a8b5c",
        first_seen=BEGIN,
        last_seen=END,
        raised_at=END,
        title=f"Command and control: {ORIG} calls {RESP}",
        entities=[ORIG, RESP],
        orig=[ORIG],
        resp=[RESP],
        techniques=[TacticTechnique("T1071.001", "Web Protocols", "command-and-control")],
        detections=[DETECTION],
        detection_count=1,
        entity_count=2,
    ),
    threat_score=ThreatScore(81.5, 74.0, 88.0, "high"),
    probability=0.81,
    explanation=Explanation(
        TELLS,
        [Statement(TELLS, [1_001, 1_002, 1_003], detection_ids=[DETECTION.detection_id])],
        [Attribution("beacon", 81.5)],
    ),
    response_plan=ResponsePlan("command-and-control", "high", [ResponseStep(f"Isolate {ORIG}", "contain", ORIG)]),
)


def sample_of(kind: Program, chosen: Format) -> bytes:
    """Return an incident and a detection as a receiver is sent them in one batch; a webhook is sent one by one."""
    events = [
        placed(incident_event("default", DECISION, "", is_new=True), 42),
        placed(detection_event("default", DETECTION, ""), 43),
    ]
    if kind == "webhook":
        return b"\n".join(map(body_of, events))
    scheme = "tls" if kind in ("syslog", "qradar") else "https"
    url = f"{scheme}://receiver.example"
    asked = Destination(key="x", kind=kind, name="x", url=url, created_at=0, format=chosen, options=OPTIONS)
    with outgoing_client() as client:
        sender = sender_of(client, (), asked, "")
        return sender.body(sender.parts(events))


def placed(event: FeedEvent, sequence: int) -> Outgoing:
    """Return an event as the feed tells it from a place."""
    told = Told(**msgspec.structs.asdict(event), position=str(Position("1a2b3c4d", sequence)))
    return told_of(msgspec.json.encode(told).decode()).outgoing
