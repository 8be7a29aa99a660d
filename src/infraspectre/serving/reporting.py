"""Reports about incidents as they are kept."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from infraspectre import __version__
from infraspectre.records import SCHEMA_VERSION, Decision, Summary
from infraspectre.records.times import rfc3339
from infraspectre.records.words import plural


def recorded_decision(body: bytes) -> tuple[Decision, int]:
    """Return the decision that a record of an incident holds, and how many of its detections were not kept with it.

    Raises InputError for a record that is damaged.
    """
    from infraspectre.adapters.results import decision_of, detection_of
    from infraspectre.errors import InputError

    try:
        record = msgspec.json.decode(body)
        known = {each["detection_id"]: detection_of(each) for each in record.get("detections", ())}
        told = record["incident"]["detections"]
        kept = [each for each in told if each["detection_id"] in known]
        return decision_of(record["incident"] | {"detections": kept}, known), len(told) - len(kept)
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"is no whole incident: {error}", field="incident") from error


def decision_of_record(body: bytes) -> Decision:
    """Return the decision of a record, whose summary says what of its evidence is missing; raises InputError."""
    decision, missing = recorded_decision(body)
    if not missing:
        return decision
    said = f"{decision.explanation.summary} The evidence of {plural(missing, 'detection')} was not kept with it."
    return replace(decision, explanation=replace(decision.explanation, summary=said))


def incidents_pdf(bodies: Sequence[bytes]) -> bytes:
    """Return a report about incidents as PDF; raises UsageError where typst is not installed."""
    from infraspectre.report.pdf import pdf

    decisions = [decision_of_record(body) for body in bodies]
    return pdf(summary_of(decisions), decisions)


def incident_html(body: bytes) -> bytes:
    """Return a report about an incident as one page that loads nothing."""
    from infraspectre.report import FlowStatistics
    from infraspectre.report.render import html

    decision = decision_of_record(body)
    text = html(summary_of([decision]), [decision], decision.incident.detections, FlowStatistics())
    return text.encode("utf-8", "replace")


def summary_of(decisions: Sequence[Decision]) -> Summary:
    """Return what there is to say about the traffic behind incidents, which is their span alone."""
    spans = [(each.incident.first_seen, each.incident.last_seen) for each in decisions]
    return Summary(
        packets=0,
        bytes=0,
        flows=0,
        without_flow={},
        malformed={},
        unreadable={},
        shed={},
        ambiguous_fragment_bytes=0,
        alerts=0,
        detections=sum(each.incident.detection_count for each in decisions),
        incidents=len(decisions),
        capture_start=rfc3339(min(start for start, _ in spans)) if spans else None,
        capture_end=rfc3339(max(end for _, end in spans)) if spans else None,
        elapsed_s=0.0,
        cpu_s=0.0,
        peak_rss_bytes=0,
        version=__version__,
        schema_version=SCHEMA_VERSION,
    )
