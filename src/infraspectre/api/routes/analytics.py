"""Analytics: trends, forecasts and the figures of the day."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from litestar import get, post
from litestar.params import JSONBody, QueryParameter
from msgspec import Meta

from infraspectre.analytics.dashboard import Dashboard, Share, Talker, Verdicts, dashboard
from infraspectre.analytics.forecasting import MOST_HORIZON, Forecast, forecast
from infraspectre.analytics.trends import EVERY, MOST_BUCKETS, SEASONS, Granularity, Trend, aligned, trends
from infraspectre.api.given import GivenPlatform, GivenPrincipal
from infraspectre.api.problems import about_content
from infraspectre.api.routes.analysis import Span, Time, span_of
from infraspectre.records.access import Principal
from infraspectre.records.collections import INCIDENTS, VERDICTS
from infraspectre.records.times import UNITS, rfc3339
from infraspectre.serving.platform import Platform

HOUR, DAY = UNITS["h"], UNITS["d"]
SINCE = {"hour": 14 * DAY, "day": 90 * DAY, "week": 728 * DAY}
"""The span of trends by default: two seasons and more of each granularity."""
LEARNT = {"hour": 28 * DAY, "day": 365 * DAY, "week": 728 * DAY}
"""The span from which forecasts learn."""
Metric = Literal["detections", "flows", "bytes"]


class TrendRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Asks how often something was found over time, and whether that changes."""

    start: Time | None = None
    end: Time | None = None
    granularity: Granularity = "day"
    categories: Annotated[list[str], Meta(max_length=200)] = msgspec.field(default_factory=list)
    """Categories of detections; all by default."""


class TrendAnswer(msgspec.Struct, frozen=True):
    """Is how often each category was found in each bucket, and how that changes."""

    start: str
    granularity: Granularity
    buckets: int
    trends: list[Trend]
    """The most frequent first, at most 200."""


class ForecastRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Asks what is likely to come."""

    metrics: Annotated[list[Metric], Meta(min_length=1, max_length=3)] = msgspec.field(
        default_factory=lambda: ["detections"]
    )
    granularity: Granularity = "day"
    periods: Annotated[int, Meta(ge=1, le=MOST_HORIZON)] = 7
    """How many buckets ahead."""
    level: Annotated[float, Meta(ge=0.5, le=0.99)] = 0.9
    """The share of values that should lie in their interval."""
    category: str = ""
    """Of detections, one category alone."""


class MetricForecast(msgspec.Struct, frozen=True):
    """Is what is likely to come of one metric."""

    metric: Metric
    start: str
    """Where the first bucket to come begins."""
    forecast: Forecast


class ForecastAnswer(msgspec.Struct, frozen=True):
    """Is what is likely to come."""

    granularity: Granularity
    forecasts: list[MetricForecast]


class TopThreat(msgspec.Struct, frozen=True):
    """Names an incident with one of the highest scores."""

    incident_id: str
    title: str
    level: str
    value: float
    raised_at: str


class HourFigures(msgspec.Struct, frozen=True):
    """Holds the figures of a whole hour."""

    start: str
    flows: int
    bytes: float
    detections: dict[str, int]
    """By severity."""


class DashboardMetrics(msgspec.Struct, frozen=True):
    """Holds the figures of the last hours."""

    start: str
    end: str
    incidents: int
    levels: dict[str, int]
    statuses: dict[str, int]
    top_threats: list[TopThreat]
    top_talkers: list[Talker]
    categories: list[Share]
    protocols: list[Share]
    flows: int
    bytes: float
    flows_per_s: float
    detections: int
    detections_per_hour: float
    verdicts: Verdicts
    activity: list[HourFigures]
    """Every hour that the span touches, in order of time, each as a whole."""


@post("/api/v1/trend-analysis", opt={"permission": "read"}, status_code=200, sync_to_thread=True)
def analyze_trends(platform: GivenPlatform, principal: GivenPrincipal, data: JSONBody[TrendRequest]) -> TrendAnswer:
    """Say how often each category was found over time, and whether that rises or falls beyond chance."""
    with about_content():
        span = Span(start=data.start, end=data.end)
        start, end = span_of(platform, span, SINCE[data.granularity], MOST_BUCKETS * EVERY[data.granularity])
        found = trends(platform.tables, principal.tenant, start, end, data.granularity, data.categories)
    return TrendAnswer(rfc3339(found.start), data.granularity, found.buckets, found.trends)


@post("/api/v1/predictive-modeling", opt={"permission": "read"}, status_code=200, sync_to_thread=True)
def model_future(platform: GivenPlatform, principal: GivenPrincipal, data: JSONBody[ForecastRequest]) -> ForecastAnswer:
    """Say how many detections, flows or bytes are likely to come, with intervals learnt from past errors."""
    end = aligned(platform.clock.now(), data.granularity)
    with about_content():
        found = [forecast_of(platform, principal, metric, data, end) for metric in dict.fromkeys(data.metrics)]
    return ForecastAnswer(data.granularity, found)


def forecast_of(
    platform: Platform, principal: Principal, metric: Metric, data: ForecastRequest, end: int
) -> MetricForecast:
    """Return what is likely to come of a metric; raises InputError where too little is known."""
    series = series_of(platform, principal, metric, data, end)
    found = forecast(series, data.periods, data.level, (SEASONS[data.granularity],))
    return MetricForecast(metric, rfc3339(end), found)


def series_of(platform: Platform, principal: Principal, metric: Metric, data: ForecastRequest, end: int) -> list[float]:
    """Return what a metric was in each whole bucket of the past, from the first that had anything."""
    every = EVERY[data.granularity]
    start = end - LEARNT[data.granularity] // every * every
    table, by = ("detections", "category") if metric == "detections" else ("flows", "protocol")
    totals = platform.tables.totals(principal.tenant, table, start, end, (by,), every)
    if data.category and metric == "detections":
        totals = totals.filter(totals["category"] == data.category)
    series = [0.0] * ((end - start) // every)
    for bucket, amount in totals.select("bucket", "bytes" if metric == "bytes" else "rows").iter_rows():
        series[(bucket - start) // every] += amount
    first = next((place for place, value in enumerate(series) if value), len(series))
    return series[first:]


@get("/api/v1/dashboard-metrics", opt={"permission": "read"}, sync_to_thread=True)
def show_dashboard(
    platform: GivenPlatform,
    principal: GivenPrincipal,
    hours: Annotated[int, QueryParameter(ge=1, le=744, description="How far back.")] = 24,
) -> DashboardMetrics:
    """Show the figures of the last hours: incidents, threats, talkers, rates, and how fast verdicts are given."""
    end = platform.clock.now()
    found = dashboard(platform.records, platform.tables, principal.tenant, INCIDENTS, VERDICTS, end - hours * HOUR, end)
    return shown(found)


def shown(found: Dashboard) -> DashboardMetrics:
    """Return figures as they are published: times as in RFC 3339."""
    kept = {name: getattr(found, name) for name in DashboardMetrics.__struct_fields__}
    threats = [
        TopThreat(**msgspec.structs.asdict(each) | {"raised_at": rfc3339(each.raised_at)}) for each in found.top_threats
    ]
    times = {"start": rfc3339(found.start), "end": rfc3339(found.end)}
    hours = [HourFigures(rfc3339(each.start), each.flows, each.bytes, each.detections) for each in found.activity]
    return DashboardMetrics(**kept | times | {"top_threats": threats, "activity": hours})


HANDLERS = [analyze_trends, model_future, show_dashboard]
