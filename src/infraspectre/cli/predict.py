"""`infraspectre predict`: what a model says of each row of a table."""

from __future__ import annotations

from pathlib import Path

from infraspectre.cli.options import DEFAULT, Common
from infraspectre.cli.output import note, print_json


def predict(
    *,
    model: str,
    data: Path,
    out: Path,
    explain: Path | None = None,
    explain_top: int | None = None,
    novel: bool = False,
    common: Common = DEFAULT,
) -> None:
    """Judge each row of a table and write row, label, score, probability, low and high as CSV.

    There is one line for each row, in order; rows count from 0. A higher score is more suspicious; the probability is
    that of being hostile, and low and high are the ends of its interval.

    Parameters
    ----------
    model
        Folder of a model, builtin: and the name of one that comes with the package, or registry: and NAME, NAME@STAGE
        or NAME@VERSION of one that is registered.
    data
        CSV, JSON lines (also .gz, .zst), Parquet, or a capture, whose rows are its flows; columns that the model
        does not need are passed over.
    out
        Write the judgements to this CSV file.
    explain
        Write why rows are called hostile to this file, as JSON lines.
    explain_top
        Explain this many rows of highest score instead, the highest first.
    novel
        Label as novel what is hostile but unlike known rows of its class; such rows are one in twenty of a known class.
    """
    from infraspectre import modelbook
    from infraspectre.errors import UsageError
    from infraspectre.records.words import plural

    if explain_top is not None and (explain is None or explain_top < 1):
        raise UsageError("--explain-top is of no use", remedy="give --explain FILE and at least 1")
    opened = modelbook.open_model(model, common.config)
    rows = modelbook.predict(opened, data, out, explained=explain, top=explain_top, novel=novel)
    if common.json:
        print_json({"rows": rows, "model": opened.manifest.content_id, "out": out})
    elif not common.quiet:
        note(f"{plural(rows, 'row')} judged by {opened.manifest.name}, written to {out}")
