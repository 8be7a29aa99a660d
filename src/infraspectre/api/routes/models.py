"""Models: which there are, what counts in them, and whether the traffic has moved away from what they learnt."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import get, post
from litestar.params import JSONBody, Parameter
from msgspec import Meta
from msgspec.structs import replace

from infraspectre.api.given import GivenPlatform, GivenPrincipal, InPath
from infraspectre.api.problems import RefusedError
from infraspectre.errors import UsageError
from infraspectre.ml.drift import Drift
from infraspectre.modelbook import (
    Importance,
    ModelCard,
    OpenModel,
    drift_of,
    history,
    importance,
    kept_card,
    listed,
    promote,
    registered,
)
from infraspectre.records.access import Principal
from infraspectre.records.models import Manifest, Stage, Version
from infraspectre.records.times import UNITS, rfc3339
from infraspectre.serving.platform import Platform
from infraspectre.serving.recent import recent_rows
from infraspectre.serving.scoring import known_as, registered_as, served_as

PATH = "/api/v1/models"
MOST_REGISTERED = 200
HOUR = UNITS["h"]


class ModelStatus(msgspec.Struct, frozen=True):
    """Is a model and what was measured of it."""

    name: str
    kind: str
    task: str
    classes: list[str]
    columns: int
    created_at: str
    content_id: str
    is_signed: bool
    metrics: dict[str, float]
    """On rows held out of training."""
    warnings: list[str]
    card: ModelCard | None = None
    """What `infraspectre evaluate` found, where it was kept with the model; lists leave it out."""


class RegisteredModel(msgspec.Struct, frozen=True):
    """Is a model of the tenant's own, with all its versions, the first one first."""

    name: str
    versions: list[Version]


class ModelImportance(msgspec.Struct, frozen=True):
    """Says how much each column of a model counts."""

    name: str
    columns: list[Importance]


class ModelDrift(msgspec.Struct, frozen=True):
    """Says how far the flows of the last hours are from those that a model learnt from."""

    name: str
    flows: int
    """Flows that were compared; none says nothing."""
    has_drifted: bool
    """Whether a fifth of the columns moved."""
    columns: list[Drift]


class Promotion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Says which version comes to which stage."""

    version: Annotated[int, Meta(ge=1)]
    stage: Stage


DRIFTED = 0.2
"""Share of columns that moved from which a model has drifted: some move whenever a site changes a little."""


def status_of(name: str, manifest: Manifest, card: ModelCard | None = None) -> ModelStatus:
    """Return what a manifest says."""
    return ModelStatus(
        name=name,
        kind=manifest.kind,
        task=manifest.task,
        classes=manifest.classes,
        columns=len(manifest.columns),
        created_at=manifest.created_at,
        content_id=manifest.content_id,
        is_signed=manifest.signature is not None,
        metrics=manifest.metrics,
        warnings=manifest.warnings,
        card=card,
    )


@get(PATH, opt={"permission": "read"}, sync_to_thread=True)
def list_models() -> list[ModelStatus]:
    """List the models that come with the package."""
    return [status_of(name, manifest) for name, manifest in listed()]


@get("/api/v1/registry", opt={"permission": "read"}, sync_to_thread=True)
def list_registered(platform: GivenPlatform, principal: GivenPrincipal) -> list[RegisteredModel]:
    """List the models that are registered for the tenant."""
    names = known_as(principal.tenant, registered(platform.settings.models))
    return [RegisteredModel(name, versions_of(platform, principal, name)) for name in names[:MOST_REGISTERED]]


@get(PATH + "/{name:str}", opt={"permission": "read"}, sync_to_thread=True)
def show_model(platform: GivenPlatform, principal: GivenPrincipal, name: InPath) -> ModelStatus:
    """Show a model, such as builtin:flow or registry:NAME@STAGE."""
    model = opened(platform, principal, name)
    return status_of(name, model.manifest, kept_card(served_as(principal.tenant, name), model))


def opened(platform: Platform, principal: Principal, name: str) -> OpenModel:
    """Return a model of the tenant, or a built-in one; raises RefusedError for one that is not there."""
    try:
        return platform.scoring.model(served_as(principal.tenant, name))
    except UsageError as error:
        raise RefusedError("not-found", error.problem) from error


@get(PATH + "/{name:str}/feature-importance", opt={"permission": "read"}, sync_to_thread=True)
def show_importance(platform: GivenPlatform, principal: GivenPrincipal, name: InPath) -> ModelImportance:
    """Say how much each column counts, the most important first."""
    return ModelImportance(name, importance(opened(platform, principal, name)))


@get(PATH + "/{name:str}/drift", opt={"permission": "read"}, sync_to_thread=True)
def show_drift(
    platform: GivenPlatform,
    principal: GivenPrincipal,
    name: InPath,
    hours: Annotated[int, Parameter(ge=1, le=744, description="How far back flows are looked at.")] = 24,
) -> ModelDrift:
    """Compare the flows of the last hours with those that a model learnt from, column by column."""
    model, end = opened(platform, principal, name), platform.clock.now()
    rows = recent_rows(platform.tables, principal.tenant, model.manifest, end - hours * HOUR, end)
    moved = drift_of(model, rows) if len(rows) else []
    drifted = sum(each.has_moved for each in moved) >= DRIFTED * len(model.manifest.columns)
    return ModelDrift(name, len(rows), bool(moved) and drifted, moved)


@get(PATH + "/{name:str}/versions", opt={"permission": "read"}, sync_to_thread=True)
def list_versions(platform: GivenPlatform, principal: GivenPrincipal, name: InPath) -> list[Version]:
    """List the registered versions of a model of the tenant, the first one first."""
    return versions_of(platform, principal, name)


def versions_of(platform: Platform, principal: Principal, name: str) -> list[Version]:
    """Return the versions of a model of the tenant; raises RefusedError where there are none."""
    try:
        found = history(registered_as(principal.tenant, name), platform.settings.models)
    except UsageError as error:
        raise RefusedError("not-found", f"no model is registered as {name[:64]!r}") from error
    return [replace(each, name=name) for each in found]


@post(PATH + "/{name:str}/stage", opt={"permission": "engineer"}, status_code=200, sync_to_thread=True)
def move_model(platform: GivenPlatform, principal: GivenPrincipal, name: InPath, data: JSONBody[Promotion]) -> Version:
    """Move a registered version to a stage; what was in production before is archived."""
    versions_of(platform, principal, name)
    at = rfc3339(platform.clock.now())
    moved = promote(registered_as(principal.tenant, name), data.version, data.stage, at, platform.settings.models)
    platform.scoring.forget()
    return replace(moved, name=name)


HANDLERS = [list_models, list_registered, show_model, show_importance, show_drift, list_versions, move_model]
