"""Renders the report from what a run has found; every text from outside is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from infraspectre.files import write_whole
from infraspectre.records import Decision, Detection, Summary
from infraspectre.records.address import is_inside
from infraspectre.records.times import from_datetime
from infraspectre.records.words import figure, plural
from infraspectre.reflex.comparable import Comparable
from infraspectre.report import words
from infraspectre.report.charts import graph, host_levels, timeline
from infraspectre.report.statistics import FlowStatistics, Host
from infraspectre.report.stories import picture
from infraspectre.security import printable

MOST_INCIDENTS = 200
MOST_HOSTS = 30
MOST_PROTOCOLS = 12
MOST_EVIDENCE = 2000
"""Detections in the evidence table; the rest is in detections.jsonl."""


Comparables = Mapping[str, Sequence[Comparable]]
"""Earlier incidents like one, by its identity."""


class HostRow(msgspec.Struct, frozen=True):
    """Shows one host with its traffic and the ranks of its incidents."""

    name: str
    role: str
    host: Host
    share: float
    incidents: list[int]


class ProtocolRow(msgspec.Struct, frozen=True):
    """Shows one protocol with its share of the bytes."""

    name: str
    flows: int
    bytes: int
    share: float


def render(
    summary: Summary,
    decisions: Sequence[Decision],
    detections: Sequence[Detection],
    flow_stats: FlowStatistics,
    out_path: str | Path,
    comparables: Comparables | None = None,
) -> None:
    """Write the report as one self-contained HTML file; raises OutputError."""
    text = html(summary, decisions, detections, flow_stats, comparables)
    write_whole(Path(out_path), text.encode("utf-8", errors="replace"))


def html(
    summary: Summary,
    decisions: Sequence[Decision],
    detections: Sequence[Detection],
    flow_stats: FlowStatistics,
    comparables: Comparables | None = None,
) -> str:
    """Return the report as text; the same input gives the same text."""
    ranked = sorted(
        decisions, key=lambda each: (-each.threat_score.value, each.incident.first_seen, each.incident.incident_id)
    )
    shown = ranked[:MOST_INCIDENTS]
    evidence = _evidence(shown, detections)
    return environment().get_template("report.html").render(
        summary=summary,
        span_ns=_span(summary),
        stats=flow_stats,
        decisions=shown,
        hidden_incidents=len(ranked) - len(shown),
        levels=[(level, sum(each.threat_score.level == level for each in ranked)) for level in _LEVELS],
        timeline=timeline(shown, flow_stats),
        graph=graph(shown, flow_stats),
        hosts=_hosts(shown, flow_stats),
        protocols=_protocols(flow_stats),
        evidence=evidence,
        comparables=comparables or {},
        anchors={each.detection_id for each in evidence},
        hidden_evidence=max(len(detections) - len(evidence), 0),
    )  # fmt: skip


_LEVELS = ("critical", "high", "medium", "low", "informational")


def _span(summary: Summary) -> int | None:
    """Return how long the input lasts, packets that belong to no flow included; None if no time is known."""
    if summary.capture_start is None or summary.capture_end is None:
        return None
    start, end = (from_datetime(datetime.fromisoformat(at)) for at in (summary.capture_start, summary.capture_end))
    return end - start


def environment() -> Environment:
    """Return what renders the templates of reports; every text from outside is escaped, hidden signs in it too."""
    loader = PackageLoader("infraspectre.report", "templates")
    environment = Environment(
        loader=loader,
        autoescape=True,
        finalize=_legible,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (
        words.count,
        words.volume,
        words.moment,
        words.duration,
        figure,
        words.numbers,
        plural,
        words.by_tactic,
        picture,
    )
    environment.filters.update({each.__name__: each for each in filters})
    return environment


def _legible(value: Any) -> Any:
    """Return a value as it is shown: a text that is no markup of ours without signs that turn the reading order."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _evidence(decisions: Sequence[Decision], detections: Sequence[Detection]) -> list[Detection]:
    """List the detections of the incidents in rank order, then the others in time order, each once."""
    told = {each.detection_id: each for decision in decisions for each in decision.incident.detections}
    others = sorted(detections, key=lambda each: (each.at, each.detection_id))
    return list({**told, **{each.detection_id: each for each in others if each.detection_id not in told}}.values())[
        :MOST_EVIDENCE
    ]


def _hosts(decisions: Sequence[Decision], stats: FlowStatistics) -> list[HostRow]:
    """List the top talkers, and every host of an incident among the known ones before the quiet ones."""
    concerned = host_levels(decisions)
    talkers = sorted(stats.hosts, key=lambda name: (-stats.hosts[name].bytes, name))
    chosen = set(talkers[:MOST_HOSTS] + [name for name in talkers if name in concerned][:MOST_HOSTS])
    largest = max((host.bytes for host in stats.hosts.values()), default=0) or 1
    return [
        HostRow(
            name,
            _role(name, stats.hosts[name]),
            stats.hosts[name],
            stats.hosts[name].bytes / largest,
            _ranks(name, decisions),
        )
        for name in talkers
        if name in chosen
    ]


def _ranks(name: str, decisions: Sequence[Decision]) -> list[int]:
    return [rank for rank, each in enumerate(decisions, 1) if name in each.incident.entities]


def _role(name: str, host: Host) -> str:
    """Say what a host does, as far as the traffic shows it."""
    place = "inside" if is_inside(name) else "outside"
    if host.services:
        return f"{place}, serves {', '.join(sorted(host.services))}"
    if host.flows_answered > host.flows_begun:
        return f"{place}, server"
    return f"{place}, client" if host.flows_begun else f"{place}, silent"


def _protocols(stats: FlowStatistics) -> list[ProtocolRow]:
    ranked = sorted(stats.protocols.items(), key=lambda item: (-item[1].bytes, -item[1].flows, item[0]))
    rows = [
        (f"{app} over {transport}" if app else transport or "unknown", each.flows, each.bytes)
        for (transport, app), each in ranked
    ]
    rest = rows[MOST_PROTOCOLS:]
    if rest:
        rows = [
            *rows[:MOST_PROTOCOLS],
            (f"{len(rest)} others", sum(each[1] for each in rest), sum(each[2] for each in rest)),
        ]
    total = stats.total.bytes or 1
    return [ProtocolRow(name, flows, volume, volume / total) for name, flows, volume in rows]
