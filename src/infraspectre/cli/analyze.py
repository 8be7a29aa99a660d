"""`infraspectre analyze`: from captures or logs to explained incidents."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from infraspectre.cli.options import AS_GIVEN, DEFAULT, Common, RuleOptions
from infraspectre.cli.output import following, note, print_json, status_of, warn_refused
from infraspectre.errors import EXIT_DONE, InputError

if TYPE_CHECKING:
    from infraspectre.adapters.yara import YaraRules
    from infraspectre.app import Analysis
    from infraspectre.intel.indicators import Collection
    from infraspectre.records import Decision
    from infraspectre.rulebook import Loaded


def analyze(
    inputs: list[str],
    /,
    *,
    out: Path = Path("infraspectre-report"),
    assets: Path | None = None,
    rules: list[Path] | None = None,
    yara: list[Path] | None = None,
    model: list[str] | None = None,
    attack: Path | None = None,
    correlation: list[Path] | None = None,
    intel: list[Path] | None = None,
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
        Read what is known about the site from this file: hosts and networks in CSV with the columns network, name,
        owner, criticality and roles, or YAML that also says who may scan, what is maintained when, and what else is
        allowed; incidents of critical hosts score higher, and what is allowed scores lower.
    rules
        Use the rules in this file or folder: rules in Suricata's language (.rules) and YARA rules (.yar, .yara), on
        captures, Sigma rules and own rules (.yaml, .yml); may be repeated.
    yara
        Scan what the flows of captures carried with the YARA rules in this file or folder; may be repeated.
    model
        Let this model judge flows, or texts in them: a folder that 'train' wrote, or builtin: and a name; may be
        repeated.
    attack
        Name techniques and tactics as this STIX bundle of ATT&CK does (also .gz and .zst).
    correlation
        Join detections by the rules in this file or folder, too; may be repeated.
    intel
        Look for the indicators in this file or folder: STIX, MISP, OTX, CSV or plain lists, and MISP's warninglists;
        may be repeated.
    """
    from infraspectre import app

    others, more = app.without_yara(rules or ())
    loaded, refused = load(others, options, common) if others else (None, EXIT_DONE)
    scanned, yara_refused = load_yara([*(yara or ()), *more], options)
    misread = warn_refused(app.use_attack(attack), "the bundle holds them") if attack else EXIT_DONE
    indicators, intel_refused = load_intel(intel or [])
    settings = app.chosen_settings(common.config)
    broken = warn_refused(app.broken_playbooks(settings), "'infraspectre playbooks check' names all")
    with following("analyzing", common) as progress:
        analysis = app.analyze(
            *inputs,
            out=out,
            assets=assets,
            signatures=loaded.signatures if loaded else None,
            sigma=loaded.sigma if loaded else None,
            own_rules=loaded.own if loaded else (),
            yara=scanned,
            models=model or (),
            correlation=correlation or (),
            intel=indicators,
            settings=settings,
            progress=progress,
        )
    if common.json:
        print_json(analysis.summary)
    elif not common.quiet:
        show(analysis)
    return status_of(analysis.summary) or refused or yara_refused or misread or intel_refused or broken


def load(paths: list[Path], options: RuleOptions, common: Common) -> tuple[Loaded, int]:
    """Load rules, and say what was refused; return also the status of that. Raises InputError if none can be used."""
    from infraspectre.rulebook import Told

    loaded = Told(*options).load_all(paths)
    status = warn_refused(loaded.refused)
    if not loaded:
        raise InputError("no rule can be used", remedy="'infraspectre rules check' says why")
    if loaded.unseen and not common.quiet:
        note(
            f"Sigma rules that see nothing in network traffic: {loaded.unseen:,}; 'infraspectre rules list' names them"
        )
    return loaded, status


def load_yara(rules: list[Path], options: RuleOptions) -> tuple[YaraRules | None, int]:
    """Return compiled YARA rules, if any are given, and the exit status that says whether any was refused."""
    if not rules:
        return None, EXIT_DONE
    from infraspectre.rulebook import Told, load_yara

    loaded = load_yara(rules, Told(*options).settings())
    return loaded, warn_refused(loaded.refused)


def load_intel(paths: list[Path]) -> tuple[Collection | None, int]:
    """Return the indicators in files and folders, if any are given, and the status that says whether any is broken."""
    if not paths:
        return None, EXIT_DONE
    from infraspectre import app

    collection = app.load_intel(paths)
    return collection, warn_refused(collection.findings.refused, "'infraspectre intel check' names all")


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
