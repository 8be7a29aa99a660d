"""Results as the JSON files that `analyze` writes, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from infraspectre.errors import InputError
from infraspectre.files import whole_file
from infraspectre.records import Decision, Detection, Summary
from infraspectre.records.times import from_datetime, rfc3339

REFERENCE = ("detection_id", "detector", "category", "flow_ids", "score")
"""What an incident says of its detections; the rest stands in `detections.jsonl`."""
DETECTION_TIMES = ("at", "first_seen", "last_seen")
INCIDENT_STEPS = ("joins", "kill_chain")
"""Lists in an incident whose items say when."""
INCIDENT_TIMES = ("first_seen", "last_seen", "raised_at", "detected_at")
JUDGED = ("threat_score", "probability", "explanation", "response_plan")
"""What a decision adds to its incident."""


class Results(NamedTuple):
    """Holds what an analysis found, as its folder keeps it."""

    summary: Summary
    decisions: list[Decision]
    detections: list[Detection]


def detection_object(detection: Detection) -> dict[str, Any]:
    """Return a detection as a line of `detections.jsonl`."""
    found: dict[str, Any] = msgspec.to_builtins(detection)
    return found | {key: rfc3339(found[key]) for key in DETECTION_TIMES}


def incident_object(decision: Decision) -> dict[str, Any]:
    """Return a decided incident as a line of `incidents.jsonl`."""
    judged: dict[str, Any] = msgspec.to_builtins(decision)
    incident: dict[str, Any] = judged.pop("incident")
    incident["detections"] = [{key: found[key] for key in REFERENCE} for found in incident["detections"]]
    for absent in ("campaign_id", "merged_into", "detected_at"):
        if incident[absent] is None:
            del incident[absent]
    for name in INCIDENT_STEPS:
        incident[name] = [each | {"at": rfc3339(each["at"])} for each in incident[name]]
    return incident | {key: rfc3339(incident[key]) for key in INCIDENT_TIMES if key in incident} | judged


def read_results(folder: Path) -> Results:
    """Read what an analysis wrote into a folder; raises InputError naming file and line."""
    summary = read_summary(folder / "summary.json")
    detections = list(read_lines(folder / "detections.jsonl", detection_of))
    known = {each.detection_id: each for each in detections}
    decisions = read_lines(folder / "incidents.jsonl", lambda line: decision_of(line, known))
    return Results(summary, list(decisions), detections)


def read_summary(path: Path) -> Summary:
    """Read the account of an analysis; raises InputError for a folder that holds none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Summary)
    except OSError as error:
        remedy = "name a folder that 'infraspectre analyze' has written"
        raise InputError(error.strerror or str(error), path=path, remedy=remedy) from error
    except msgspec.MsgspecError as error:
        raise InputError(str(error), path=path) from error


Read = TypeVar("Read")


def read_lines(path: Path, read: Callable[[dict[str, Any]], Read]) -> Iterator[Read]:
    """Yield what is read from each line of a file of JSON objects; raises InputError naming file and line."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                yield _read_line(path, number, line, read)
    except OSError as error:
        raise InputError(error.strerror or str(error), path=path) from error


def _read_line(path: Path, number: int, line: bytes, read: Callable[[dict[str, Any]], Read]) -> Read:
    try:
        return read(msgspec.json.decode(line, type=dict[str, Any]))
    except (msgspec.MsgspecError, ValueError, KeyError, TypeError) as error:
        missing = f"has no {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(missing, path=path, line=number) from error


def detection_of(line: dict[str, Any]) -> Detection:
    """Return the detection of a line of `detections.jsonl`; raises ValueError or KeyError."""
    return msgspec.convert(line | _times(line, DETECTION_TIMES), Detection)


def decision_of(line: dict[str, Any], known: Mapping[str, Detection]) -> Decision:
    """Return the decision of a line of `incidents.jsonl`, with the known detections; raises ValueError or KeyError."""
    judged = {key: line[key] for key in JUDGED}
    incident = {key: value for key, value in line.items() if key not in JUDGED}
    steps = {name: [each | _times(each, ("at",)) for each in line.get(name, ())] for name in INCIDENT_STEPS}
    times = _times(line, [name for name in INCIDENT_TIMES if name != "detected_at" or name in line])
    whole = incident | times | steps | {"detections": []}
    decision = msgspec.convert({"incident": whole, **judged}, Decision)
    detections = [known[each["detection_id"]] for each in line["detections"]]
    return msgspec.structs.replace(decision, incident=msgspec.structs.replace(decision.incident, detections=detections))


def _times(line: Mapping[str, Any], names: Iterable[str]) -> dict[str, int]:
    return {name: from_datetime(datetime.fromisoformat(str(line[name]))) for name in names}


def write_lines(path: Path, objects: Iterable[Any]) -> None:
    """Write objects as JSON, one on a line; the file appears whole or not at all."""
    with whole_file(path) as file:
        for value in objects:
            file.write(msgspec.json.encode(value) + b"\n")


def json_document(value: Any) -> bytes:
    """Return a value as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
