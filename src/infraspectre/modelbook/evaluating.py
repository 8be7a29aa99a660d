"""The report card of a model on a table with labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from infraspectre.errors import InputError, UsageError
from infraspectre.files import make_folder, write_whole
from infraspectre.modelbook.opening import OpenModel
from infraspectre.modelbook.tables import about, labelled, table_of
from infraspectre.modelbook.training import COUNCIL, SEQUENCE, learner

if TYPE_CHECKING:
    import polars as pl

    from infraspectre.adapters.tables import Table
    from infraspectre.learning.report_card import ReportCard
    from infraspectre.ml.council import CouncilSettings
    from infraspectre.ml.detector import Model
    from infraspectre.records.models import Manifest


def evaluate(
    model: OpenModel, data: Path, label: str, out: Path, *, training: Path | None = None, seed: int = 0
) -> ReportCard:
    """Judge a table with labels and write report.json and report.html into a folder.

    With the table that the model was trained on, models are trained anew to tell what seeds, a random split and
    attacks that were never seen do to the figures.
    """
    import msgspec

    from infraspectre.adapters.results import json_document
    from infraspectre.learning.deciding import deciding
    from infraspectre.learning.leakage import leaks
    from infraspectre.learning.report_card import Subject, hostile_rows, report_card
    from infraspectre.ml.detector import Explains
    from infraspectre.report import render_card

    manifest = model.manifest
    if training is not None and manifest.kind not in (COUNCIL, SEQUENCE):
        raise UsageError(f"a {manifest.kind} model is not trained on tables", remedy="leave out --train")
    table = ungrouped(data, label, model)
    subject = Subject(manifest.name, manifest.content_id, label, manifest.classes[0], table.files)
    with about(data):
        frame = labelled(table.frame, label)
        judgement = model.model.judge(frame.drop(label))
        card = report_card(frame, judgement, subject, manifest.thresholds, leaks(frame, label), seed=seed)
        if isinstance(model.model, Explains):
            hostile = hostile_rows(frame[label].to_list(), subject)
            told = deciding(model.model, frame.drop(label), hostile, seed=seed)
            card = msgspec.structs.replace(card, deciding=told)
    if training is not None:
        learnt = ungrouped(training, label, model)
        with about(training):
            card = compared(card, frame, labelled(learnt.frame, label), manifest)
    make_folder(out)
    write_whole(out / "report.json", json_document(card))
    render_card(card, out / "report.html")
    return card


def ungrouped(data: Path, label: str, model: OpenModel) -> Table:
    """Read a table with labels as a model needs it, without the column that tells which rows belong together."""
    table, groups = table_of(data, label, model=model)
    return table._replace(frame=table.frame.drop(groups)) if groups else table


def compared(card: ReportCard, judged: pl.DataFrame, learnt: pl.DataFrame, manifest: Manifest) -> ReportCard:
    """Return a report card with what only retraining tells."""
    from msgspec.structs import replace

    from infraspectre.learning.leakage import overlap
    from infraspectre.learning.retraining import left_out, retrained

    label, settings = card.subject.label, council_settings(manifest)

    def learn(frame: pl.DataFrame, seed: int) -> Model:
        return learner(manifest.kind, label, manifest.task, seed)(frame, settings)

    return replace(
        card,
        overlap=overlap(learnt, judged, label),
        retrained=list(retrained(learnt, judged, label, learn)),
        left_out=list(left_out(learnt, judged, label, card.subject.benign, learn)),
    )


def council_settings(manifest: Manifest) -> CouncilSettings:
    """Return the settings that a model was learnt with, on processors; raises InputError for unknown ones."""
    from msgspec import ValidationError, convert

    from infraspectre.ml.council import CouncilSettings, on_device

    try:
        return on_device(convert(manifest.settings, CouncilSettings), "cpu")
    except ValidationError as error:
        remedy = "train it anew with this version"
        raise InputError(f"was learnt with settings that are not known: {error}", remedy=remedy) from error
