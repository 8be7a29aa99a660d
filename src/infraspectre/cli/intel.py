"""`infraspectre intel`: what sources of threat intelligence hold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from infraspectre.cli.grammar import Function, Group
from infraspectre.cli.options import DEFAULT, Common
from infraspectre.cli.output import note, print_json, print_table, warn_refused
from infraspectre.errors import EXIT_DONE, EXIT_FAILED, EXIT_LOSSES, UsageError

if TYPE_CHECKING:
    from infraspectre.records.indicators import FoundIndicator, IndicatorCheck


def check(paths: list[Path], /, *, common: Common = DEFAULT) -> int:
    """Check indicators: count them by kind, and name what cannot be used, with file, line or identity, and reason.

    Parameters
    ----------
    paths
        Files and folders: STIX, MISP, OTX, CSV, plain lists, and warninglists of MISP.
    """
    from infraspectre import app
    from infraspectre.security import printable

    found = app.load_intel(paths).check()
    if common.json:
        print_json(found)
    elif not common.quiet:
        for refusal in found.refused:
            print(printable(str(refusal)))
        print_table(["kind", "indicators"], [[kind, f"{count:,}"] for kind, count in found.indicators.items()])
        for line in remarks(found):
            note(line)
    return EXIT_LOSSES if found.refused else EXIT_DONE


def remarks(found: IndicatorCheck) -> list[str]:
    """Say how much was read, and what of it is not used."""
    from infraspectre.records.words import plural
    from infraspectre.security import printable

    lines = [f"not usable: {printable(reason)}: {count:,}" for reason, count in found.unusable.items()]
    total = sum(found.indicators.values())
    lines.append(f"{plural(found.files, 'file')}: {plural(total, 'indicator')}, {len(found.refused):,} refused")
    if found.warninglists:
        held = f"{plural(found.warninglists, 'warninglist')}: {found.vetoed:,} indicators are not matched"
        lines.append(f"{held}, {found.weakened:,} count less")
    return lines


def lookup(value: str, /, *, intel: list[Path] | None = None, common: Common = DEFAULT) -> int:
    """Look up a value: what names it, or the network, domain or host around it; status 1 if nothing does.

    Parameters
    ----------
    value
        An address, endpoint, network, domain, URL, hash or fingerprint.
    intel
        Look in this file or folder; may be repeated.
    """
    from infraspectre import app

    if not intel:
        raise UsageError("no source is named", remedy="name files or folders with --intel")
    collection = app.load_intel(intel)
    warn_refused(collection.findings.refused, "'infraspectre intel check' names all")
    try:
        found = collection.index.find(value)
    except ValueError as error:
        raise UsageError(f"{value!r} {error}", remedy="give an address, domain, URL, hash or fingerprint") from error
    if common.json:
        print_json(found)
    elif not common.quiet and found:
        print_table(["kind", "value", "confidence", "sources", "threats", "last seen", "remark"], list(map(row, found)))
    return EXIT_DONE if found else EXIT_FAILED


def row(found: FoundIndicator) -> list[str]:
    """Return what is known of a value as cells of a table."""
    from infraspectre.records.times import rfc3339
    from infraspectre.security import printable

    indicator, about = found.indicator, found.indicator.about
    last_seen = rfc3339(about.last_seen)[:10] if about.last_seen else ""
    remark = "expired" if found.expired else found.warning
    texts = (indicator.kind, indicator.value, f"{found.confidence:.2f}", ", ".join(about.sources))
    return [printable(text) for text in (*texts, ", ".join(about.threats or about.labels), last_seen, remark)]


COMMANDS: dict[str, Function] = {"check": check, "lookup": lookup}
intel = Group("Check what sources of threat intelligence hold, and look up values in them.", COMMANDS)
