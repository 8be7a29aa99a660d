"""`infraspectre report`: what an analysis found, in the forms in which it is handed on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from infraspectre.cli.options import DEFAULT, Common
from infraspectre.cli.output import note, print_json
from infraspectre.errors import UsageError

if TYPE_CHECKING:
    from infraspectre.records import Decision


def report(
    folder: Path,
    /,
    *,
    html: Path | None = None,
    pdf: Path | None = None,
    navigator: Path | None = None,
    stix: Path | None = None,
    graph: Path | None = None,
    evidence: Path | None = None,
    capture: list[str] | None = None,
    past: list[Path] | None = None,
    incident: list[str] | None = None,
    common: Common = DEFAULT,
) -> None:
    """Write what an analysis found as HTML or PDF, as a layer for the ATT&CK Navigator, and its packets.

    The same results give the same bytes.

    Parameters
    ----------
    folder
        The folder that 'analyze' has written.
    html
        Write a self-contained page to this file.
    pdf
        Write a PDF to this file; needs the extra 'pdf'.
    navigator
        Write the techniques as a layer for the ATT&CK Navigator to this JSON file.
    stix
        Write the incidents as a STIX 2.1 bundle to this JSON file.
    graph
        Write who did what to whom to this file: .json, .graphml, or .dot for Graphviz.
    evidence
        Write the packets of the flows behind the incidents to this pcapng file; needs --capture.
    capture
        Take the packets from this capture or folder, one that was analyzed; may be repeated.
    past
        Name comparable incidents of an earlier analysis, whose folder this is; may be repeated.
    incident
        Tell of the incident whose identity begins so; may be repeated. [default: all]
    """
    from infraspectre import reportbook

    written = [path for path in (html, pdf, navigator, stix, graph, evidence) if path]
    if not written:
        remedy = "name a file with --html, --pdf, --navigator, --stix, --graph or --evidence"
        raise UsageError("nothing to write", remedy=remedy)
    if bool(evidence) != bool(capture):
        raise UsageError("--evidence and --capture need each other")
    results = reportbook.open_results(folder)
    decisions = reportbook.chosen(results, incident or [])
    like = reportbook.comparables(decisions, past or [])
    packets = 0
    if html:
        reportbook.write_html(folder, results, decisions, html, like)
    if pdf:
        reportbook.write_pdf(results, decisions, pdf, like)
    if navigator:
        reportbook.write_navigator(decisions, folder.resolve().name, navigator)
    if stix:
        reportbook.write_stix(decisions, stix)
    if graph:
        reportbook.write_graph(decisions, graph)
    if evidence:
        packets = reportbook.write_evidence(folder, decisions, capture or [], evidence)
    tell(decisions, written, packets, common)


def tell(decisions: list[Decision], written: list[Path], packets: int, common: Common) -> None:
    """Say what was written."""
    if common.json:
        print_json({"incidents": len(decisions), "packets": packets, "files": written})
    elif not common.quiet:
        from infraspectre.records.words import listed, plural

        note(f"{plural(len(decisions), 'incident')} written to {listed([str(path) for path in written])}")
