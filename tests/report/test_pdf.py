"""The report as PDF: the same bytes each time, and texts from traffic stay texts."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from infraspectre.adapters.results import Results, read_results
from infraspectre.records import Decision
from infraspectre.report.pdf import MOST_MARKS, document, marks, pdf, stamp

typst = pytest.importorskip("typst", reason="typst is not installed")
MARKUP = '#panic("x") = *b* $x$ <l> @ref \\ `raw` ]) \x1b[31m \u202e //'


@pytest.fixture
def results(analyzed: Path) -> Results:
    return read_results(analyzed)


def renamed(decision: Decision, title: str) -> Decision:
    return msgspec.structs.replace(decision, incident=msgspec.structs.replace(decision.incident, title=title))


def test_the_same_results_give_the_same_bytes(results: Results) -> None:
    first = pdf(results.summary, results.decisions)
    assert first.startswith(b"%PDF-")
    assert first == pdf(results.summary, results.decisions)


def test_its_date_is_that_of_the_incidents(results: Results) -> None:
    assert stamp(results.decisions) == max(each.incident.last_seen for each in results.decisions) // 10**9
    assert stamp([]) == 0


def test_texts_from_traffic_are_no_markup(results: Results) -> None:
    hostile = [renamed(each, MARKUP) for each in results.decisions]
    assert pdf(results.summary, hostile).startswith(b"%PDF-")
    shown = json.loads(document(results.summary, hostile, {}))["incidents"][0]["title"]
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert '#panic("x")' in shown


def test_nothing_found_is_a_report_too(results: Results) -> None:
    assert pdf(results.summary, []).startswith(b"%PDF-")


def test_the_timeline_of_an_incident_is_bounded(results: Results) -> None:
    incident = results.decisions[0].incident
    (found, *_) = incident.detections
    many = [msgspec.structs.replace(found, at=incident.first_seen + step) for step in range(0, 10**12, 10**9)]
    drawn = marks(msgspec.structs.replace(incident, detections=many))
    assert len(drawn) == MOST_MARKS
    assert all(0.0 <= at <= 1.0 for at, _ in drawn)
