"""Threat intelligence: indicators, what reports say of them, and what a tenant imports."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any

import msgspec
from litestar import delete, get, post
from litestar.params import JSONBody
from msgspec import Meta

from infraspectre.api.given import GivenPlatform, GivenPrincipal, GivenQuestion, InPath
from infraspectre.api.pages import PageOf, asked, begin_of, part_of
from infraspectre.api.problems import MOST_FLAWS, RefusedError, about_content
from infraspectre.intel.indicators import Collection
from infraspectre.records.access import Principal
from infraspectre.records.collections import INCIDENTS
from infraspectre.records.indicators import FoundIndicator, IndicatorKind, ThreatReport
from infraspectre.records.queries import Filter, Kind, Order, Query
from infraspectre.records.times import rfc3339
from infraspectre.serving.intelligence import Import, import_of, imports, intelligence_of, keep, remove
from infraspectre.serving.intelligence_table import FIELDS, find, row_of
from infraspectre.serving.platform import Platform

PATH = "/api/v1/indicators"
REPORTS = "/api/v1/threat-reports"
MOST_CONTENT = 16 << 20
"""Bytes of a request that imports."""
MOST_INDICATORS = 10_000_000
"""No page begins behind so many."""
MOST_SEEN = 1_000
"""Incidents that are counted."""
MOST_COUNTED = 100
"""Indicators of a report whose incidents are counted."""
MOST_NAMED = 20
IMPORT_LIMIT_S = 120.0
TIMES = ("first_seen", "last_seen", "valid_until")
REPORT_FIELDS: dict[str, Kind] = {
    "report_id": "text", "title": "text", "source": "text", "published": "integer", "actors": "texts",
    "malware": "texts", "techniques": "texts", "indicator_count": "integer", "tlp": "text",
}  # fmt: skip
Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,39}$")]


class IndicatorSummary(msgspec.Struct, frozen=True):
    """Is an indicator as lists show it; equal ones of several sources are one."""

    value: str
    kind: IndicatorKind
    sources: list[str]
    confidence: float
    """As of now: aged, and weighed by warninglists, 0 to 1."""
    first_seen: str | None
    last_seen: str | None
    valid_until: str | None
    expired: bool
    labels: list[str]
    threats: list[str]
    """Malware, actors and campaigns."""
    techniques: list[str]
    tlp: str
    warning: str
    """The warninglist that vetoes or weakens it; empty for none."""
    seen: int | None
    """Incidents in which it takes part, at most 1,000; null for what is no address and no name."""


class NamedReport(msgspec.Struct, frozen=True):
    """Names a report."""

    report_id: str
    title: str


class IndicatorDetail(msgspec.Struct, frozen=True):
    """Is what is known of a value: of itself, of its network, of the names above it."""

    value: str
    indicators: list[IndicatorSummary]
    incidents: list[str]
    """The latest in which it takes part, at most 20."""
    reports: list[NamedReport]
    """The first 20 that name it."""


class ReportSummary(msgspec.Struct, frozen=True):
    """Is a threat report as lists show it: of STIX, an event of MISP, or a pulse of OTX."""

    report_id: str
    title: str
    source: str
    published: str | None
    actors: list[str]
    malware: list[str]
    techniques: list[str]
    indicator_count: int
    tlp: str


class NamedIndicator(msgspec.Struct, frozen=True):
    """Names an indicator."""

    kind: IndicatorKind
    value: str
    seen: int | None
    """Incidents in which it takes part, at most 1,000; only of the first 100."""


class ReportDetail(msgspec.Struct, frozen=True):
    """Is a threat report with its indicators."""

    summary: ReportSummary
    indicators: list[NamedIndicator]
    """At most 1,000."""


class NewImport(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Is intelligence to be imported."""

    name: Name
    """Its source; what was imported under it before is replaced."""
    content: str | dict[str, Any] | list[Any]
    """A bundle of STIX 2.1, an event of MISP, or a pulse of OTX as JSON or text; CSV or a list as text."""


