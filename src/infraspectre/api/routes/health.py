"""Health and metrics: a word for those who are not known, and the whole for those who may read."""

from __future__ import annotations

from typing import Literal

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from infraspectre.api.given import GivenHealth, GivenMetrics, GivenPlatform
from infraspectre.api.problems import RefusedError
from infraspectre.api.routes.stream import GivenHub
from infraspectre.serving.health import Dependency
from infraspectre.serving.metrics import CONTENT_TYPE, DEPENDENCY_SECONDS, DEPENDENCY_UP, STREAM_CLIENTS, STREAM_COUNTS
from infraspectre.serving.observing import look_around

Word = Literal["ok", "degraded"]
PUBLIC = {"public": True, "limited": False}


class Health(msgspec.Struct, frozen=True):
    """Says how the server is."""

    state: Word


class DependencyMatrix(msgspec.Struct, frozen=True):
    """Says how the server and all that it depends on are."""

    state: Word
    dependencies: list[Dependency]


def word(dependencies: list[Dependency]) -> Word:
    """Return how all are together."""
    return "ok" if all(each.state == "up" for each in dependencies) else "degraded"


@get("/health/live", opt=PUBLIC, sync_to_thread=False)
def live() -> Health:
    """Tell that the server answers."""
    return Health("ok")


@get("/health/startup", opt=PUBLIC, sync_to_thread=False)
def started() -> Health:
    """Tell that the server has started: it answers only then."""
    return Health("ok")


@get("/health/ready", opt={**PUBLIC, "statuses": (503,)}, sync_to_thread=True)
def ready(health: GivenHealth) -> Health:
    """Tell whether requests can be answered: 503 while something that nothing goes on without is down."""
    if word([each for each in health.look() if each.is_needed]) == "degraded":
        raise RefusedError("unavailable", "something that is needed is down", headers={"retry-after": "2"})
    return Health("ok")


@get("/api/v1/health", opt={"permission": "read"}, sync_to_thread=True)
def show_health(health: GivenHealth) -> DependencyMatrix:
    """Show how the server and all that it depends on are, how long that took to find out, and since when it is so."""
    dependencies = health.look()
    return DependencyMatrix(word(dependencies), dependencies)


def metrics_route(is_public: bool) -> HTTPRouteHandler:
    """Return the route of metrics, for everybody or for those who may read."""
    opt = {"public": True} if is_public else {"permission": "read"}

    @get("/metrics", opt={**opt, "produces": ("text/plain",)}, media_type="text/plain", sync_to_thread=True)
    def show_metrics(
        health: GivenHealth, metrics: GivenMetrics, hub: GivenHub, platform: GivenPlatform
    ) -> Response[str]:
        """Show all metrics in the text format of Prometheus."""
        look_around(platform)
        metrics.set(STREAM_CLIENTS, value=len(hub.clients))
        for what, count in dict(hub.counts).items():
            metrics.set(STREAM_COUNTS, what, value=count)
        for each in health.look():
            metrics.set(DEPENDENCY_UP, each.name, value=float(each.state == "up"))
            metrics.set(DEPENDENCY_SECONDS, each.name, value=each.latency_ms / 1_000)
        return Response(metrics.exposition().decode(), media_type=CONTENT_TYPE)

    return show_metrics


HANDLERS = [live, started, ready, show_health]
