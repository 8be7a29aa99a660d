"""Learning the built-in models again from public data."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from infraspectre.errors import UsageError
from infraspectre.modelbook.flows import flow_columns

if TYPE_CHECKING:
    from infraspectre.records.models import Manifest

FLOW = "flow"
"""The built-in model that judges flows."""


def build(name: str, data: Path, out: Path, created_at: str) -> Manifest:
    """Learn a built-in model again from a folder of public data; raise InputError naming a file that is missing."""
    if name == FLOW:
        return build_flow(data, out, created_at)
    from infraspectre.adapters.models import save_model
    from infraspectre.adapters.tables import sha256_of
    from infraspectre.learning.builtin import RECIPES, train
    from infraspectre.records.models import DataFile, Manifest, Threshold

    if name not in RECIPES:
        raise UsageError(f"no built-in model is named {name!r}", remedy=f"choose from: {', '.join((*RECIPES, FLOW))}")
    recipe = RECIPES[name]
    model = train(name, data)
    manifest = Manifest(
        name=name,
        kind=model.kind,
        task="classify",
        label="",
        columns=dict.fromkeys(model.columns, "text"),
        classes=model.classes,
        created_at=created_at,
        seed=recipe.settings.seed,
        data=[DataFile(file, sha256_of(data / file)) for file in recipe.files],
        thresholds=[Threshold(recipe.settings.false_positive_rate, model.limit)],
    )
    return save_model(out, manifest, model.state())


def build_flow(data: Path, out: Path, created_at: str, without: Collection[str] = ()) -> Manifest:
    """Learn the built-in model of flows again from simulations and captures of public data, some sources left out."""
    from infraspectre.adapters.models import save_model
    from infraspectre.adapters.tables import sha256_of
    from infraspectre.learning import builtin_flow
    from infraspectre.learning.training import thresholds
    from infraspectre.records.models import DataFile, Manifest
    from infraspectre.simulation import SCENARIOS, simulate

    model = builtin_flow.train(data, simulate, SCENARIOS.keys() - builtin_flow.NOT_LEARNT, without)
    kinds = flow_columns()
    manifest = Manifest(
        name=FLOW,
        kind=model.kind,
        task="classify",
        label="class",
        columns={name: "text" if kinds[name] == "text" else "number" for name in model.columns},
        classes=model.classes,
        created_at=created_at,
        seed=builtin_flow.SEED,
        data=[
            DataFile(path.relative_to(data).as_posix(), sha256_of(path))
            for path, source in builtin_flow.benign_captures(data)
            if source not in without
        ],
        thresholds=thresholds(model),
    )
    return save_model(out, manifest, model.state())