class ImportSummary(msgspec.Struct, frozen=True):
    """Says what an import holds."""

    name: str
    at: str
    by: str
    size: int
    digest: str
    """SHA-256 of its content."""
    indicators: dict[str, int]
    """By kind."""
    reports: int
    unusable: dict[str, int]
    """Sound entries that say nothing about network traffic, by reason."""
    refused: int


class RefusedEntry(msgspec.Struct, frozen=True):
    """Says what is wrong with an entry."""

    reason: str
    line: int | None
    entry: str | None


class Imported(msgspec.Struct, frozen=True):
    """Says what was imported, and what was not."""

    summary: ImportSummary
    refused: list[RefusedEntry]
    """The first 100."""


def indicator_shown(platform: Platform, principal: Principal, row: Mapping[str, Any]) -> IndicatorSummary:
    """Return what is shown of a row of indicators."""
    times = {name: None if row[name] is None else rfc3339(row[name]) for name in TIMES}
    kept = {name: row[name] for name in IndicatorSummary.__struct_fields__ if name in row}
    return IndicatorSummary(**{**kept, **times, "seen": seen(platform, principal, row["kind"], row["value"])})


def found_shown(platform: Platform, principal: Principal, found: FoundIndicator) -> IndicatorSummary:
    """Return what is shown of an indicator that was looked up."""
    row = row_of(found.indicator, found.warning)
    return indicator_shown(platform, principal, row | {"confidence": found.confidence, "expired": found.expired})


def entity_of(kind: IndicatorKind, value: str) -> str | None:
    """Return the host or name by which an incident would name an indicator."""
    if kind in ("ip", "domain"):
        return value
    if kind == "endpoint":
        return value.rpartition(":")[0].strip("[]")
    return value.partition("/")[0] if kind == "url" else None


def seen(platform: Platform, principal: Principal, kind: IndicatorKind, value: str) -> int | None:
    """Count the incidents in which an indicator takes part."""
    entity = entity_of(kind, value)
    if not entity:
        return None
    named = Query((Filter("entities", "=", (entity,)),))
    return platform.records.count(principal.tenant, INCIDENTS, named, MOST_SEEN)


def latest(platform: Platform, principal: Principal, value: str) -> list[str]:
    """Return the latest incidents in which a value takes part."""
    query = Query((Filter("entities", "=", (value,)),), Order("last_seen", descending=True), MOST_NAMED)
    return [row.key for row in platform.records.page(principal.tenant, INCIDENTS, query).rows]


@lru_cache(maxsize=4)
def reports_naming(collection: Collection) -> dict[str, list[ThreatReport]]:
    """Return the reports that name each value."""
    found: dict[str, list[ThreatReport]] = {}
    for report in collection.findings.reports:
        for _, value in report.indicators:
            found.setdefault(value, []).append(report)
    return found


def report_shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is shown of the row of a report."""
    return {**row, "published": None if row["published"] is None else rfc3339(row["published"])}


def report_row(report: ThreatReport) -> dict[str, Any]:
    """Return a report as a row that is filtered and sorted."""
    told = {name: getattr(report, name) for name in REPORT_FIELDS}
    return told | {name: list(told[name]) for name in ("actors", "malware", "techniques")} | {"tlp": report.tlp or ""}


def import_shown(made: Import) -> ImportSummary:
    """Return what is shown of an import."""
    return ImportSummary(**msgspec.structs.asdict(made) | {"at": rfc3339(made.at)})


@get(
    PATH,
    opt={"permission": "read"},
    dependencies={"question": asked(FIELDS, IndicatorSummary.__struct_fields__)},
    sync_to_thread=True,
)
def list_indicators(
    platform: GivenPlatform, principal: GivenPrincipal, question: GivenQuestion
) -> PageOf[IndicatorSummary]:
    """List indicators of the settings and of the tenant's imports."""
    query, known = question.query, intelligence_of(platform, principal.tenant)
    start = begin_of(query.after, MOST_INDICATORS)
    rows, has_more = find(known, query, start, platform.clock.now())
    shown = [msgspec.structs.asdict(indicator_shown(platform, principal, row)) for row in rows]
    answer: PageOf[IndicatorSummary] = question.page(shown, str(start + len(rows)) if has_more else None)
    return answer


