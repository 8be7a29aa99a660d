"""`infraspectre train`: a model from a table with labels."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from infraspectre.cli.options import DEFAULT, Common
from infraspectre.cli.output import is_terminal, note, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infraspectre.records.models import Manifest

REPRODUCIBLE = "SOURCE_DATE_EPOCH"
"""The variable with the seconds since the epoch that stand for the present (reproducible-builds.org)."""


def train(
    *,
    data: Path,
    label: str,
    out: Path,
    task: Literal["classify", "anomaly"] = "classify",
    seed: int = 0,
    drop: list[str] | None = None,
    no_trial: bool = False,
    kind: Literal["council", "sequence", "sequence-large"] = "council",
    common: Common = DEFAULT,
) -> None:
    """Train a model on a table with labels and write it into a folder.

    Columns that give the label away, that name rows, and rows that repeat are warned of by name. Before the model is
    trained on all rows, another is trained on four fifths of them and measured on the others.

    Parameters
    ----------
    data
        CSV, JSON lines (also .gz, .zst) or Parquet, or a folder of such files with the same columns.
    label
        The column with the label of each row.
    out
        Write the model into this folder.
    task
        Tell the classes apart, or learn from benign rows alone what is unusual.
    seed
        Draw random numbers from this seed; the same seed and data give the same model.
    drop
        Leave this column out; may be repeated.
    no_trial
        Train once, and measure nothing.
    kind
        Learn from all columns with trees, or from the sizes, gaps and flags of packets with a transformer, of which the
        large one needs a GPU; transformers need the extra deep.
    """
    from infraspectre import modelbook
    from infraspectre.security import printable

    manifest, _ = modelbook.train(
        data,
        label,
        out,
        task=task,
        seed=seed,
        drop=drop or (),
        with_trial=not no_trial,
        kind=kind,
        created_at=present(),
        progress=None if common.quiet or common.json or not is_terminal(sys.stderr) else progress,
    )
    if common.json:
        print_json(manifest)
    elif not common.quiet:
        for line in told(manifest, out):
            note(printable(line))


def progress(step: str, share: float) -> None:
    """Tell a person who waits what was done last."""
    note(f"{share:4.0%} {step}")


def present() -> str:
    """Return the present, or what SOURCE_DATE_EPOCH says it is, as RFC 3339."""
    seconds = os.environ.get(REPRODUCIBLE, "")
    now = datetime.fromtimestamp(int(seconds), UTC) if seconds.isdecimal() else datetime.now(UTC)
    return now.isoformat(timespec="seconds").replace("+00:00", "Z")


def told(manifest: Manifest, out: Path) -> Iterator[str]:
    """Yield what is to be said about a model: what may flatter it, what was measured, and where it is."""
    from infraspectre.records.words import plural

    for warning in manifest.warnings:
        yield f"warning: {warning}"
    rows = sum(file.rows or 0 for file in manifest.data)
    if manifest.metrics:
        names = ("area_under_curve", "accuracy", "true_positive_rate", "false_positive_rate")
        figures = (
            f"{name.replace('_', ' ')} {manifest.metrics[name]:.4f}" for name in names if name in manifest.metrics
        )
        yield f"on {manifest.metrics['rows']:,.0f} rows held out: {', '.join(figures)}"
    yield f"{plural(rows, 'row')}, {plural(len(manifest.columns), 'column')}, {len(manifest.classes)} classes: {out}"
