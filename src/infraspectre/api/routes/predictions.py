"""Predictions: what models say of rows that programs send, and why."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

import msgspec
from litestar import post
from litestar.params import JSONBody
from msgspec import Meta

from infraspectre.api.bodies import MOST_ROWS_BODY
from infraspectre.api.given import GivenHeavy, GivenPlatform, GivenPrincipal
from infraspectre.api.heavy import HeavyPool
from infraspectre.api.problems import about_content
from infraspectre.records.access import Principal
from infraspectre.records.explanation import Explanation, Value
from infraspectre.serving.platform import Platform
from infraspectre.serving.scoring import MOST_ROWS, Prediction, served_as

ModelName = Annotated[str, Meta(min_length=1, max_length=200)]
Cell = Value | list[float | None]
Row = Annotated[dict[str, Cell], Meta(max_length=2_000)]
MOST_EXPLAINED = 100
"""Rows that one request may have explained: each takes a hundred times as long as a prediction."""
FEW = 200
"""Rows that are looked at without a thread: it takes a fifth of a millisecond."""
FLOW_MODEL = "builtin:flow"


class PredictRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Asks what a model says of a row; a column that is null is not known."""

    row: Row
    model: ModelName = FLOW_MODEL


class PredictBatchRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Asks what a model says of many rows."""

    rows: Annotated[list[Row], Meta(min_length=1, max_length=MOST_ROWS)]
    model: ModelName = FLOW_MODEL


class Predictions(msgspec.Struct, frozen=True):
    """Is what a model says of rows, in their order."""

    model: str
    content_id: str
    """Which version of the model judged."""
    predictions: list[Prediction]


class ExplainRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Asks why a model judges rows as it does."""

    rows: Annotated[list[Row], Meta(min_length=1, max_length=MOST_EXPLAINED)]
    model: ModelName = FLOW_MODEL
    explanation_type: Literal["all", "feature", "influence", "counterfactual"] = "all"
    """feature: what each column adds; influence: the nearest known rows; counterfactual: what would make it benign."""


class Explanations(msgspec.Struct, frozen=True):
    """Is why rows are judged as they are, in their order."""

    model: str
    content_id: str
    explanations: list[Explanation]


async def judged(
    platform: Platform, heavy: HeavyPool, principal: Principal, model: str, rows: list[dict[str, Any]]
) -> Predictions:
    """Return what a model says of rows."""
    with about_content():
        scoring, name = platform.scoring, served_as(principal.tenant, model)
        opened = scoring.opened(name)
        if opened is None:
            opened = await heavy.run(scoring.model, name)
        is_short = len(rows) <= FEW
        waiting = scoring.judge(name, rows) if is_short else await asyncio.to_thread(scoring.judge, name, rows)
        found = await asyncio.wrap_future(waiting)
    return Predictions(model, opened.manifest.content_id, found)


@post("/api/v1/predict", opt={"permission": "read"}, status_code=200)
async def predict(
    platform: GivenPlatform, heavy: GivenHeavy, principal: GivenPrincipal, data: JSONBody[PredictRequest]
) -> Predictions:
    """Say what a model says of a row."""
    return await judged(platform, heavy, principal, data.model, [data.row])


@post("/api/v1/predict/batch", opt={"permission": "read"}, status_code=200, request_max_body_size=MOST_ROWS_BODY)
async def predict_batch(
    platform: GivenPlatform, heavy: GivenHeavy, principal: GivenPrincipal, data: JSONBody[PredictBatchRequest]
) -> Predictions:
    """Say what a model says of many rows."""
    return await judged(platform, heavy, principal, data.model, data.rows)


@post("/api/v1/explain-prediction", opt={"permission": "read"}, status_code=200)
async def explain_prediction(
    platform: GivenPlatform, heavy: GivenHeavy, principal: GivenPrincipal, data: JSONBody[ExplainRequest]
) -> Explanations:
    """Say why a model judges rows as it does."""
    with about_content():
        name = served_as(principal.tenant, data.model)
        told, content_id = await heavy.run(explained, platform, name, data.rows)
    return Explanations(data.model, content_id, [shown(each, data.explanation_type) for each in told])


def explained(platform: Platform, name: str, rows: list[Row]) -> tuple[list[Explanation], str]:
    """Return why a model judges rows as it does, and which version of it."""
    told = platform.scoring.explain(name, rows)
    return told, platform.scoring.model(name).manifest.content_id


def shown(explanation: Explanation, kind: str) -> Explanation:
    """Return what of an explanation was asked for."""
    parts = {"feature": "attributions", "influence": "examples", "counterfactual": "counterfactual"}
    others: dict[str, Any] = {part: [] for name, part in parts.items() if kind not in (name, "all")}
    return msgspec.structs.replace(explanation, **others)


HANDLERS = [predict, predict_batch, explain_prediction]
