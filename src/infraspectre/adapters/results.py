"""Results as the JSON files that `analyze` writes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from infraspectre.files import whole_file
from infraspectre.records import Decision, Detection
from infraspectre.records.times import rfc3339

REFERENCE = ("detection_id", "detector", "category", "flow_ids", "score")
"""What an incident says of its detections; the rest stands in `detections.jsonl`."""


def detection_object(detection: Detection) -> dict[str, Any]:
    """Return a detection as a line of `detections.jsonl`."""
    found: dict[str, Any] = msgspec.to_builtins(detection)
    return found | {key: rfc3339(found[key]) for key in ("at", "first_seen", "last_seen")}


def incident_object(decision: Decision) -> dict[str, Any]:
    """Return a decided incident as a line of `incidents.jsonl`."""
    judged: dict[str, Any] = msgspec.to_builtins(decision)
    incident: dict[str, Any] = judged.pop("incident")
    incident["detections"] = [{key: found[key] for key in REFERENCE} for found in incident["detections"]]
    if incident["campaign_id"] is None:
        del incident["campaign_id"]
    return incident | {key: rfc3339(incident[key]) for key in ("first_seen", "last_seen", "raised_at")} | judged


def write_lines(path: Path, objects: Iterable[Any]) -> None:
    """Write objects as JSON, one on a line; the file appears whole or not at all."""
    with whole_file(path) as file:
        for value in objects:
            file.write(msgspec.json.encode(value) + b"\n")


def json_document(value: Any) -> bytes:
    """Return a value as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
