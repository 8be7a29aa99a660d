"""`infraspectre predict`: what a model says of each row of a table."""

from __future__ import annotations

from pathlib import Path

from infraspectre.cli.options import DEFAULT, Common
from infraspectre.cli.output import note, print_json


def predict(*, model: str, data: Path, out: Path, common: Common = DEFAULT) -> None:
    """Judge each row of a table and write row, label, score, probability, low and high as CSV.

    There is one line for each row, in order; rows count from 0. A higher score is more suspicious; the probability is
    that of being hostile, and low and high are the ends of its interval.

    Parameters
    ----------
    model
        Folder of a model, or builtin: and the name of one that comes with the package.
    data
        CSV, JSON lines (also .gz, .zst), Parquet, or a capture, whose rows are its flows; columns that the model
        does not need are passed over.
    out
        Write the judgements to this CSV file.
    """
    from infraspectre import modelbook
    from infraspectre.records.words import plural

    opened = modelbook.open_model(model)
    rows = modelbook.predict(opened, data, out)
    if common.json:
        print_json({"rows": rows, "model": opened.manifest.content_id, "out": out})
    elif not common.quiet:
        note(f"{plural(rows, 'row')} judged by {opened.manifest.name}, written to {out}")
