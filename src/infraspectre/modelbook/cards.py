"""Report cards that are kept with models: what their judgements were worth on rows with labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from infraspectre.modelbook.opening import REGISTRY
from infraspectre.records.models import DataFile

if TYPE_CHECKING:
    from infraspectre.learning.report_card import ReportCard
    from infraspectre.modelbook.opening import OpenModel


class CardBin(msgspec.Struct, frozen=True):
    """Holds rows of like probability: how many, the mean that was told, and the share that was hostile."""

    rows: int
    predicted: float
    observed: float


class CardCalibration(msgspec.Struct, frozen=True):
    """Says how far probabilities and intervals can be taken at their word."""

    expected_error: float | None
    """Mean distance of what was told from what was, weighted by rows (Naeini et al. 2015)."""
    brier_score: float | None
    interval_coverage: float | None
    """The share of rows whose interval held what they were."""
    bins: list[CardBin]


class CardSubject(msgspec.Struct, frozen=True):
    """Names what was judged."""

    content_id: str
    label: str
    data: list[DataFile]


class ModelCard(msgspec.Struct, frozen=True):
    """Is the part of a report card that is told of a model."""

    subject: CardSubject
    rows: int
    hostile_rows: int
    confusion: dict[str, dict[str, int]]
    """Rows by their label, then by the label that the model gave."""
    calibration: CardCalibration


def kept_card(name: str, model: OpenModel) -> ModelCard | None:
    """Return the card that is kept of a registered model, `registry:NAME...`; None where there is none.

    Raises InputError for one that cannot be read.
    """
    from infraspectre.adapters.models import load_card, report_path

    return load_card(report_path(model.folder, bare(name)), ModelCard) if name.startswith(REGISTRY) else None


def keep_card(name: str, model: OpenModel, card: ReportCard) -> None:
    """Keep a card with a registered model, `registry:NAME...`; raises OutputError where that cannot be written."""
    from infraspectre.adapters.models import report_path
    from infraspectre.adapters.results import json_document
    from infraspectre.files import write_whole

    write_whole(report_path(model.folder, bare(name)), json_document(card))


def bare(name: str) -> str:
    """Return the name under which a model is registered, without its version."""
    return name.removeprefix(REGISTRY).partition("@")[0]
