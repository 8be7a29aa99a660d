"""`infraspectre train`: a model from a table with labels, or from labelled captures."""

from __future__ import annotations

import math
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from infraspectre.cli.options import DEFAULT, ONE_TRIAL, USUAL_SETTINGS, Common, SearchOptions, SplitOptions
from infraspectre.cli.output import note, print_json, working
from infraspectre.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infraspectre.learning.training import Plan
    from infraspectre.records.models import Manifest

REPRODUCIBLE = "SOURCE_DATE_EPOCH"
"""The variable with the seconds since the epoch that stand for the present (reproducible-builds.org)."""
FOLD_FIGURES = ("rows", "recall_at_1_percent", "macro_f1", "area_under_curve")
"""What is told of each fold."""


def train(
    *,
    data: Path,
    label: str,
    out: Path,
    task: Literal["classify", "anomaly"] = "classify",
    detector: Literal[
        "ensemble",
        "damped",
        "nearest-prototypes",
        "autoencoder",
        "isolation-forest",
        "median-deviations",
        "mahalanobis",
    ] = "ensemble",
    seed: int = 0,
    drop: list[str] | None = None,
    split: SplitOptions = ONE_TRIAL,
    searching: SearchOptions = USUAL_SETTINGS,
    kind: Literal["council", "sequence", "sequence-large"] = "council",
    common: Common = DEFAULT,
) -> None:
    """Train a model on a table with labels and write it into a folder.

    Columns that give the label away, that name rows, and rows that repeat are warned of by name. Before the model is
    trained on all rows, another is trained on four fifths of them and measured on the others. A training that was ended
    and is begun again takes up what it had measured.

    Parameters
    ----------
    data
        CSV, JSON lines (also .gz, .zst) or Parquet, or a folder of such files with the same columns; or a folder of
        captures with labels.jsonl, or of what 'simulate' wrote.
    label
        The column with the label of each row.
    out
        Write the model into this folder.
    task
        Tell the classes apart, or learn from benign rows alone what is unusual.
    detector
        What the anomaly task asks: nearest prototypes and an autoencoder together, one detector alone, or small
        autoencoders over the damped statistics of flows, which learn and judge many times as fast.
    seed
        Draw random numbers from this seed; the same seed and data give the same model.
    drop
        Leave this column out; may be repeated.
    kind
        Learn from all columns with trees, or from the sizes, gaps and flags of packets with a transformer, of which the
        large one needs a GPU; transformers need the extra deep.
    """
    from infraspectre import modelbook
    from infraspectre.security import printable

    plan = planned(split, searching, seed)
    with working("training", common) as progress:
        manifest, _ = modelbook.train(
            data,
            label,
            out,
            task=task,
            kind=kind,
            detector=detector,
            drop=drop or (),
            plan=plan,
            device=searching.device,
            created_at=present(),
            progress=progress,
        )
    if common.json:
        print_json(manifest)
    elif not common.quiet:
        if not split.no_trial and not manifest.metrics:
            note("warning: nothing was measured: too few rows, or of one class alone, were learnt from or held out")
        for line in told(manifest, out):
            note(printable(line))


def planned(split: SplitOptions, searching: SearchOptions, seed: int) -> Plan:
    """Return what was asked for as a plan; raises UsageError for what cannot be done."""
    from infraspectre.learning.search import Search
    from infraspectre.learning.splitting import Split
    from infraspectre.learning.training import Plan

    if split.folds < 0 or split.folds == 1:
        raise UsageError(f"{split.folds} folds are too few", remedy="ask for --folds 2 at least")
    wanted = {"search": searching.search, "search-time": searching.search_time}
    for name, value in wanted.items():
        if value is not None and not 0 < value < math.inf:
            raise UsageError(f"--{name} {value:g} is not positive", remedy="give a positive number")
    search = None
    if searching.search is not None or searching.search_time is not None:
        usual = Search()
        search = Search(
            searching.search or usual.trials, searching.search_time, searching.objective, split.folds or usual.folds
        )
    return Plan(not split.no_trial, split.folds, Split(split.group, split.time), seed, search)


def present() -> str:
    """Return the present, or what SOURCE_DATE_EPOCH says it is, as RFC 3339."""
    seconds = os.environ.get(REPRODUCIBLE, "")
    now = datetime.fromtimestamp(int(seconds), UTC) if seconds.isdecimal() else datetime.now(UTC)
    return now.isoformat(timespec="seconds").replace("+00:00", "Z")


def told(manifest: Manifest, out: Path) -> Iterator[str]:
    """Yield what is to be said about a model: what may flatter it, what was measured, and where it is."""
    import msgspec

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
    for number, fold in enumerate(manifest.folds, start=1):
        told_of = ", ".join(f"{name.replace('_', ' ')} {fold[name]:.4f}" for name in FOLD_FIGURES if name in fold)
        yield f"fold {number}: {told_of or 'too few rows of each class to measure'}"
    if manifest.settings:
        yield f"settings: {msgspec.json.encode(manifest.settings).decode()}"
    yield f"{plural(rows, 'row')}, {plural(len(manifest.columns), 'column')}, {len(manifest.classes)} classes: {out}"