@get(PATH + "/{value:str}", opt={"permission": "read"}, sync_to_thread=True)
def show_indicator(platform: GivenPlatform, principal: GivenPrincipal, value: InPath) -> IndicatorDetail:
    """Show what is known of a value; of a URL, ask the list by `filter=value=`."""
    known = intelligence_of(platform, principal.tenant)
    try:
        found = known.index.find(value, platform.clock.now())
    except ValueError:  # nothing that an indicator could be
        found = []
    if not found:
        raise RefusedError("not-found", "there is no indicator of this value")
    named = reports_naming(known).get(found[0].indicator.value, [])
    return IndicatorDetail(
        value=value,
        indicators=[found_shown(platform, principal, each) for each in found],
        incidents=latest(platform, principal, entity_of(found[0].indicator.kind, found[0].indicator.value) or value),
        reports=[NamedReport(each.report_id, each.title) for each in named[:MOST_NAMED]],
    )


@get(PATH + "/imports", opt={"permission": "read"}, sync_to_thread=True)
def list_imports(platform: GivenPlatform, principal: GivenPrincipal) -> list[ImportSummary]:
    """List what the tenant has imported, by name."""
    return [import_shown(import_of(each)) for each in imports(platform, principal.tenant)]


@post(
    PATH + "/import",
    opt={"permission": "engineer", "time_limit_s": IMPORT_LIMIT_S},
    request_max_body_size=MOST_CONTENT,
    status_code=200,
    sync_to_thread=True,
)
def import_indicators(platform: GivenPlatform, principal: GivenPrincipal, data: JSONBody[NewImport]) -> Imported:
    """Import indicators and reports for the tenant; the worker looks for them within a minute."""
    content = data.content.encode() if isinstance(data.content, str) else msgspec.json.encode(data.content)
    with about_content():
        made, refused = keep(platform, principal.tenant, principal.subject, data.name, content)
    entries = [RefusedEntry(each.reason, each.line, each.field) for each in refused[:MOST_FLAWS]]
    return Imported(import_shown(made), entries)


@delete(PATH + "/imports/{name:str}", opt={"permission": "engineer"}, status_code=204, sync_to_thread=True)
def remove_import(platform: GivenPlatform, principal: GivenPrincipal, name: InPath) -> None:
    """Remove what was imported under a name."""
    if not remove(platform, principal.tenant, name):
        raise RefusedError("not-found", "there is no such import")


@get(
    REPORTS,
    opt={"permission": "read"},
    dependencies={"question": asked(REPORT_FIELDS, ReportSummary.__struct_fields__)},
    sync_to_thread=True,
)
def list_reports(platform: GivenPlatform, principal: GivenPrincipal, question: GivenQuestion) -> PageOf[ReportSummary]:
    """List threat reports: those of STIX, events of MISP, and pulses of OTX."""
    reports = intelligence_of(platform, principal.tenant).findings.reports
    answer: PageOf[ReportSummary] = part_of(map(report_row, reports), question, REPORT_FIELDS, report_shown)
    return answer


@get(REPORTS + "/{report_id:str}", opt={"permission": "read"}, sync_to_thread=True)
def show_report(platform: GivenPlatform, principal: GivenPrincipal, report_id: InPath) -> ReportDetail:
    """Show a threat report with its indicators, and in how many incidents these take part."""
    reports = intelligence_of(platform, principal.tenant).findings.reports
    report = next((each for each in reports if each.report_id == report_id), None)
    if report is None:
        raise RefusedError("not-found", "there is no such report")
    named = [
        NamedIndicator(kind, value, seen(platform, principal, kind, value) if place < MOST_COUNTED else None)
        for place, (kind, value) in enumerate(report.indicators)
    ]
    return ReportDetail(ReportSummary(**report_shown(report_row(report))), named)


HANDLERS = [
    list_indicators, show_indicator, list_imports, import_indicators, remove_import, list_reports, show_report,
]  # fmt: skip
