from __future__ import annotations

from infraspectre.records.collections import COLLECTIONS, INCIDENTS, incident_record
from infraspectre.records.queries import held

INCIDENT = {
    "incident_id": "i1", "first_seen": "2026-01-01T00:00:00.000001Z", "last_seen": "2026-01-01T00:00:01.000000Z",
    "raised_at": "2026-01-01T00:00:00.500000Z", "title": "Beacon", "entities": ["10.0.0.1", "x.example"],
    "orig": ["10.0.0.1"], "resp": ["192.0.2.1"], "techniques": [{"id": "T1071", "name": "n", "tactic": "t"}],
    "detections": [{"category": "beacon"}, {"category": "beacon"}], "probability": 0.5,
    "threat_score": {"value": 70.0, "low": 60.0, "high": 80.0, "level": "high", "parts": {}},
}  # fmt: skip


def test_the_record_of_an_incident_has_every_field() -> None:
    record = incident_record(INCIDENT, sensor="s1")
    assert set(INCIDENTS.fields) <= set(record)
    assert record["first_seen"] == 1_767_225_600_000_001_000
    assert (record["level"], record["value"], record["status"]) == ("high", 70.0, "new")
    assert record["entities"] == ["10.0.0.1", "192.0.2.1", "x.example"]
    assert record["categories"] == ["beacon"]
    assert record["incident"] == INCIDENT
    for name, kind in INCIDENTS.fields.items():
        held(name, record[name], kind)


def test_what_people_decided_stays() -> None:
    before = incident_record(INCIDENT) | {"status": "closed", "assignee": "ann", "note": "mine"}
    after = incident_record(INCIDENT | {"title": "Grown"}, before)
    assert (after["title"], after["status"], after["assignee"], after["verdict"]) == ("Grown", "closed", "ann", "")


def test_names_of_collections_differ_and_frequent_fields_exist() -> None:
    assert len({each.name for each in COLLECTIONS}) == len(COLLECTIONS)
    assert all(set(each.frequent) <= set(each.fields) for each in COLLECTIONS)
