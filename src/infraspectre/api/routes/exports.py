"""Exports: incidents as CSV or JSON lines, and reports about them as PDF or HTML."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, get
from litestar.params import QueryParameter
from litestar.response import Stream

from infraspectre.api.given import GivenHeavy, GivenPlatform, GivenPrincipal, GivenQuestion, InPath
from infraspectre.api.pages import sought
from infraspectre.api.routes.incidents import IncidentSummary, found, summary_of
from infraspectre.ports import Stored
from infraspectre.records.access import Principal
from infraspectre.records.collections import INCIDENTS
from infraspectre.records.queries import MOST_ROWS, Query
from infraspectre.serving.platform import Platform
from infraspectre.serving.reporting import incident_html, incidents_pdf

CSV, JSON_LINES, PDF, HTML = "text/csv", "application/x-ndjson", "application/pdf", "text/html"
MOST_EXPORTED = 1_000_000
"""Incidents of one export; the page after it goes on."""
MOST_REPORTED = 200
"""Incidents of one report."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What spreadsheets take for the beginning of a formula (OWASP, CSV injection)."""
Form = Annotated[Literal["csv", "json", "pdf"], QueryParameter(name="format", description="csv, json (lines) or pdf.")]


@get(
    "/api/v1/export",
    opt={"permission": "read", "produces": (CSV, JSON_LINES, PDF), "time_limit_s": 0},
    dependencies={"question": sought(INCIDENTS.fields)},
)
async def export_incidents(
    platform: GivenPlatform, heavy: GivenHeavy, principal: GivenPrincipal, question: GivenQuestion, format_: Form
) -> Response[Any]:
    """Export the incidents that pass the filters, in order: CSV and JSON lines all of them, PDF the first 200."""
    if format_ == "pdf":
        report = await heavy.run(pdf_of, platform, principal, question.query)
        return attachment(report, PDF, "incidents.pdf")
    rows = all_of(platform, principal, question.query)
    if format_ == "json":
        lines = (msgspec.json.encode(summary_of(row)) + b"\n" for row in rows)
        return stream(await heavy.lines(lines), JSON_LINES, "incidents.jsonl")
    return stream(await heavy.lines(csv_lines(rows)), CSV, "incidents.csv")


@get(
    "/api/v1/incidents/{incident_id:str}/report",
    opt={"permission": "read", "produces": (HTML, PDF)},
)
async def report_incident(
    platform: GivenPlatform,
    heavy: GivenHeavy,
    principal: GivenPrincipal,
    incident_id: InPath,
    format_: Annotated[Literal["html", "pdf"], QueryParameter(name="format", description="html or pdf.")] = "html",
) -> Response[Any]:
    """Write the report of an incident as one page or as PDF."""
    report = await heavy.run(report_of, platform, principal, incident_id, format_)
    return attachment(report, PDF if format_ == "pdf" else HTML, f"{incident_id}.{format_}")


def report_of(platform: Platform, principal: Principal, incident_id: str, form: Literal["html", "pdf"]) -> bytes:
    """Return the report of an incident; raises RefusedError where the tenant has none."""
    body = found(platform, principal, incident_id).body
    return incidents_pdf([body]) if form == "pdf" else incident_html(body)


def pdf_of(platform: Platform, principal: Principal, query: Query) -> bytes:
    """Return a report of the first incidents of a query."""
    first = Query(query.filters, query.order, MOST_REPORTED, query.after)
    return incidents_pdf([row.body for row in platform.records.page(principal.tenant, INCIDENTS, first).rows])


def all_of(platform: Platform, principal: Principal, query: Query) -> Iterator[Stored]:
    """Yield what lists show of all pages of a query, from its first page on."""
    after, count = query.after, 0
    while count < MOST_EXPORTED:
        part = Query(query.filters, query.order, MOST_ROWS, after)
        page = platform.records.page(principal.tenant, INCIDENTS, part, is_listed=True)
        yield from page.rows
        count += len(page.rows)
        after = page.next
        if after is None:
            return


def csv_lines(rows: Iterator[Stored]) -> Iterator[bytes]:
    """Yield incidents as lines of CSV (RFC 4180), the header first."""
    names = IncidentSummary.__struct_fields__
    yield line(names)
    for row in rows:
        summary = summary_of(row)
        yield line([cell(summary[name]) for name in names])


def line(cells: Sequence[Any]) -> bytes:
    """Return cells as a line of CSV."""
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue().encode("utf-8", "replace")


def cell(value: Any) -> str:
    """Return a value as a cell; text that a spreadsheet would take for a formula gets an apostrophe before it."""
    text = " ".join(value) if isinstance(value, list) else str(value)
    return f"'{text}" if isinstance(value, str | list) and text.startswith(FORMULA) else text


def stream(lines: AsyncIterator[bytes], media_type: str, name: str) -> Stream:
    """Return an answer that is sent as it is made."""
    return Stream(lines, media_type=media_type, headers=disposition(name))


def attachment(content: bytes, media_type: str, name: str) -> Response[bytes]:
    """Return an answer that is kept as a file."""
    return Response(content, media_type=media_type, headers=disposition(name))


def disposition(name: str) -> dict[str, str]:
    """Return the header by which a browser keeps an answer as a file, which runs nothing (RFC 6266)."""
    return {"content-disposition": f'attachment; filename="{name}"'}


HANDLERS = [export_incidents, report_incident]
