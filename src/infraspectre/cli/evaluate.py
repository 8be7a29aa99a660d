"""`infraspectre evaluate`: what a model's judgements are worth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from infraspectre.cli.options import DEFAULT, Common
from infraspectre.cli.output import note, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infraspectre.learning.report_card import ReportCard


def evaluate(
    *,
    model: str,
    data: Path,
    label: str,
    out: Path,
    train: Path | None = None,
    seed: int = 0,
    common: Common = DEFAULT,
) -> None:
    """Judge a table with labels and write a report card: report.json and report.html.

    Thresholds are those that were fixed when the model was trained; nothing is fitted to the table. The card of a
    registered model is kept with its version, and the console shows it.

    Parameters
    ----------
    model
        Folder of a model, builtin: and the name of one that comes with the package, or registry: and NAME, NAME@STAGE
        or NAME@VERSION of one that is registered.
    data
        CSV, JSON lines (also .gz, .zst) or Parquet, a folder of such files with the same columns, or one of labelled
        captures.
    label
        The column with the label of each row.
    out
        Write the report card into this folder.
    train
        Train anew on this table, to tell what seeds, a random split and attacks never seen do to the figures.
    seed
        Draw the half on which trivial guesses are learnt from this seed.
    """
    from infraspectre import modelbook
    from infraspectre.modelbook.opening import REGISTRY
    from infraspectre.security import printable

    opened = modelbook.open_model(model, common.config)
    card = modelbook.evaluate(opened, data, label, out, training=train, seed=seed)
    if model.startswith(REGISTRY):
        modelbook.keep_card(model, opened, card)
    if common.json:
        print_json(card)
    elif not common.quiet:
        for line in told(card):
            note(printable(line))
        note(f"report card in {out / 'report.html'}")


def told(card: ReportCard) -> Iterator[str]:
    """Yield the figures that matter most."""
    yield f"{card.rows:,} rows, {card.hostile_rows:,} of them hostile: accuracy {card.accuracy.share:.4f}"
    ranking = card.ranking
    yield f"area under curve {ranking.area_under_curve:.4f}, average precision {ranking.average_precision:.4f}"
    for point in card.operating_points:
        hits, alarms = point.true_positives, point.false_positives
        reached = f"{hits.share:.1%} found, really {alarms.share:.2%} false"
        yield f"threshold for {point.wanted:.1%} false positives: {reached}"
    yield f"calibration error {card.calibration.expected_error:.4f}, Brier score {card.calibration.brier_score:.4f}"
