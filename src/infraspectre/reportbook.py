"""The composition root of reports: the folder of an analysis in; pages, layers and the packets behind incidents out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import starmap
from pathlib import Path
from typing import TYPE_CHECKING

from infraspectre.errors import InputError, UsageError

if TYPE_CHECKING:
    import polars as pl

    from infraspectre.adapters.results import Results
    from infraspectre.capture.packets import Conversation
    from infraspectre.records import Decision
    from infraspectre.reflex.comparable import Comparable
    from infraspectre.report.render import Comparables

COLUMNS = (
    "flow_id", "orig_ip", "orig_port", "resp_ip", "resp_port", "protocol", "app_protocol", "started_at", "ended_at",
    "orig_packets", "resp_packets", "orig_bytes", "resp_bytes",
)  # fmt: skip
"""Columns of flows that reports and evidence need."""
ROWS = 1 << 18
"""Flows that are looked at in one go."""


def open_results(folder: Path) -> Results:
    """Read what an analysis found; raises InputError naming file and line."""
    from infraspectre.adapters.results import read_results

    return read_results(folder)


def chosen(results: Results, incidents: Sequence[str]) -> list[Decision]:
    """Return the incidents whose identities begin as given, or all; raises UsageError for one that is not there."""
    if not incidents:
        return results.decisions
    found = [each for each in results.decisions if each.incident.incident_id.startswith(tuple(incidents))]
    for name in incidents:
        if not any(each.incident.incident_id.startswith(name) for each in found):
            raise UsageError(f"there is no incident {name}", remedy="incidents.jsonl names them as incident_id")
    return found


def comparables(decisions: Sequence[Decision], past: Sequence[Path]) -> dict[str, list[Comparable]]:
    """Return the incidents of earlier analyses that are most like each; raises InputError."""
    from infraspectre.reflex.comparable import comparable

    earlier = [each.incident for folder in past for each in open_results(folder).decisions]
    return {each.incident.incident_id: comparable(each.incident, earlier) for each in decisions} if earlier else {}


def write_html(
    folder: Path, results: Results, decisions: Sequence[Decision], path: Path, comparables: Comparables | None = None
) -> None:
    """Write the report as one self-contained page; raises InputError and OutputError."""
    from infraspectre.report import FlowStatistics, render

    statistics = FlowStatistics()
    for frame in flow_frames(folder):
        statistics.add(frame)
    render(results.summary, decisions, results.detections, statistics, path, comparables)


def write_pdf(
    results: Results, decisions: Sequence[Decision], path: Path, comparables: Comparables | None = None
) -> None:
    """Write the report as PDF; raises UsageError where typst is not installed, and OutputError."""
    from infraspectre.report.pdf import render_pdf

    render_pdf(results.summary, decisions, path, comparables)


def write_navigator(decisions: Sequence[Decision], name: str, path: Path) -> None:
    """Write a layer for the ATT&CK Navigator; raises OutputError."""
    from infraspectre.adapters.results import json_document
    from infraspectre.files import write_whole
    from infraspectre.intel.navigator import layer

    write_whole(path, json_document(layer(decisions, name)))


def write_stix(decisions: Sequence[Decision], path: Path) -> None:
    """Write a STIX 2.1 bundle, in which what several incidents name stands once; raises OutputError."""
    from infraspectre.adapters.siem.export import bundle_of
    from infraspectre.files import write_whole

    write_whole(path, bundle_of(decisions))


def write_graph(decisions: Sequence[Decision], path: Path) -> None:
    """Write who did what to whom, in the form of the file's name; raises UsageError for another, and OutputError."""
    from infraspectre.files import write_whole
    from infraspectre.intel.attack_graph import FORMS, attack_graph

    if path.suffix not in FORMS:
        raise UsageError(f"a graph is not written as {path.suffix or 'a file without a suffix'}", path=path,
                         remedy=f"use {', '.join(FORMS)}")  # fmt: skip
    write_whole(path, FORMS[path.suffix](attack_graph(decisions)))


def write_evidence(folder: Path, decisions: Sequence[Decision], inputs: Sequence[str], path: Path) -> int:
    """Write the packets of the flows behind incidents as pcapng; return how many there are.

    Raises InputError, UsageError for inputs that can be read only once, and OutputError.
    """
    from infraspectre.capture.packets import PacketSource
    from infraspectre.files import whole_file
    from infraspectre.rulebook import require_files

    require_files(inputs, "evidence")
    source = PacketSource(inputs, conversations(folder, decisions))
    with whole_file(path) as file:
        for piece in source:
            file.write(piece)
    return source.packets


def conversations(folder: Path, decisions: Sequence[Decision]) -> list[Conversation]:
    """Return between whom the flows behind incidents were."""
    import polars as pl

    from infraspectre.capture.packets import conversation_of_flow

    wanted = {flow for each in decisions for found in each.incident.detections for flow in found.flow_ids}
    found: dict[Conversation, None] = {}
    for frame in flow_frames(folder):
        chosen = frame.filter(pl.col("flow_id").is_in(list(wanted)))
        ends = chosen.select("orig_ip", "orig_port", "resp_ip", "resp_port", "protocol").drop_nulls()
        found.update(dict.fromkeys(each for each in starmap(conversation_of_flow, ends.iter_rows()) if each))
    return list(found)


def flow_frames(folder: Path) -> Iterator[pl.DataFrame]:
    """Yield the flows that an analysis wrote, group by group; raises InputError."""
    import polars as pl

    path = folder / "flows.parquet"
    try:
        rows = pl.scan_parquet(path)
        for start in range(0, rows.select(pl.len()).collect().item(), ROWS):
            yield rows.select(COLUMNS).slice(start, ROWS).collect()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(str(error).partition("\n")[0], path=path) from error
