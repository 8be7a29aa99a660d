"""`infraspectre analyze`: from captures or logs to explained incidents."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from infraspectre.cli.options import AS_GIVEN, DEFAULT, Common, RuleOptions
from infraspectre.cli.output import following, note, print_json, status_of, warn_refused
from infraspectre.errors import InputError

if TYPE_CHECKING:
    from infraspectre.app import Analysis
    from infraspectre.capture.signatures import Rules
    from infraspectre.records import Decision
    from infraspectre.soma.sigma import SigmaRules


def analyze(
    inputs: list[str],
    /,
    *,
    out: Path = Path("infraspectre-report"),
    assets: Path | None = None,
    rules: list[Path] | None = None,
    options: RuleOptions = AS_GIVEN,
    common: Common = DEFAULT,
) -> int:
    """Analyze captures or logs: flows, detections, incidents and a report.

    Inputs are pcap or pcapng (also .gz and .zst), folders of captures, - for stdin, Zeek log folders, Suricata EVE
    files, or CICFlowMeter tables; what an input is, is decided by its content.

    Parameters
    ----------
    inputs
        Captures, logs or folders.
    out
        Write the results into this folder.
    assets
        Read what is known about hosts and networks from this file: CSV with the columns network, name, owner and
        criticality, or YAML; incidents of critical assets score higher.
    rules
        Use the rules in this file or folder: rules in Suricata's language (.rules), on captures, Sigma rules and own
        rules (.yaml, .yml); may be repeated.
    """
    from infraspectre import app

    chosen = load(rules, options) if rules else Chosen()
    refused = warn_refused(chosen.refused)
    if chosen.unseen and not common.quiet:
        note(f"Sigma rules that see nothing in network traffic: {chosen.unseen:,}; 'infraspectre rules list' names them")
    settings = app.chosen_settings(common.config)
    with following("analyzing", common) as progress:
        analysis = app.analyze(
            *inputs,
            out=out,
            assets=assets,
            signatures=chosen.signatures,
            sigma=chosen.sigma,
            own_rules=chosen.own,
            settings=settings,
            progress=progress,
        )
    if common.json:
        print_json(analysis.summary)
    elif not common.quiet:
        show(analysis)
    return status_of(analysis.summary) or refused


class Chosen(NamedTuple):
    """Holds the rules that are used, those refused, and how many see nothing in network traffic."""

    signatures: Rules | None = None
    sigma: SigmaRules | None = None
    own: Sequence[Path] = ()
    refused: Sequence[object] = ()
    unseen: int = 0


def load(paths: list[Path], options: RuleOptions) -> Chosen:
    """Return the rules of all kinds in files and folders; raises InputError where none can be used."""
    from infraspectre import app
    from infraspectre.rulebook import Told
    from infraspectre.soma.sigma import load_sigma

    found = app.sorted_rules(paths)
    signatures = Told(*options).load(found.signatures) if found.signatures else None
    sigma = load_sigma(found.sigma) if found.sigma else None
    chosen = Chosen(
        signatures=signatures or None,
        sigma=sigma or None,
        own=found.own,
        refused=[each for loaded in (signatures, sigma) if loaded is not None for each in loaded.refused],
        unseen=0 if sigma is None else len(sigma.unseen),
    )
    if not (chosen.signatures or chosen.sigma or chosen.own):
        warn_refused(chosen.refused)
        raise InputError("no rule can be used", remedy="'infraspectre rules check' says why")
    return chosen


def show(analysis: Analysis) -> None:
    """Print the incidents as a table, and where the report lies."""
    from rich import box
    from rich.table import Table

    from infraspectre.cli.output import console
    from infraspectre.records.words import plural

    screen = console()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("score", justify="right")
    for column in ("level", "time (UTC)", "incident"):
        table.add_column(column, overflow="fold", no_wrap=column != "incident")
    for decision in analysis.incidents:
        table.add_row(*cells(decision))
    if analysis.incidents:
        screen.print(table)
    summary = analysis.summary
    screen.print(
        f"{plural(summary.packets, 'packet')}, {plural(summary.flows, 'flow')}, "
        f"{plural(summary.detections, 'detection')}, {plural(summary.incidents, 'incident')} "
        f"in {summary.elapsed_s:.1f} s",
        highlight=False,
    )
    note(f"report: {analysis.folder / 'report.html'}")


LEVEL_STYLES = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan", "informational": "dim"}


def cells(decision: Decision) -> tuple[str, ...]:
    """Return an incident as cells of the table; names from the traffic are made safe to show."""
    from rich.markup import escape

    from infraspectre.records.times import rfc3339
    from infraspectre.security import printable

    score = decision.threat_score
    style = LEVEL_STYLES[score.level]
    return (
        str(int(score.value)),  # rounded up, 94.9 would look critical
        f"[{style}]{score.level}[/]",
        rfc3339(decision.incident.first_seen)[:19].replace("T", " "),
        escape(printable(decision.incident.title)),
    )
