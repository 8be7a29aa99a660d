"""The application: all routes within one frame, one policy and one form of problems."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import msgspec
from litestar import Response, get
from litestar.datastructures import State
from litestar.di import Provide
from litestar.types import ControllerRouterHandler, Scope

from infraspectre import __version__
from infraspectre.api import console, events, openapi
from infraspectre.api.access.door import door_of
from infraspectre.api.access.policy import Policy
from infraspectre.api.bodies import JSON_TYPE, MOST_BODY
from infraspectre.api.contents import Contents, Known
from infraspectre.api.directories import Directories
from infraspectre.api.etags import expected
from infraspectre.api.frame import Api
from infraspectre.api.heavy import HeavyPool
from infraspectre.api.idempotency import Idempotency
from infraspectre.api.routes import (
    analysis,
    analytics,
    assets,
    audit,
    coverage,
    documents,
    evidence,
    exports,
    graph,
    health,
    hosts,
    incidents,
    integrations,
    intelligence,
    investigation,
    jobs,
    keys,
    models,
    predictions,
    responses,
    rules,
    scoring,
    sensors,
    sessions,
    settings,
    stream,
    tables,
    tenants,
    users,
    views,
    webhooks,
)
from infraspectre.api.routes.health import metrics_route
from infraspectre.api.routing import grouped
from infraspectre.records.access import DEFAULT_TENANT, Principal
from infraspectre.records.collections import USERS
from infraspectre.records.feed import AUDIT_TOPIC
from infraspectre.serving.health import Matrix
from infraspectre.serving.platform import Platform
from infraspectre.settings import AccessSettings

PARTS = (
    analysis,
    analytics,
    assets,
    audit,
    console,
    coverage,
    documents,
    events,
    evidence,
    exports,
    graph,
    health,
    hosts,
    incidents,
    integrations,
    intelligence,
    investigation,
    jobs,
    keys,
    models,
    predictions,
    responses,
    rules,
    scoring,
    sensors,
    sessions,
    settings,
    stream,
    tables,
    tenants,
    users,
    views,
    webhooks,
)
HANDLERS: tuple[ControllerRouterHandler, ...] = tuple(handler for part in PARTS for handler in part.HANDLERS)
"""Every route; whoever adds one says in its `opt` which permission it needs."""


def make_app(platform: Platform, handlers: Sequence[ControllerRouterHandler] = HANDLERS) -> Api:
    """Return the application that answers for a platform."""
    door = door_of(platform)
    directories = Directories(platform)
    health, heavy = Matrix(checks_of(platform), platform.clock, faults=platform.faults), HeavyPool(platform.metrics)
    handlers = [*handlers, metrics_route(platform.settings.access.public_metrics)]
    dependencies = {
        "platform": Provide(lambda: platform, sync_to_thread=False),
        "door": Provide(lambda: door, sync_to_thread=False),
        "directories": Provide(lambda: directories, sync_to_thread=False),
        "health": Provide(lambda: health, sync_to_thread=False),
        "metrics": Provide(lambda: platform.metrics, sync_to_thread=False),
        "heavy": Provide(lambda: heavy, sync_to_thread=False),
        "principal": Provide(principal_of, sync_to_thread=False),
        "expected": Provide(expected, sync_to_thread=False),
        **stream.DEPENDENCIES,
    }

    @cache
    def description() -> openapi.Document:
        return openapi.description(handlers, dependencies, __version__)

    @cache
    def known() -> Known:
        return openapi.parameters(description())

    @cache
    def encoded() -> bytes:
        return msgspec.json.encode(description())

    @get("/api/v1/openapi.json", opt={"public": True, "compressed": True}, include_in_schema=False, sync_to_thread=True)
    def show_description() -> Response[bytes]:
        return Response(encoded(), media_type=JSON_TYPE)

    return Api(
        [Policy(door), Contents(known), Idempotency(platform.records, platform.clock, platform.token_key)],
        route_handlers=grouped([*handlers, show_description]),
        dependencies=dependencies,
        request_max_body_size=MOST_BODY,
        on_startup=[console.prepare],
        on_shutdown=[heavy.close],
        lifespan=[stream.streaming(platform.log)],
        openapi_config=None,
        logging_config=None,
        state=State({"metrics": platform.metrics}),
    )


def checks_of(platform: Platform) -> dict[str, Callable[[], object]]:
    """Return how the dependencies of a platform are looked at."""
    return {
        "records": lambda: platform.records.get(DEFAULT_TENANT, USERS, "nobody"),
        "log": lambda: platform.log.topic(AUDIT_TOPIC).end,
        **platform.checks,
    }


def described() -> openapi.Document:
    """Return the description of the API, for which nothing has to run."""
    handlers = [*HANDLERS, metrics_route(AccessSettings().public_metrics)]
    names = ("platform", "door", "directories", "health", "metrics", "heavy")
    nothing = {name: Provide(lambda: None, sync_to_thread=False) for name in names}
    given = {
        "principal": Provide(principal_of, sync_to_thread=False),
        "expected": Provide(expected, sync_to_thread=False),
    }
    return openapi.description(handlers, {**nothing, **given, **stream.DEPENDENCIES}, __version__)


def principal_of(scope: Scope) -> Principal:
    """Return on whose behalf a request is answered."""
    principal: Principal = scope["user"]
    return principal
