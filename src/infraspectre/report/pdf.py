"""The report as PDF: the same results give the same bytes, and texts from traffic stay texts."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import msgspec

from infraspectre.errors import UsageError
from infraspectre.files import write_whole
from infraspectre.intel.attack import attack_table
from infraspectre.records import Asset, Decision, Incident, Statement, Summary
from infraspectre.records.detection import SEVERITIES, Severity
from infraspectre.records.times import NANOSECONDS
from infraspectre.reflex.comparable import Comparable
from infraspectre.report.render import Comparables
from infraspectre.report.words import by_tactic, count, duration, moment, numbers, volume
from infraspectre.security import printable

MOST_INCIDENTS = 200
MOST_HOSTS = 8
"""Hosts of an incident that are named; the rest is counted."""
MOST_MARKS = 64
"""Moments of detections drawn on the timeline of an incident."""


def render_pdf(
    summary: Summary, decisions: Sequence[Decision], path: Path, comparables: Comparables | None = None
) -> None:
    """Write a report about incidents as PDF; raises UsageError where typst is not installed, and OutputError."""
    write_whole(path, pdf(summary, decisions, comparables))


def pdf(summary: Summary, decisions: Sequence[Decision], comparables: Comparables | None = None) -> bytes:
    """Return a report about incidents as PDF; the moment it bears is that of the last of them."""
    try:
        import typst
    except ImportError as error:
        raise UsageError(
            "a report as PDF needs the package typst", remedy="install it with: pip install 'infraspectre[pdf]'"
        ) from error
    compiler = typst.Compiler(
        template(),
        font_paths=typst.Fonts(include_system_fonts=False),
        sys_inputs={"report": document(summary, decisions, comparables or {})},
    )
    return cast("bytes", compiler.compile(format="pdf", timestamp=stamp(decisions)))


def template() -> bytes:
    """Return the text of the template."""
    return (files("infraspectre.report") / "templates" / "report.typ").read_bytes()


def stamp(decisions: Sequence[Decision]) -> int:
    """Return the seconds since the epoch that a report bears as its date, which no clock decides."""
    return max((each.incident.last_seen // NANOSECONDS for each in decisions), default=0)


def document(summary: Summary, decisions: Sequence[Decision], comparables: Comparables) -> str:
    """Return what the template shows as JSON; signs that move a cursor or turn the reading order are escaped."""
    shown = decisions[:MOST_INCIDENTS]
    whole = {
        "figures": figures(summary),
        "span": [at and at[:19].replace("T", " ") for at in (summary.capture_start, summary.capture_end)],
        "losses": {name: str(value) for name, value in losses(summary).items()},
        "tally": [
            (level, sum(each.threat_score.level == level for each in decisions)) for level in reversed(SEVERITIES)
        ],
        "hidden": len(decisions) - len(shown),
        "incidents": [
            incident_page(rank, each, comparables.get(each.incident.incident_id, ()))
            for rank, each in enumerate(shown, 1)
        ],
        "version": summary.version,
        "attack": attack_table().version,
    }
    return msgspec.json.encode(made_printable(whole)).decode()


def made_printable(value: Any) -> Any:
    """Return lists, tables and texts with every text made safe to show."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {printable(key): made_printable(each) for key, each in value.items()}
    return [made_printable(each) for each in value] if isinstance(value, (list, tuple)) else value


def figures(summary: Summary) -> list[tuple[str, str]]:
    """Return the figures at the head of the report."""
    return [
        ("Packets", count(summary.packets)),
        ("Volume", volume(summary.bytes)),
        ("Flows", count(summary.flows)),
        ("Detections", count(summary.detections)),
        ("Incidents", count(summary.incidents)),
    ]


def losses(summary: Summary) -> dict[str, int | str]:
    """Return what was lost, malformed or could not be read."""
    return {**summary.malformed, **summary.shed, **summary.unreadable}


def incident_page(rank: int, decision: Decision, comparables: Sequence[Comparable]) -> dict[str, Any]:
    """Return what the template shows of one incident."""
    incident, score = decision.incident, decision.threat_score
    return {
        "rank": rank,
        "identity": incident.incident_id,
        "campaign": incident.campaign_id or "",
        "level": score.level,
        "score": {"value": score.value, "low": score.low, "high": score.high},
        "probability": f"{decision.probability:.0%}",
        "title": incident.title,
        "when": f"{moment(incident.first_seen)} to {moment(incident.last_seen)} UTC",
        "lasted": duration(incident.last_seen - incident.first_seen),
        "raised": moment(incident.raised_at),
        "actors": hosts(incident.orig, incident.assets),
        "targets": hosts(incident.resp, incident.assets),
        "summary": decision.explanation.summary,
        "tactics": [(tactic, [(each.id, each.name) for each in its]) for tactic, its in by_tactic(incident.techniques)],
        "marks": marks(incident),
        "steps": [(each.text, proofs(each)) for each in decision.explanation.steps],
        "attributions": [(each.name, each.points) for each in decision.explanation.attributions],
        "changes": [(each.text, "") for each in decision.explanation.changes],
        "comparables": [comparable_line(each) for each in comparables],
        "plan": {
            "name": decision.response_plan.playbook,
            "priority": decision.response_plan.priority,
            "steps": [(each.kind, each.title, each.target, each.command) for each in decision.response_plan.steps],
        },
    }


def comparable_line(each: Comparable) -> tuple[str, str]:
    """Name an earlier incident, and what both have in common."""
    told = [f"{each.likeness:.0%} alike", ", ".join(each.techniques), ", ".join(each.entities[:MOST_HOSTS])]
    title = f"{each.incident.title}, {moment(each.incident.first_seen)} UTC"
    return title, "; ".join([each.incident.incident_id, *filter(None, told)])


def hosts(names: Sequence[str], assets: dict[str, Asset]) -> str:
    """Name some hosts, with what the owner calls them, and count the rest."""
    told = [f"{name} ({assets[name].name})" if name in assets and assets[name].name else name for name in names]
    rest = len(told) - MOST_HOSTS
    return ", ".join(told[:MOST_HOSTS]) + (f" and {rest} more" if rest > 0 else "") or "unknown"


def marks(incident: Incident) -> list[tuple[float, Severity]]:
    """Return when detections became sure, as shares of the incident's time, and how severe each is."""
    lasted = max(incident.last_seen - incident.first_seen, 1)
    moments = {(round((each.at - incident.first_seen) / lasted, 4), each.severity) for each in incident.detections}
    return sorted((min(max(at, 0.0), 1.0), severity) for at, severity in moments)[:MOST_MARKS]


def proofs(step: Statement) -> str:
    """Say which flows and packets prove a sentence."""
    told = (("flows", step.flow_ids), ("packets", step.packets))
    return "; ".join(f"{name} {numbers(which, 4)}" for name, which in told if which)
