"""The collections of records that the platform keeps, and how an incident becomes a record."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from infraspectre.records.queries import Collection
from infraspectre.records.times import from_datetime

OWNED: dict[str, Any] = {"status": "new", "verdict": "", "assignee": ""}
"""What people decide about an incident, and what it is until they do; status is new, open or closed."""
INCIDENTS = Collection(
    "incidents",
    {
        "first_seen": "integer",
        "last_seen": "integer",
        "raised_at": "integer",
        "level": "text",
        "value": "real",
        "low": "real",
        "high": "real",
        "probability": "real",
        "status": "text",
        "verdict": "text",
        "assignee": "text",
        "title": "text",
        "entities": "texts",
        "techniques": "texts",
        "categories": "texts",
        "campaign_id": "text",
        "sensor": "text",
    },
    ("last_seen", "value", "raised_at", "level", "status", "verdict", "assignee", "sensor"),
    is_listed=True,
)
"""Times are nanoseconds since the epoch; `level`, `value`, `low` and `high` are those of the threat score."""
VERDICTS = Collection("verdicts", {"incident_id": "text", "verdict": "text", "by": "text", "at": "integer"})
USERS = Collection("users", {"name": "text", "role": "text"})
KEYS = Collection("keys", {"subject": "text", "role": "text", "expires_at": "integer"})
SESSIONS = Collection("sessions", {"user": "text", "expires_at": "integer"})
ASSETS = Collection("assets", {"network": "text", "name": "text", "criticality": "text", "roles": "texts"})
WEBHOOKS = Collection("webhooks", {"url": "text", "name": "text"})
JOBS = Collection(
    "jobs",
    {"kind": "text", "state": "text", "owner": "text", "due_at": "integer", "created_at": "integer"},
)
SAVED_VIEWS = Collection("saved_views", {"owner": "text", "name": "text", "page": "text", "readers": "texts"})
INTEGRATIONS = Collection("integrations", {"kind": "text", "name": "text"})
PROGRESS = Collection("progress")
"""How far webhooks and integrations have come."""
DEAD_LETTERS = Collection("dead_letters", {"destination": "text", "at": "integer"})
RESPONSES = Collection("responses", {"incident_id": "text", "state": "text", "due_at": "integer"})
"""What became of steps of response plans; `due_at` is when what a step changed has to be undone, 0 for nothing."""
INTELLIGENCE = Collection("intelligence", {"name": "text", "at": "integer"})
"""What was imported of threat intelligence; the contents stand apart."""
INTELLIGENCE_CONTENTS = Collection("intelligence_contents")
EVIDENCE = Collection("evidence", {"state": "text", "expires_at": "integer", "hosts": "texts"})
"""Which packets there are of incidents; the packets stand apart."""
RULES = Collection("rules")
"""Which rules somebody has switched off or on."""
SENSORS = Collection("sensors", {"name": "text", "state": "text", "seen_at": "integer"})
TENANTS = Collection("tenants", {"name": "text"})
IDEMPOTENCY = Collection("idempotency", {"expires_at": "integer"})
COLLECTIONS = (
    INCIDENTS, VERDICTS, USERS, KEYS, ASSETS, WEBHOOKS, JOBS, SAVED_VIEWS, INTEGRATIONS, SENSORS, TENANTS, IDEMPOTENCY,
    SESSIONS, PROGRESS, DEAD_LETTERS, RESPONSES, RULES, INTELLIGENCE,
    INTELLIGENCE_CONTENTS, EVIDENCE,
)  # fmt: skip


def incident_record(
    incident: Mapping[str, Any], before: Mapping[str, Any] | None = None, sensor: str = ""
) -> dict[str, Any]:
    """Return the record of an object of `incidents.jsonl`; what people decided in the record before stays."""
    score = incident["threat_score"]
    times = {name: _nanoseconds(incident[name]) for name in ("first_seen", "last_seen", "raised_at")}
    found: dict[str, Any] = {
        **times,
        **{name: score[name] for name in ("level", "value", "low", "high")},
        **{name: (before or OWNED).get(name, unset) for name, unset in OWNED.items()},
        "probability": incident["probability"],
        "title": incident["title"],
        "entities": sorted({*incident["entities"], *incident["orig"], *incident["resp"]}),
        "techniques": sorted({each["id"] for each in incident["techniques"]}),
        "categories": sorted({each["category"] for each in incident["detections"]}),
        "campaign_id": incident.get("campaign_id", ""),
        "sensor": sensor,
    }
    return found | {"incident": dict(incident)}


def _nanoseconds(written: str) -> int:
    return from_datetime(datetime.fromisoformat(written))
