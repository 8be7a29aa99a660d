"""Models that judge the flows of an analysis."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from infraspectre.errors import InputError
from infraspectre.modelbook.opening import BUILTIN, OpenModel, open_model

if TYPE_CHECKING:
    from infraspectre.soma.models import ModelDetector

FLOW_RATE = 0.001
"""Share of benign flows that may count as hostile in an analysis, if a model knows the threshold: hosts have many."""


def flow_detector(name: str) -> ModelDetector:
    """Return what shows flows to a model; raises InputError for one that needs a column that flows do not have."""
    from infraspectre.soma.models import ModelDetector, needed_columns

    opened = open_model(name)
    require_flow_columns(opened, needed_columns(opened.model.columns))
    known = [each.score for each in opened.manifest.thresholds if each.false_positive_rate <= FLOW_RATE]
    shown = name if name.startswith(BUILTIN) else opened.manifest.name
    return ModelDetector(shown, opened.model, least=max(known, default=-math.inf))


def require_flow_columns(opened: OpenModel, needed: frozenset[str]) -> None:
    """Raise InputError naming the columns that a model needs and flows do not have, or have of another kind."""
    known = flow_columns()
    missing = sorted(needed - known.keys())
    if missing:
        named = ", ".join(missing[:10]) + (f" and {len(missing) - 10} more" if len(missing) > 10 else "")
        remedy = "train it on flows, as 'infraspectre flows' writes them"
        raise InputError(f"judges rows with columns that flows do not have: {named}", path=opened.folder, remedy=remedy)
    kinds = opened.manifest.columns
    for column in sorted(needed & kinds.keys()):
        if known[column] != kinds[column]:
            message = f"takes this column for a {kinds[column]}; in flows it is a {known[column]}"
            raise InputError(message, path=opened.folder, field=column, remedy="train it on flows")


def flow_columns() -> dict[str, str]:
    """Return the columns by which models can judge flows, each with its kind: those of flows and those of Axon."""
    from infraspectre._core import feature_schema
    from infraspectre.axon import FEATURES

    kinds = {feature["name"]: flow_column_kind(feature["dtype"]) for feature in feature_schema()}
    return kinds | {feature.name: "number" for feature in FEATURES}


def flow_column_kind(dtype: str) -> str:
    """Return the kind of a column of flows by its type in the schema."""
    if dtype.startswith("list"):
        return "list"
    return "text" if dtype == "str" else "number"
