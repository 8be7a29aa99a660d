"""`infraspectre flows`: flow records and features, without detection."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from infraspectre.cli.analyze import load_intel
from infraspectre.cli.options import DEFAULT, Common
from infraspectre.cli.output import following, note, print_json, status_of


def flows(
    inputs: list[str],
    /,
    *,
    out: Path,
    features: Literal["base", "cic", "full", "vector"] = "full",
    intel: list[Path] | None = None,
    common: Common = DEFAULT,
) -> int:
    """Write flow records and features of captures or logs to a file.

    Parameters
    ----------
    inputs
        Captures, logs or folders; what an input is, is decided by its content.
    out
        Write to this file, in the format of its name: .parquet, .csv, .jsonl, or .log for a Zeek connection log.
    features
        Write identity and totals, the columns of CICFlowMeter under its names, everything, or the flow's id and the
        100 features of its vector.
    intel
        Write into vectors what the indicators in this file or folder say of hosts and names; may be repeated.
    """
    from infraspectre import app

    indicators, refused = load_intel(intel or [])
    settings = app.chosen_settings(common.config)
    with following("reading", common) as progress:
        account = app.write_flows(inputs, out, features, settings, progress, indicators)
    if common.json:
        print_json(app.account_object(account))
    elif not common.quiet:
        from infraspectre.records.words import plural

        note(f"{plural(account.packets, 'packet')}, {plural(account.flows, 'flow')} written to {out}")
    return status_of(account) or refused
