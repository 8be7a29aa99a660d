"""Operations and schemas of the API; `make docs` writes them from its description."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from infraspectre.client.connection import Connection


class About(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls About."""

    sources: list[str]
    confidence: float | msgspec.UnsetType | None = msgspec.UNSET
    first_seen: int | msgspec.UnsetType | None = msgspec.UNSET
    last_seen: int | msgspec.UnsetType | None = msgspec.UNSET
    valid_until: int | msgspec.UnsetType | None = msgspec.UNSET
    labels: list[str] | msgspec.UnsetType = msgspec.UNSET
    threats: list[str] | msgspec.UnsetType = msgspec.UNSET
    techniques: list[str] | msgspec.UnsetType = msgspec.UNSET
    tlp: str | msgspec.UnsetType | None = msgspec.UNSET
    reference: str | msgspec.UnsetType = msgspec.UNSET


class Accepted(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Accepted."""

    accepted: int
    first: str


class Activity(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Activity."""

    start: str
    end: str
    flows: int
    hours: list[HourOfHost]
    baseline: list[UsualHour]
    peers: list[HostPeer]
    protocols: list[HostService]
    ports: list[HostService]
    names: list[HostName]


class ApiKey(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls ApiKey."""

    key_id: str
    subject: str
    role: Literal["viewer", "analyst", "engineer", "administrator", "sensor"]
    created_at: str
    expires_at: str | None


class Asset(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Asset."""

    network: str
    name: str | msgspec.UnsetType | None = msgspec.UNSET
    owner: str | msgspec.UnsetType | None = msgspec.UNSET
    criticality: Literal["informational", "low", "medium", "high", "critical", None] | msgspec.UnsetType = msgspec.UNSET
    roles: list[str] | msgspec.UnsetType = msgspec.UNSET
    seen_name: str | msgspec.UnsetType | None = msgspec.UNSET
    seen_roles: list[str] | msgspec.UnsetType = msgspec.UNSET


class AssetChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls AssetChange."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    criticality: Literal["informational", "low", "medium", "high", "critical"] | msgspec.UnsetType | None = (
        msgspec.UNSET
    )
    roles: list[str] | msgspec.UnsetType = msgspec.UNSET
    """Such as dns-server, printer or backup."""
    owner: str | msgspec.UnsetType = msgspec.UNSET
    note: str | msgspec.UnsetType = msgspec.UNSET


class AssetFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls AssetFacts."""

    asset_id: str
    network: str
    name: str
    criticality: Literal["informational", "low", "medium", "high", "critical", None]
    roles: list[str]
    owner: str
    note: str


class AttackMatrix(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls AttackMatrix."""

    version: str
    start: str
    tactics: list[MatrixTactic]
    techniques: list[MatrixTechnique]


class Attempted(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Attempted."""

    event_id: str
    state: Literal["retrying", "dead"]
    attempts: int
    problem: str
    at: str


class Attribution(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Attribution."""

    column: str
    value: str | int | float | bool | None
    contribution: float
    unusual: float | msgspec.UnsetType = msgspec.UNSET


class AuditEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls AuditEvent."""

    tenant: str
    at: str
    subject: str
    role: str
    operation: str
    target: str
    outcome: int
    request_id: str
    address: str


class Band(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Band."""

    low: float
    median: float
    high: float


class Behaviour(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Behaviour."""

    entity: str
    start: str
    end: str
    now: Measures
    before: Measures
    changes: list[BehaviourChange]
    peers: list[Peer]
    used: list[Service]
    offered: list[Service]
    hours: dict[str, int]


class BehaviourAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls BehaviourAnswer."""

    behaviour: Behaviour
    asset: Asset | None
    incidents: list[str]


class BehaviourChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls BehaviourChange."""

    measure: str
    before: int
    now: int


class BehaviourRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls BehaviourRequest."""

    entity: str
    start: str | msgspec.UnsetType | None = msgspec.UNSET
    end: str | msgspec.UnsetType | None = msgspec.UNSET


class BulkOperation(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls BulkOperation."""

    operation: Literal["update_status", "assign", "classify"]
    incident_ids: list[str]
    parameters: Parameters


class BulkResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls BulkResult."""

    changed: list[str]
    failed: dict[str, str]


class CardBin(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls CardBin."""

    rows: int
    predicted: float
    observed: float


class CardCalibration(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls CardCalibration."""

    expected_error: float | None
    brier_score: float | None
    interval_coverage: float | None
    bins: list[CardBin]


class CardSubject(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls CardSubject."""

    content_id: str
    label: str
    data: list[DataFile]


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Change."""

    column: str
    before: str | int | float | bool | None
    after: str | int | float | bool | None
    bound: Literal["exactly", "at most", "at least"] | msgspec.UnsetType = msgspec.UNSET


class Contribution(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Contribution."""

    sensor: str
    packets: int | msgspec.UnsetType = msgspec.UNSET
    bytes: int | msgspec.UnsetType = msgspec.UNSET
    remarks: list[str] | msgspec.UnsetType = msgspec.UNSET


class CustomThresholds(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls CustomThresholds."""

    low: float | msgspec.UnsetType = msgspec.UNSET
    medium: float | msgspec.UnsetType = msgspec.UNSET
    high: float | msgspec.UnsetType = msgspec.UNSET
    critical: float | msgspec.UnsetType = msgspec.UNSET


class CustomWeights(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls CustomWeights."""

    signatures: float | msgspec.UnsetType = msgspec.UNSET
    anomalies: float | msgspec.UnsetType = msgspec.UNSET
    correlation: float | msgspec.UnsetType = msgspec.UNSET
    context: float | msgspec.UnsetType = msgspec.UNSET


class DashboardMetrics(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls DashboardMetrics."""

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


class DataFile(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls DataFile."""

    name: str
    sha256: str
    rows: int | msgspec.UnsetType | None = msgspec.UNSET


class Decision(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Decision."""

    approve: bool
    comment: str | msgspec.UnsetType = msgspec.UNSET
    force: bool | msgspec.UnsetType = msgspec.UNSET


class Deliveries(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Deliveries."""

    standing: Standing
    items: list[Attempted]


class Dependency(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Dependency."""

    name: str
    state: Literal["up", "down"]
    latency_ms: float
    since: str
    reason: str | msgspec.UnsetType = msgspec.UNSET
    is_needed: bool | msgspec.UnsetType = msgspec.UNSET


class DependencyMatrix(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls DependencyMatrix."""

    state: Literal["ok", "degraded"]
    dependencies: list[Dependency]


class DetectRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls DetectRequest."""

    flows: list[dict[str, str | int | float | bool | list[str | int | float | None] | None]]


class Detected(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Detected."""

    flows: int
    detections: list[dict[str, Any]]
    incidents: list[dict[str, Any]]


class Drift(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Drift."""

    column: str
    population_stability: float
    distance: float | None
    p_value: float | None
    unknown_before: float
    unknown_now: float


class EnrichRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls EnrichRequest."""

    values: list[str]


class Enriched(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Enriched."""

    value: str
    indicators: list[FoundIndicator]
    asset: Asset | None
    technique: str | None
    incidents: list[str]


class Enrichment(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Enrichment."""

    values: list[Enriched]


class Escalation(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Escalation."""

    to: str
    within_minutes: int
    reason: str


class EvidenceStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls EvidenceStatus."""

    incident_id: str
    state: Literal["none", "waiting", "complete", "partial", "missing", "failed"]
    asked_by: str
    asked_at: str | None
    job_id: str
    collected_at: str | None
    expires_at: str | None
    first: str | None
    last: str | None
    flows: int
    packets: int
    bytes: int
    sha256: str
    sensors: list[Contribution]
    reasons: list[str]


class Example(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Example."""

    label: str
    distance: float
    differs: list[str]
    values: dict[str, str | int | float | bool | None]


class ExplainRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls ExplainRequest."""

    rows: list[dict[str, str | int | float | bool | list[float | None] | None]]
    model: str | msgspec.UnsetType = msgspec.UNSET
    explanation_type: Literal["all", "feature", "influence", "counterfactual"] | msgspec.UnsetType = msgspec.UNSET


class Explanation(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Explanation."""

    margin: float
    base: float
    attributions: list[Attribution]
    examples: list[Example]
    counterfactual: list[Change]
    words: str


class Explanations(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Explanations."""

    model: str
    content_id: str
    explanations: list[Explanation]


class FeedGap(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls FeedGap."""

    start: str
    end: str
    reason: str


class FeedItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls FeedItem."""

    tenant: str
    channel: Literal["threat", "behaviour", "network", "system", "custom"]
    kind: str
    at: str
    position: str
    subject: str | msgspec.UnsetType = msgspec.UNSET
    severity: Literal["informational", "low", "medium", "high", "critical"] | msgspec.UnsetType = msgspec.UNSET
    entities: list[str] | msgspec.UnsetType = msgspec.UNSET
    countries: list[str] | msgspec.UnsetType = msgspec.UNSET
    relevance: float | msgspec.UnsetType = msgspec.UNSET
    data: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class FeedPage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls FeedPage."""

    items: list[FeedItem]
    next: str
    gap: FeedGap | None


class Feedback(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Feedback."""

    incident_id: str
    verdict: Literal["true_positive", "benign", "false_positive", "unsure"]
    comment: str | msgspec.UnsetType = msgspec.UNSET


class Flaw(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Flaw."""

    problem: str
    field: str | msgspec.UnsetType = msgspec.UNSET
    """The parameter, header or place in the body."""
    line: int | msgspec.UnsetType = msgspec.UNSET
    """The line of the body, from 1."""
    remedy: str | msgspec.UnsetType = msgspec.UNSET


class Forecast(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Forecast."""

    method: str
    level: float
    points: list[Point]
    error: float
    errors: dict[str, float]
    origins: int


class ForecastAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls ForecastAnswer."""

    granularity: Literal["hour", "day", "week"]
    forecasts: list[MetricForecast]


class ForecastRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls ForecastRequest."""

    metrics: list[Literal["detections", "flows", "bytes"]] | msgspec.UnsetType = msgspec.UNSET
    granularity: Literal["hour", "day", "week"] | msgspec.UnsetType = msgspec.UNSET
    periods: int | msgspec.UnsetType = msgspec.UNSET
    level: float | msgspec.UnsetType = msgspec.UNSET
    category: str | msgspec.UnsetType = msgspec.UNSET


class FoundIndicator(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls FoundIndicator."""

    indicator: Indicator
    confidence: float
    expired: bool
    warning: str


class GivenVerdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls GivenVerdict."""

    verdict_id: str
    incident_id: str
    verdict: Literal["true_positive", "benign", "false_positive", "unsure"]
    comment: str
    by: str
    at: str


class Graph(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Graph."""

    nodes: list[GraphNode]
    edges: list[GraphEdge]
    left_out: LeftOut


class GraphEdge(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls GraphEdge."""

    source: str
    target: str
    kind: str
    count: int
    bytes: int | msgspec.UnsetType | None = msgspec.UNSET


class GraphNode(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls GraphNode."""

    id: str
    kind: Literal["host", "address", "name", "technique", "detection", "incident", "campaign", "indicator"]
    label: str
    level: Literal["informational", "low", "medium", "high", "critical"]
    count: int


class GraphView(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls GraphView."""

    nodes: list[GraphNode]
    edges: list[GraphEdge]
    left_out: LeftOut
    start: str
    incidents: int
    is_whole: bool


class Health(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Health."""

    state: Literal["ok", "degraded"]


class HostDetail(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls HostDetail."""

    summary: HostSummary
    owner: str
    activity: Activity
    day: Measures
    day_before: Measures | None
    changes: list[BehaviourChange]
    incidents: list[IncidentSummary]
    detections: list[dict[str, Any]]


class HostName(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls HostName."""

    name: str
    flows: int


class HostPeer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls HostPeer."""

    address: str
    name: str
    flows: int
    bytes: int
    first_seen: str
    is_new: bool


class HostService(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls HostService."""

    name: str
    offered: bool
    flows: int
    bytes: int


class HostSummary(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls HostSummary."""

    address: str
    name: str
    roles: list[str]
    criticality: Literal["informational", "low", "medium", "high", "critical", None]
    place: Literal["inside", "outside"]
    incidents: int
    level: Literal["informational", "low", "medium", "high", "critical", None]
    value: float | None
    first_seen: str | None
    last_seen: str | None
    flows: int
    bytes: int
    bytes_in: int
    bytes_out: int


class HourFigures(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls HourFigures."""

    start: str
    flows: int
    bytes: float
    detections: dict[str, int]


class HourOfHost(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls HourOfHost."""

    start: str
    flows: int
    bytes_in: int
    bytes_out: int


class ImportSummary(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls ImportSummary."""

    name: str
    at: str
    by: str
    size: int
    digest: str
    indicators: dict[str, int]
    reports: int
    unusable: dict[str, int]
    refused: int


class Importance(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Importance."""

    column: str
    share: float
    contribution: float


class Imported(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Imported."""

    summary: ImportSummary
    refused: list[RefusedEntry]


class IncidentChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls IncidentChange."""

    status: Literal["new", "open", "closed"] | msgspec.UnsetType = msgspec.UNSET
    assignee: str | msgspec.UnsetType = msgspec.UNSET


class IncidentDetail(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls IncidentDetail."""

    summary: IncidentSummary
    incident: dict[str, Any]
    detections: list[dict[str, Any]]


class IncidentSummary(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls IncidentSummary."""

    incident_id: str
    title: str
    level: Literal["informational", "low", "medium", "high", "critical"]
    value: float
    low: float
    high: float
    probability: float
    status: Literal["new", "open", "closed"]
    verdict: str
    assignee: str
    first_seen: str
    last_seen: str
    raised_at: str
    entities: list[str]
    techniques: list[str]
    categories: list[str]
    campaign_id: str
    sensor: str
    revision: int


class Indicator(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Indicator."""

    kind: Literal[
        "ip",
        "endpoint",
        "cidr",
        "domain",
        "url",
        "md5",
        "sha1",
        "sha256",
        "ja3",
        "ja3s",
        "ja4",
        "hassh",
        "hassh_server",
    ]
    value: str
    about: About


class IndicatorDetail(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls IndicatorDetail."""

    value: str
    indicators: list[IndicatorSummary]
    incidents: list[str]
    reports: list[NamedReport]


class IndicatorSummary(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls IndicatorSummary."""

    value: str
    kind: Literal[
        "ip",
        "endpoint",
        "cidr",
        "domain",
        "url",
        "md5",
        "sha1",
        "sha256",
        "ja3",
        "ja3s",
        "ja4",
        "hassh",
        "hassh_server",
    ]
    sources: list[str]
    confidence: float
    first_seen: str | None
    last_seen: str | None
    valid_until: str | None
    expired: bool
    labels: list[str]
    threats: list[str]
    techniques: list[str]
    tlp: str
    warning: str
    seen: int | None


class Integration(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Integration."""

    name: str
    kind: Literal["splunk", "qradar", "sentinel", "elastic", "syslog", "slack", "teams", "email"]
    url: str
    format: Literal["cef", "leef", "json", "ecs", "ocsf", "eve", "stix"]
    channels: list[Literal["threat", "behaviour", "network", "system", "custom"]]
    filters: list[str]
    batch: int
    pause_s: int
    template: str
    options: dict[str, str]
    created_at: str
    standing: Standing


class JobStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls JobStatus."""

    job_id: str
    kind: str
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    owner: str
    created_at: str
    attempts: int
    progress: float
    result: str
    problem: str


class LeftOut(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls LeftOut."""

    nodes: int | msgspec.UnsetType = msgspec.UNSET
    edges: int | msgspec.UnsetType = msgspec.UNSET


class Login(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Login."""

    user: str
    password: str
    tenant: str | msgspec.UnsetType = msgspec.UNSET
    keep: Literal["body", "cookie"] | msgspec.UnsetType = msgspec.UNSET


class MadeKey(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls MadeKey."""

    key_id: str
    subject: str
    role: Literal["viewer", "analyst", "engineer", "administrator", "sensor"]
    created_at: str
    expires_at: str | None
    key: str


class MadeTenant(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls MadeTenant."""

    name: str
    title: str
    created_at: str
    key: str


class MadeWebhook(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls MadeWebhook."""

    webhook_id: str
    name: str
    url: str
    channels: list[Literal["threat", "behaviour", "network", "system", "custom"]]
    filters: list[str]
    created_at: str
    public_key: str
    standing: Standing
    secret: str


class MatrixTactic(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls MatrixTactic."""

    tactic: str
    name: str


class MatrixTechnique(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls MatrixTechnique."""

    id: str
    name: str
    tactics: list[str]
    parent: str | None
    detectors: list[str]
    proofs: list[str]
    incidents: int
    detections: int
    worst: Literal["informational", "low", "medium", "high", "critical", None]


class Measures(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Measures."""

    flows: int
    sent_bytes: int
    received_bytes: int
    peers: int
    used_services: int
    offered_services: int
    active_hours: int


class MetricForecast(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls MetricForecast."""

    metric: Literal["detections", "flows", "bytes"]
    start: str
    forecast: Forecast


class ModelCard(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls ModelCard."""

    subject: CardSubject
    rows: int
    hostile_rows: int
    confusion: dict[str, dict[str, int]]
    calibration: CardCalibration


class ModelDrift(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls ModelDrift."""

    name: str
    flows: int
    has_drifted: bool
    columns: list[Drift]


class ModelImportance(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls ModelImportance."""

    name: str
    columns: list[Importance]


class ModelStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls ModelStatus."""

    name: str
    kind: str
    task: str
    classes: list[str]
    columns: int
    created_at: str
    content_id: str
    is_signed: bool
    metrics: dict[str, float]
    warnings: list[str]
    card: ModelCard | msgspec.UnsetType | None = msgspec.UNSET


class Move(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Move."""

    stage: Literal["candidate", "staging", "production", "archived"]
    at: str


class NamedIndicator(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls NamedIndicator."""

    kind: Literal[
        "ip",
        "endpoint",
        "cidr",
        "domain",
        "url",
        "md5",
        "sha1",
        "sha256",
        "ja3",
        "ja3s",
        "ja4",
        "hassh",
        "hassh_server",
    ]
    value: str
    seen: int | None


class NamedReport(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls NamedReport."""

    report_id: str
    title: str


class Network(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Network."""

    start: str
    end: str
    flows: int
    packets: int
    bytes: int
    hosts: int
    protocols: list[TrafficShare]
    services: list[TrafficShare]
    senders: list[TrafficShare]
    receivers: list[TrafficShare]
    rates: list[Rate]


class NetworkAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls NetworkAnswer."""

    network: Network
    incidents: dict[str, int]


class NewAsset(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls NewAsset."""

    network: str
    name: str | msgspec.UnsetType = msgspec.UNSET
    criticality: Literal["informational", "low", "medium", "high", "critical", None] | msgspec.UnsetType = msgspec.UNSET
    roles: list[str] | msgspec.UnsetType = msgspec.UNSET
    """Such as dns-server, printer or backup."""
    owner: str | msgspec.UnsetType = msgspec.UNSET
    note: str | msgspec.UnsetType = msgspec.UNSET


class NewImport(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls NewImport."""

    name: str
    content: str | dict[str, Any] | list[Any]


class NewIntegration(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls NewIntegration."""

    name: str
    """In small letters."""
    platform: Literal["splunk", "qradar", "sentinel", "elastic", "syslog", "slack", "teams", "email"]
    url: str
    """Where to; redirects are not followed."""
    secret: str | msgspec.UnsetType = msgspec.UNSET
    """Token, key or client secret; it is never shown."""
    format: Literal["cef", "leef", "json", "ecs", "ocsf", "eve", "stix", None] | msgspec.UnsetType = msgspec.UNSET
    channels: list[Literal["threat", "behaviour", "network", "system", "custom"]] | msgspec.UnsetType = msgspec.UNSET
    """All, where none is named."""
    filters: list[str] | msgspec.UnsetType = msgspec.UNSET
    """Fields compared with values, such as severity>=high; all must hold."""
    batch: int | msgspec.UnsetType | None = msgspec.UNSET
    """Events sent together, at the most."""
    pause_s: int | msgspec.UnsetType | None = msgspec.UNSET
    """Seconds between what is sent; more is sent together."""
    template: str | msgspec.UnsetType = msgspec.UNSET
    """By which messages to people are written."""
    options: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    """splunk: index, sourcetype; elastic: index; sentinel: directory, client, rule, stream; email: sender, recipients, user."""


class NewKey(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls NewKey."""

    subject: str
    """What it is for."""
    role: Literal["viewer", "analyst", "engineer", "administrator", "sensor"]
    days: int | msgspec.UnsetType = msgspec.UNSET
    """How long it is good; 0 is for ever."""


class NewTenant(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls NewTenant."""

    name: str
    title: str | msgspec.UnsetType = msgspec.UNSET


class NewUser(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls NewUser."""

    name: str
    """In small letters."""
    role: Literal["viewer", "analyst", "engineer", "administrator", "sensor"]
    password: str


class NewVerdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls NewVerdict."""

    verdict: Literal["true_positive", "benign", "false_positive", "unsure"]
    comment: str | msgspec.UnsetType = msgspec.UNSET


class NewView(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls NewView."""

    name: str
    page: Literal["incidents", "flows", "hosts", "detections"]
    question: ViewQuestion | msgspec.UnsetType = msgspec.UNSET
    shared: bool | msgspec.UnsetType = msgspec.UNSET


class NewWebhook(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls NewWebhook."""

    url: str
    """Where to; redirects are not followed."""
    channels: list[Literal["threat", "behaviour", "network", "system", "custom"]] | msgspec.UnsetType = msgspec.UNSET
    """All, where none is named."""
    kinds: list[str] | msgspec.UnsetType = msgspec.UNSET
    """Kinds of events, such as incident.raised; all, where none is named."""
    filters: list[str] | msgspec.UnsetType = msgspec.UNSET
    """Fields compared with values, such as severity>=high; all must hold."""
    name: str | msgspec.UnsetType = msgspec.UNSET
    """What it is for."""


class OwnSession(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls OwnSession."""

    session_id: str
    opened_at: str
    renewed_at: str
    expires_at: str
    address: str
    agent: str
    is_current: bool


class PageOfApiKey(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls PageOfApiKey."""

    items: list[SomeApiKey]
    next: str | msgspec.UnsetType | None = msgspec.UNSET


class PageOfAssetFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls PageOfAssetFacts."""

    items: list[SomeAssetFacts]
    next: str | msgspec.UnsetType | None = msgspec.UNSET


class PageOfAuditEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls PageOfAuditEvent."""

    items: list[AuditEvent]
    next: str | msgspec.UnsetType | None = msgspec.UNSET


class PageOfGivenVerdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls PageOfGivenVerdict."""

    items: list[SomeGivenVerdict]
    next: str | msgspec.UnsetType | None = msgspec.UNSET


class PageOfHosts(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls PageOfHosts."""

    items: list[SomeHostSummary]
    next: str | None
    start: str
    end: str
    hosts: int
    incidents: int
    is_whole: bool


class PageOfIncidentSummary(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls PageOfIncidentSummary."""

    items: list[SomeIncidentSummary]
    next: str | msgspec.UnsetType | None = msgspec.UNSET


class PageOfIndicatorSummary(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls PageOfIndicatorSummary."""

    items: list[SomeIndicatorSummary]
    next: str | msgspec.UnsetType | None = msgspec.UNSET


class PageOfIntegration(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls PageOfIntegration."""

    items: list[SomeIntegration]
    next: str | msgspec.UnsetType | None = msgspec.UNSET


class PageOfJobStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls PageOfJobStatus."""

    items: list[SomeJobStatus]
    next: str | msgspec.UnsetType | None = msgspec.UNSET


class PageOfReportSummary(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls PageOfReportSummary."""

    items: list[SomeReportSummary]
    next: str | msgspec.UnsetType | None = msgspec.UNSET


class PageOfRuleSummary(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls PageOfRuleSummary."""

    items: list[SomeRuleSummary]
    next: str | msgspec.UnsetType | None = msgspec.UNSET


class PageOfSavedView(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls PageOfSavedView."""

    items: list[SomeSavedView]
    next: str | msgspec.UnsetType | None = msgspec.UNSET


class PageOfSensorStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls PageOfSensorStatus."""

    items: list[SomeSensorStatus]
    next: str | msgspec.UnsetType | None = msgspec.UNSET


class PageOfShownSetting(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls PageOfShownSetting."""

    items: list[ShownSetting]
    next: str | msgspec.UnsetType | None = msgspec.UNSET


class PageOfTenant(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls PageOfTenant."""

    items: list[SomeTenant]
    next: str | msgspec.UnsetType | None = msgspec.UNSET


class PageOfUser(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls PageOfUser."""

    items: list[SomeUser]
    next: str | msgspec.UnsetType | None = msgspec.UNSET


class PageOfWebhook(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls PageOfWebhook."""

    items: list[SomeWebhook]
    next: str | msgspec.UnsetType | None = msgspec.UNSET


class PageOfdictstrAny(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls PageOfdictstrAny."""

    items: list[dict[str, Any]]
    next: str | msgspec.UnsetType | None = msgspec.UNSET


class Parameters(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Parameters."""

    status: Literal["new", "open", "closed"] | msgspec.UnsetType = msgspec.UNSET
    assignee: str | msgspec.UnsetType = msgspec.UNSET
    verdict: Literal["true_positive", "benign", "false_positive", "unsure"] | msgspec.UnsetType = msgspec.UNSET
    comment: str | msgspec.UnsetType = msgspec.UNSET


class PasswordChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls PasswordChange."""

    old: str
    new: str


class Peer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Peer."""

    address: str
    flows: int
    bytes: int
    is_new: bool


class Plan(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Plan."""

    playbook: str
    priority: str
    escalations: list[Escalation]
    runners: list[str]
    is_dry_run: bool
    steps: list[PlanStep]


class PlanStep(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls PlanStep."""

    step_id: str
    action: str
    kind: str
    target: str
    why: str
    command: str
    queries: dict[str, str]
    is_automated: bool
    reversible: bool
    needs_approval: bool
    state: Literal["proposed", "approved", "running", "done", "undone", "failed", "refused"]
    by: str
    at: str | None
    comment: str
    said: str
    lease_until: str | None
    deadline_at: str
    preview: str
    refusal: str | None
    is_planned: bool


class Point(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Point."""

    value: float
    low: float
    high: float


class PredictBatchRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls PredictBatchRequest."""

    rows: list[dict[str, str | int | float | bool | list[float | None] | None]]
    model: str | msgspec.UnsetType = msgspec.UNSET


class PredictRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls PredictRequest."""

    row: dict[str, str | int | float | bool | list[float | None] | None]
    model: str | msgspec.UnsetType = msgspec.UNSET


class Prediction(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Prediction."""

    label: str
    score: float
    probability: float
    low: float
    high: float


class Predictions(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Predictions."""

    model: str
    content_id: str
    predictions: list[Prediction]


class Principal(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Principal."""

    tenant: str
    subject: str
    role: Literal["viewer", "analyst", "engineer", "administrator", "sensor"]


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """Says why a request was not answered as asked (RFC 9457)."""

    type: str
    title: str
    detail: str
    instance: str
    request_id: str
    status: int
    errors: list[Flaw]


class ProblemKind(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls ProblemKind."""

    name: str
    status: int
    title: str
    meaning: str


class Promotion(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Promotion."""

    version: int
    stage: Literal["candidate", "staging", "production", "archived"]


class Rate(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Rate."""

    start: str
    flows_per_s: float
    bytes_per_s: float


class RefusedEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls RefusedEntry."""

    reason: str
    line: int | None
    entry: str | None


class RegisteredModel(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls RegisteredModel."""

    name: str
    versions: list[Version]


class Renewal(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Renewal."""

    refresh_token: str | msgspec.UnsetType = msgspec.UNSET


class Replay(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Replay."""

    after: str | msgspec.UnsetType | None = msgspec.UNSET
    """A place in the feed: all events behind it."""
    dead_letters: bool | msgspec.UnsetType = msgspec.UNSET


class ReportDetail(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls ReportDetail."""

    summary: ReportSummary
    indicators: list[NamedIndicator]


class ReportSummary(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls ReportSummary."""

    report_id: str
    title: str
    source: str
    published: str | None
    actors: list[str]
    malware: list[str]
    techniques: list[str]
    indicator_count: int
    tlp: str


class RetrainingRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls RetrainingRequest."""

    name: str
    days: int | msgspec.UnsetType = msgspec.UNSET


class RuleChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls RuleChange."""

    enabled: bool


class RuleCost(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls RuleCost."""

    cpu_ms: float
    share: float


class RuleDetail(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls RuleDetail."""

    summary: RuleSummary
    text: str
    about: str
    switched_by: str
    switched_at: str | None


class RuleFault(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls RuleFault."""

    reason: str
    line: int | None
    field: str | None
    remedy: str | None


class RuleSummary(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls RuleSummary."""

    rule_id: str
    name: str
    title: str
    kind: str
    file: str
    line: int
    state: Literal["on", "off", "unseen", "refused"]
    reason: str
    severity: Literal["informational", "low", "medium", "high", "critical"]
    techniques: list[str]
    hits: int
    last_hit: str | None
    cost: RuleCost | None


class RuleTrial(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls RuleTrial."""

    text: str
    kind: Literal["own", "sigma", None] | msgspec.UnsetType = msgspec.UNSET
    hours: int | msgspec.UnsetType = msgspec.UNSET


class SavedView(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls SavedView."""

    view_id: str
    owner: str
    name: str
    page: Literal["incidents", "flows", "hosts", "detections"]
    question: ViewQuestion
    shared: bool
    created_at: str


class Scored(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Scored."""

    incident_id: str
    now: ThreatScore
    custom: ThreatScore


class Scores(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Scores."""

    scores: list[Scored]
    missing: list[str]


class ScoringRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls ScoringRequest."""

    incident_ids: list[str]
    weights: CustomWeights | msgspec.UnsetType = msgspec.UNSET
    thresholds: CustomThresholds | msgspec.UnsetType = msgspec.UNSET


class SensorStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls SensorStatus."""

    name: str
    state: Literal["connected", "silent", "disconnected", "revoked"]
    reason: str
    seen_at: str | None
    since: str | None
    addresses: list[str]
    version: str
    connections: int
    batches: int
    flows: int
    bytes: int | None
    packets: int | None
    duplicates: int
    refused: int
    missing: int
    lost: dict[str, int]
    shed: dict[str, int]
    queued: int | None
    clock_ahead_s: float
    keeps_packets: bool
    ring: dict[str, int]


class Service(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Service."""

    name: str
    flows: int
    is_new: bool


class Session(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Session."""

    access_token: str
    token_type: str
    expires_in: int
    refresh_token: str
    session_expires_at: str
    user: str
    tenant: str


class Share(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Share."""

    name: str
    count: int


class ShownSetting(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls ShownSetting."""

    section: str
    name: str
    type: str
    default: Any
    value: Any
    meaning: str
    is_set: bool


class SimilarIncident(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls SimilarIncident."""

    incident_id: str
    title: str
    level: Literal["informational", "low", "medium", "high", "critical"]
    value: float
    similarity: float
    shared_techniques: list[str]
    shared_categories: list[str]
    shared_entities: list[str]
    verdict: str
    status: str
    last_seen: str


class SimilarIncidents(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls SimilarIncidents."""

    items: list[SimilarIncident]
    compared: int


class SomeApiKey(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls SomeApiKey."""

    key_id: str | msgspec.UnsetType = msgspec.UNSET
    subject: str | msgspec.UnsetType = msgspec.UNSET
    role: Literal["viewer", "analyst", "engineer", "administrator", "sensor"] | msgspec.UnsetType = msgspec.UNSET
    created_at: str | msgspec.UnsetType = msgspec.UNSET
    expires_at: str | msgspec.UnsetType | None = msgspec.UNSET


class SomeAssetFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls SomeAssetFacts."""

    asset_id: str | msgspec.UnsetType = msgspec.UNSET
    network: str | msgspec.UnsetType = msgspec.UNSET
    name: str | msgspec.UnsetType = msgspec.UNSET
    criticality: Literal["informational", "low", "medium", "high", "critical", None] | msgspec.UnsetType = msgspec.UNSET
    roles: list[str] | msgspec.UnsetType = msgspec.UNSET
    owner: str | msgspec.UnsetType = msgspec.UNSET
    note: str | msgspec.UnsetType = msgspec.UNSET


class SomeGivenVerdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls SomeGivenVerdict."""

    verdict_id: str | msgspec.UnsetType = msgspec.UNSET
    incident_id: str | msgspec.UnsetType = msgspec.UNSET
    verdict: Literal["true_positive", "benign", "false_positive", "unsure"] | msgspec.UnsetType = msgspec.UNSET
    comment: str | msgspec.UnsetType = msgspec.UNSET
    by: str | msgspec.UnsetType = msgspec.UNSET
    at: str | msgspec.UnsetType = msgspec.UNSET


class SomeHostSummary(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls SomeHostSummary."""

    address: str | msgspec.UnsetType = msgspec.UNSET
    name: str | msgspec.UnsetType = msgspec.UNSET
    roles: list[str] | msgspec.UnsetType = msgspec.UNSET
    criticality: Literal["informational", "low", "medium", "high", "critical", None] | msgspec.UnsetType = msgspec.UNSET
    place: Literal["inside", "outside"] | msgspec.UnsetType = msgspec.UNSET
    incidents: int | msgspec.UnsetType = msgspec.UNSET
    level: Literal["informational", "low", "medium", "high", "critical", None] | msgspec.UnsetType = msgspec.UNSET
    value: float | msgspec.UnsetType | None = msgspec.UNSET
    first_seen: str | msgspec.UnsetType | None = msgspec.UNSET
    last_seen: str | msgspec.UnsetType | None = msgspec.UNSET
    flows: int | msgspec.UnsetType = msgspec.UNSET
    bytes: int | msgspec.UnsetType = msgspec.UNSET
    bytes_in: int | msgspec.UnsetType = msgspec.UNSET
    bytes_out: int | msgspec.UnsetType = msgspec.UNSET


class SomeIncidentSummary(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls SomeIncidentSummary."""

    incident_id: str | msgspec.UnsetType = msgspec.UNSET
    title: str | msgspec.UnsetType = msgspec.UNSET
    level: Literal["informational", "low", "medium", "high", "critical"] | msgspec.UnsetType = msgspec.UNSET
    value: float | msgspec.UnsetType = msgspec.UNSET
    low: float | msgspec.UnsetType = msgspec.UNSET
    high: float | msgspec.UnsetType = msgspec.UNSET
    probability: float | msgspec.UnsetType = msgspec.UNSET
    status: Literal["new", "open", "closed"] | msgspec.UnsetType = msgspec.UNSET
    verdict: str | msgspec.UnsetType = msgspec.UNSET
    assignee: str | msgspec.UnsetType = msgspec.UNSET
    first_seen: str | msgspec.UnsetType = msgspec.UNSET
    last_seen: str | msgspec.UnsetType = msgspec.UNSET
    raised_at: str | msgspec.UnsetType = msgspec.UNSET
    entities: list[str] | msgspec.UnsetType = msgspec.UNSET
    techniques: list[str] | msgspec.UnsetType = msgspec.UNSET
    categories: list[str] | msgspec.UnsetType = msgspec.UNSET
    campaign_id: str | msgspec.UnsetType = msgspec.UNSET
    sensor: str | msgspec.UnsetType = msgspec.UNSET
    revision: int | msgspec.UnsetType = msgspec.UNSET


class SomeIndicatorSummary(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls SomeIndicatorSummary."""

    value: str | msgspec.UnsetType = msgspec.UNSET
    kind: (
        Literal[
            "ip",
            "endpoint",
            "cidr",
            "domain",
            "url",
            "md5",
            "sha1",
            "sha256",
            "ja3",
            "ja3s",
            "ja4",
            "hassh",
            "hassh_server",
        ]
        | msgspec.UnsetType
    ) = msgspec.UNSET
    sources: list[str] | msgspec.UnsetType = msgspec.UNSET
    confidence: float | msgspec.UnsetType = msgspec.UNSET
    first_seen: str | msgspec.UnsetType | None = msgspec.UNSET
    last_seen: str | msgspec.UnsetType | None = msgspec.UNSET
    valid_until: str | msgspec.UnsetType | None = msgspec.UNSET
    expired: bool | msgspec.UnsetType = msgspec.UNSET
    labels: list[str] | msgspec.UnsetType = msgspec.UNSET
    threats: list[str] | msgspec.UnsetType = msgspec.UNSET
    techniques: list[str] | msgspec.UnsetType = msgspec.UNSET
    tlp: str | msgspec.UnsetType = msgspec.UNSET
    warning: str | msgspec.UnsetType = msgspec.UNSET
    seen: int | msgspec.UnsetType | None = msgspec.UNSET


class SomeIntegration(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls SomeIntegration."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    kind: (
        Literal["splunk", "qradar", "sentinel", "elastic", "syslog", "slack", "teams", "email"] | msgspec.UnsetType
    ) = msgspec.UNSET
    url: str | msgspec.UnsetType = msgspec.UNSET
    format: Literal["cef", "leef", "json", "ecs", "ocsf", "eve", "stix"] | msgspec.UnsetType = msgspec.UNSET
    channels: list[Literal["threat", "behaviour", "network", "system", "custom"]] | msgspec.UnsetType = msgspec.UNSET
    filters: list[str] | msgspec.UnsetType = msgspec.UNSET
    batch: int | msgspec.UnsetType = msgspec.UNSET
    pause_s: int | msgspec.UnsetType = msgspec.UNSET
    template: str | msgspec.UnsetType = msgspec.UNSET
    options: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    created_at: str | msgspec.UnsetType = msgspec.UNSET
    standing: Standing | msgspec.UnsetType = msgspec.UNSET


class SomeJobStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls SomeJobStatus."""

    job_id: str | msgspec.UnsetType = msgspec.UNSET
    kind: str | msgspec.UnsetType = msgspec.UNSET
    state: Literal["waiting", "running", "done", "failed", "cancelled"] | msgspec.UnsetType = msgspec.UNSET
    owner: str | msgspec.UnsetType = msgspec.UNSET
    created_at: str | msgspec.UnsetType = msgspec.UNSET
    attempts: int | msgspec.UnsetType = msgspec.UNSET
    progress: float | msgspec.UnsetType = msgspec.UNSET
    result: str | msgspec.UnsetType = msgspec.UNSET
    problem: str | msgspec.UnsetType = msgspec.UNSET


class SomeReportSummary(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls SomeReportSummary."""

    report_id: str | msgspec.UnsetType = msgspec.UNSET
    title: str | msgspec.UnsetType = msgspec.UNSET
    source: str | msgspec.UnsetType = msgspec.UNSET
    published: str | msgspec.UnsetType | None = msgspec.UNSET
    actors: list[str] | msgspec.UnsetType = msgspec.UNSET
    malware: list[str] | msgspec.UnsetType = msgspec.UNSET
    techniques: list[str] | msgspec.UnsetType = msgspec.UNSET
    indicator_count: int | msgspec.UnsetType = msgspec.UNSET
    tlp: str | msgspec.UnsetType = msgspec.UNSET


class SomeRuleSummary(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls SomeRuleSummary."""

    rule_id: str | msgspec.UnsetType = msgspec.UNSET
    name: str | msgspec.UnsetType = msgspec.UNSET
    title: str | msgspec.UnsetType = msgspec.UNSET
    kind: str | msgspec.UnsetType = msgspec.UNSET
    file: str | msgspec.UnsetType = msgspec.UNSET
    line: int | msgspec.UnsetType = msgspec.UNSET
    state: Literal["on", "off", "unseen", "refused"] | msgspec.UnsetType = msgspec.UNSET
    reason: str | msgspec.UnsetType = msgspec.UNSET
    severity: Literal["informational", "low", "medium", "high", "critical"] | msgspec.UnsetType = msgspec.UNSET
    techniques: list[str] | msgspec.UnsetType = msgspec.UNSET
    hits: int | msgspec.UnsetType = msgspec.UNSET
    last_hit: str | msgspec.UnsetType | None = msgspec.UNSET
    cost: RuleCost | msgspec.UnsetType | None = msgspec.UNSET


class SomeSavedView(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls SomeSavedView."""

    view_id: str | msgspec.UnsetType = msgspec.UNSET
    owner: str | msgspec.UnsetType = msgspec.UNSET
    name: str | msgspec.UnsetType = msgspec.UNSET
    page: Literal["incidents", "flows", "hosts", "detections"] | msgspec.UnsetType = msgspec.UNSET
    question: ViewQuestion | msgspec.UnsetType = msgspec.UNSET
    shared: bool | msgspec.UnsetType = msgspec.UNSET
    created_at: str | msgspec.UnsetType = msgspec.UNSET


class SomeSensorStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls SomeSensorStatus."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    state: Literal["connected", "silent", "disconnected", "revoked"] | msgspec.UnsetType = msgspec.UNSET
    reason: str | msgspec.UnsetType = msgspec.UNSET
    seen_at: str | msgspec.UnsetType | None = msgspec.UNSET
    since: str | msgspec.UnsetType | None = msgspec.UNSET
    addresses: list[str] | msgspec.UnsetType = msgspec.UNSET
    version: str | msgspec.UnsetType = msgspec.UNSET
    connections: int | msgspec.UnsetType = msgspec.UNSET
    batches: int | msgspec.UnsetType = msgspec.UNSET
    flows: int | msgspec.UnsetType = msgspec.UNSET
    bytes: int | msgspec.UnsetType | None = msgspec.UNSET
    packets: int | msgspec.UnsetType | None = msgspec.UNSET
    duplicates: int | msgspec.UnsetType = msgspec.UNSET
    refused: int | msgspec.UnsetType = msgspec.UNSET
    missing: int | msgspec.UnsetType = msgspec.UNSET
    lost: dict[str, int] | msgspec.UnsetType = msgspec.UNSET
    shed: dict[str, int] | msgspec.UnsetType = msgspec.UNSET
    queued: int | msgspec.UnsetType | None = msgspec.UNSET
    clock_ahead_s: float | msgspec.UnsetType = msgspec.UNSET
    keeps_packets: bool | msgspec.UnsetType = msgspec.UNSET
    ring: dict[str, int] | msgspec.UnsetType = msgspec.UNSET


class SomeTenant(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls SomeTenant."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    title: str | msgspec.UnsetType = msgspec.UNSET
    created_at: str | msgspec.UnsetType = msgspec.UNSET


class SomeUser(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls SomeUser."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    role: Literal["viewer", "analyst", "engineer", "administrator", "sensor"] | msgspec.UnsetType = msgspec.UNSET
    created_at: str | msgspec.UnsetType = msgspec.UNSET
    is_disabled: bool | msgspec.UnsetType = msgspec.UNSET


class SomeWebhook(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls SomeWebhook."""

    webhook_id: str | msgspec.UnsetType = msgspec.UNSET
    name: str | msgspec.UnsetType = msgspec.UNSET
    url: str | msgspec.UnsetType = msgspec.UNSET
    channels: list[Literal["threat", "behaviour", "network", "system", "custom"]] | msgspec.UnsetType = msgspec.UNSET
    filters: list[str] | msgspec.UnsetType = msgspec.UNSET
    created_at: str | msgspec.UnsetType = msgspec.UNSET
    public_key: str | msgspec.UnsetType = msgspec.UNSET
    standing: Standing | msgspec.UnsetType = msgspec.UNSET


class Span(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Span."""

    start: str | msgspec.UnsetType | None = msgspec.UNSET
    end: str | msgspec.UnsetType | None = msgspec.UNSET


class Standing(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Standing."""

    state: Literal["active", "failing", "disabled"]
    position: str
    taken: int
    delivered: int
    retrying: int
    dead: int
    lost: int
    failures: int
    next_try_at: str | None
    delivered_at: str | None
    problem: str


class Switch(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Switch."""

    is_enabled: bool


class Talker(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Talker."""

    address: str
    flows: int
    bytes: float


class Technique(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Technique."""

    id: str
    name: str


class Tenant(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Tenant."""

    name: str
    title: str
    created_at: str


class ThreatScore(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls ThreatScore."""

    value: float
    low: float
    high: float
    level: Literal["informational", "low", "medium", "high", "critical"]
    parts: dict[str, float] | msgspec.UnsetType = msgspec.UNSET


class Timeline(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Timeline."""

    items: list[TimelineEntry]
    detections: int


class TimelineEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls TimelineEntry."""

    at: str
    first_seen: str
    last_seen: str
    detection_id: str
    detector: str
    category: str
    severity: Literal["informational", "low", "medium", "high", "critical"]
    score: float
    probability: float
    orig: str | None
    resp: str | None
    techniques: list[Technique]
    summary: str
    flow_ids: list[str]
    flows: int


class TopThreat(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls TopThreat."""

    incident_id: str
    title: str
    level: str
    value: float
    raised_at: str


class TrafficShare(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls TrafficShare."""

    name: str
    flows: int
    bytes: int


class Trend(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Trend."""

    category: str
    counts: list[int]
    total: int
    change: float | None
    slope: float
    p_value: float
    direction: Literal["rising", "falling", "steady"]


class TrendAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls TrendAnswer."""

    start: str
    granularity: Literal["hour", "day", "week"]
    buckets: int
    trends: list[Trend]


class TrendRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls TrendRequest."""

    start: str | msgspec.UnsetType | None = msgspec.UNSET
    end: str | msgspec.UnsetType | None = msgspec.UNSET
    granularity: Literal["hour", "day", "week"] | msgspec.UnsetType = msgspec.UNSET
    categories: list[str] | msgspec.UnsetType = msgspec.UNSET


class Trial(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Trial."""

    delivered: bool
    problem: str


class TrialDetection(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls TrialDetection."""

    at: str
    category: str
    severity: Literal["informational", "low", "medium", "high", "critical"]
    score: float
    orig: str | None
    resp: str | None
    techniques: list[Technique]
    summary: str
    flow_ids: list[str]


class TrialResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls TrialResult."""

    is_valid: bool
    kind: Literal["own", "sigma"]
    rules: int
    errors: list[RuleFault]
    start: str
    end: str
    flows: int
    is_whole: bool
    matches: int
    first: list[TrialDetection]
    cpu_ms: float


class User(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls User."""

    name: str
    role: Literal["viewer", "analyst", "engineer", "administrator", "sensor"]
    created_at: str
    is_disabled: bool


class UserChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls UserChange."""

    role: Literal["viewer", "analyst", "engineer", "administrator", "sensor"] | msgspec.UnsetType = msgspec.UNSET
    is_disabled: bool | msgspec.UnsetType = msgspec.UNSET
    password: str | msgspec.UnsetType = msgspec.UNSET


class UsualHour(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls UsualHour."""

    hour: int
    days: int
    flows: Band
    bytes_in: Band
    bytes_out: Band


class Verdicts(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Verdicts."""

    count: int
    mean_s: float | None
    median_s: float | None


class Version(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Version."""

    name: str
    version: int
    content_id: str
    parent: str | None
    data: list[DataFile]
    metrics: dict[str, float]
    moves: list[Move]


class ViewQuestion(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls ViewQuestion."""

    filters: list[str] | msgspec.UnsetType = msgspec.UNSET
    order: str | msgspec.UnsetType = msgspec.UNSET
    """As the parameter of the list; empty for its own."""
    fields: list[str] | msgspec.UnsetType = msgspec.UNSET


class Webhook(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what the API calls Webhook."""

    webhook_id: str
    name: str
    url: str
    channels: list[Literal["threat", "behaviour", "network", "system", "custom"]]
    filters: list[str]
    created_at: str
    public_key: str
    standing: Standing


class Client(Connection):
    """Asks the API; each operation is a method."""

    def list_assets(
        self,
        *,
        filter: list[str] | None = None,
        order: str | None = None,
        limit: int | None = None,
        after: str | None = None,
        fields: str | None = None,
    ) -> PageOfAssetFacts:
        """List what is known about addresses and networks, beside the site file."""
        return self.ask(
            "GET",
            "/api/v1/assets",
            PageOfAssetFacts,
            query={"filter": filter, "order": order, "limit": limit, "after": after, "fields": fields},
        )

    def add_asset(self, data: NewAsset) -> AssetFacts:
        """Say what an address or network is; there is one asset for each."""
        return self.ask("POST", "/api/v1/assets", AssetFacts, body=data)

    def show_asset(self, asset_id: str) -> AssetFacts:
        """Show what is known about an address or network."""
        return self.ask("GET", "/api/v1/assets/{asset_id}", AssetFacts, within={"asset_id": asset_id})

    def remove_asset(self, asset_id: str) -> None:
        """Forget what is known about an address or network."""
        return self.ask("DELETE", "/api/v1/assets/{asset_id}", type(None), within={"asset_id": asset_id})

    def change_asset(self, asset_id: str, data: AssetChange, *, if_match: str) -> AssetFacts:
        """Change what is known about an address or network."""
        return self.ask(
            "PATCH",
            "/api/v1/assets/{asset_id}",
            AssetFacts,
            within={"asset_id": asset_id},
            headers={"if-match": if_match},
            body=data,
        )

    def show_attack(self, *, days: int | None = None) -> AttackMatrix:
        """Show the ATT&CK matrix: which techniques detectors cover, and which were seen in the last days."""
        return self.ask("GET", "/api/v1/attack", AttackMatrix, query={"days": days})

    def list_audit(
        self,
        *,
        limit: int | None = None,
        after: str | None = None,
        subject: str | None = None,
        operation: str | None = None,
    ) -> PageOfAuditEvent:
        """List what was changed and what was refused in the tenant, the latest first."""
        return self.ask(
            "GET",
            "/api/v1/audit",
            PageOfAuditEvent,
            query={"limit": limit, "after": after, "subject": subject, "operation": operation},
        )

    def analyze_behaviour(self, data: BehaviourRequest) -> BehaviourAnswer:
        """Say what a host did in a span of time, beside the span before."""
        return self.ask("POST", "/api/v1/behaviour", BehaviourAnswer, body=data)

    def score_otherwise(self, data: ScoringRequest) -> Scores:
        """Say what incidents would score if evidence counted otherwise."""
        return self.ask("POST", "/api/v1/custom-scoring", Scores, body=data)

    def show_dashboard(self, *, hours: int | None = None) -> DashboardMetrics:
        """Show the figures of the last hours: incidents, threats, talkers, rates, and how fast verdicts are given."""
        return self.ask("GET", "/api/v1/dashboard-metrics", DashboardMetrics, query={"hours": hours})

    def detect_in_flows(self, data: DetectRequest) -> Detected:
        """Find detections and incidents in flows; nothing is kept."""
        return self.ask("POST", "/api/v1/detect", Detected, body=data)

    def list_detections(
        self,
        *,
        filter: list[str] | None = None,
        order: str | None = None,
        limit: int | None = None,
        after: str | None = None,
        fields: str | None = None,
    ) -> PageOfdictstrAny:
        """List detections; without `fields`, with all but their evidence."""
        return self.ask(
            "GET",
            "/api/v1/detections",
            PageOfdictstrAny,
            query={"filter": filter, "order": order, "limit": limit, "after": after, "fields": fields},
        )

    def show_detection(self, detection_id: str) -> dict[str, Any]:
        """Show a detection with its evidence."""
        return self.ask(
            "GET", "/api/v1/detections/{detection_id}", dict[str, Any], within={"detection_id": detection_id}
        )

    def enrich(self, data: EnrichRequest) -> Enrichment:
        """Say what threat intelligence, assets, ATT&CK and incidents know about values."""
        return self.ask("POST", "/api/v1/enrich", Enrichment, body=data)

    def add_events(self, data: bytes) -> Accepted:
        """Keep events: one JSON object on each line, all of them or none."""
        return self.ask("POST", "/api/v1/events", Accepted, body=data)

    def explain_prediction(self, data: ExplainRequest) -> Explanations:
        """Say why a model judges rows as it does."""
        return self.ask("POST", "/api/v1/explain-prediction", Explanations, body=data)

    def export_incidents(
        self, *, format: Literal["csv", "json", "pdf"], filter: list[str] | None = None, order: str | None = None
    ) -> bytes:
        """Export the incidents that pass the filters, in order: CSV and JSON lines all of them, PDF the first 200."""
        return self.ask("GET", "/api/v1/export", bytes, query={"filter": filter, "order": order, "format": format})

    def read_feed(
        self,
        *,
        channel: list[Literal["threat", "behaviour", "network", "system", "custom"]] | None = None,
        filter: list[str] | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> FeedPage:
        """Read what happened from a position on, in order."""
        return self.ask(
            "GET",
            "/api/v1/feed",
            FeedPage,
            query={"channel": channel, "filter": filter, "after": after, "limit": limit},
        )

    def give_feedback(self, data: Feedback) -> GivenVerdict:
        """Say what an incident was, by its identity in the body."""
        return self.ask("POST", "/api/v1/feedback", GivenVerdict, body=data)

    def list_flows(
        self,
        *,
        filter: list[str] | None = None,
        order: str | None = None,
        limit: int | None = None,
        after: str | None = None,
        fields: str | None = None,
    ) -> PageOfdictstrAny:
        """List flows; without `fields`, with those that lists show."""
        return self.ask(
            "GET",
            "/api/v1/flows",
            PageOfdictstrAny,
            query={"filter": filter, "order": order, "limit": limit, "after": after, "fields": fields},
        )

    def show_flow(self, flow_id: str) -> dict[str, Any]:
        """Show a flow with all its columns that are known."""
        return self.ask("GET", "/api/v1/flows/{flow_id}", dict[str, Any], within={"flow_id": flow_id})

    def show_graph(
        self, *, node: str | None = None, depth: int | None = None, limit: int | None = None, days: int | None = None
    ) -> GraphView:
        """Show what lies around a node, or the whole recent picture."""
        return self.ask(
            "GET", "/api/v1/graph", GraphView, query={"node": node, "depth": depth, "limit": limit, "days": days}
        )

    def show_health(self) -> DependencyMatrix:
        """Show how the server and all that it depends on are, how long that took to find out, and since when it is so."""
        return self.ask("GET", "/api/v1/health", DependencyMatrix)

    def list_hosts(
        self,
        *,
        filter: list[str] | None = None,
        order: str | None = None,
        limit: int | None = None,
        after: str | None = None,
        fields: str | None = None,
    ) -> PageOfHosts:
        """List hosts with their open incidents and the traffic of the last day of data; the worst come first."""
        return self.ask(
            "GET",
            "/api/v1/hosts",
            PageOfHosts,
            query={"filter": filter, "order": order, "limit": limit, "after": after, "fields": fields},
        )

    def show_host(self, address: str) -> HostDetail:
        """Show a host: what it did beside its days before, its peers, services, incidents and detections."""
        return self.ask("GET", "/api/v1/hosts/{address}", HostDetail, within={"address": address})

    def list_incidents(
        self,
        *,
        filter: list[str] | None = None,
        order: str | None = None,
        limit: int | None = None,
        after: str | None = None,
        fields: str | None = None,
    ) -> PageOfIncidentSummary:
        """List incidents, in the order asked for."""
        return self.ask(
            "GET",
            "/api/v1/incidents",
            PageOfIncidentSummary,
            query={"filter": filter, "order": order, "limit": limit, "after": after, "fields": fields},
        )

    def change_many(self, data: BulkOperation) -> BulkResult:
        """Update the status of many incidents, assign them, or classify them."""
        return self.ask("POST", "/api/v1/incidents/bulk-operations", BulkResult, body=data)

    def show_incident(self, incident_id: str) -> IncidentDetail:
        """Show an incident with its story, explanation, detections and response plan."""
        return self.ask("GET", "/api/v1/incidents/{incident_id}", IncidentDetail, within={"incident_id": incident_id})

    def change_incident(self, incident_id: str, data: IncidentChange, *, if_match: str) -> IncidentDetail:
        """Change whose an incident is and how far it is worked on."""
        return self.ask(
            "PATCH",
            "/api/v1/incidents/{incident_id}",
            IncidentDetail,
            within={"incident_id": incident_id},
            headers={"if-match": if_match},
            body=data,
        )

    def show_evidence(self, incident_id: str) -> EvidenceStatus:
        """Show which packets there are of an incident, and why not more."""
        return self.ask(
            "GET", "/api/v1/incidents/{incident_id}/evidence", EvidenceStatus, within={"incident_id": incident_id}
        )

    def collect_evidence(self, incident_id: str) -> EvidenceStatus:
        """Ask sensors for the packets behind an incident, unless they are being asked: a job."""
        return self.ask(
            "POST", "/api/v1/incidents/{incident_id}/evidence", EvidenceStatus, within={"incident_id": incident_id}
        )

    def download_packets(self, incident_id: str) -> bytes:
        """Download the packets behind an incident as pcapng; who did is in the audit."""
        return self.ask(
            "GET", "/api/v1/incidents/{incident_id}/evidence/packets", bytes, within={"incident_id": incident_id}
        )

    def list_incident_flows(
        self, incident_id: str, *, limit: int | None = None, after: str | None = None, fields: str | None = None
    ) -> PageOfdictstrAny:
        """List the flows behind an incident, those of its first detections first; what retention removed is missing."""
        return self.ask(
            "GET",
            "/api/v1/incidents/{incident_id}/flows",
            PageOfdictstrAny,
            within={"incident_id": incident_id},
            query={"limit": limit, "after": after, "fields": fields},
        )

    def show_incident_graph(self, incident_id: str) -> Graph:
        """Show who did what to whom in an incident, at most 500 nodes, and what flowed between them."""
        return self.ask("GET", "/api/v1/incidents/{incident_id}/graph", Graph, within={"incident_id": incident_id})

    def report_incident(self, incident_id: str, *, format: Literal["html", "pdf"] | None = None) -> bytes:
        """Write the report of an incident as one page or as PDF."""
        return self.ask(
            "GET",
            "/api/v1/incidents/{incident_id}/report",
            bytes,
            within={"incident_id": incident_id},
            query={"format": format},
        )

    def show_response(self, incident_id: str) -> Plan:
        """Show the response plan of an incident: what each step would do, and what became of it."""
        return self.ask("GET", "/api/v1/incidents/{incident_id}/response", Plan, within={"incident_id": incident_id})

    def decide_step(self, incident_id: str, step_id: str, data: Decision) -> PlanStep:
        """Approve a step of a response plan, which carries it out, or refuse it."""
        return self.ask(
            "POST",
            "/api/v1/incidents/{incident_id}/response/{step_id}/approval",
            PlanStep,
            within={"incident_id": incident_id, "step_id": step_id},
            body=data,
        )

    def undo_step(self, incident_id: str, step_id: str) -> PlanStep:
        """Take back what was done or decided about a step."""
        return self.ask(
            "POST",
            "/api/v1/incidents/{incident_id}/response/{step_id}/undo",
            PlanStep,
            within={"incident_id": incident_id, "step_id": step_id},
        )

    def list_similar_incidents(self, incident_id: str) -> SimilarIncidents:
        """List the incidents of the tenant that are most like one, with what people said of them."""
        return self.ask(
            "GET", "/api/v1/incidents/{incident_id}/similar", SimilarIncidents, within={"incident_id": incident_id}
        )

    def show_timeline(self, incident_id: str) -> Timeline:
        """Show the detections of an incident in order of time."""
        return self.ask(
            "GET", "/api/v1/incidents/{incident_id}/timeline", Timeline, within={"incident_id": incident_id}
        )

    def list_verdicts(
        self,
        incident_id: str,
        *,
        filter: list[str] | None = None,
        order: str | None = None,
        limit: int | None = None,
        after: str | None = None,
        fields: str | None = None,
    ) -> PageOfGivenVerdict:
        """List what people said of an incident."""
        return self.ask(
            "GET",
            "/api/v1/incidents/{incident_id}/verdicts",
            PageOfGivenVerdict,
            within={"incident_id": incident_id},
            query={"filter": filter, "order": order, "limit": limit, "after": after, "fields": fields},
        )

    def give_verdict(self, incident_id: str, data: NewVerdict) -> GivenVerdict:
        """Say what an incident was; the last word counts, all are kept."""
        return self.ask(
            "POST",
            "/api/v1/incidents/{incident_id}/verdicts",
            GivenVerdict,
            within={"incident_id": incident_id},
            body=data,
        )

    def withdraw_verdict(self, incident_id: str, verdict_id: str) -> None:
        """Take a verdict back, as if it had never been given: the one before it counts again, or none."""
        return self.ask(
            "DELETE",
            "/api/v1/incidents/{incident_id}/verdicts/{verdict_id}",
            type(None),
            within={"incident_id": incident_id, "verdict_id": verdict_id},
        )

    def list_indicators(
        self,
        *,
        filter: list[str] | None = None,
        order: str | None = None,
        limit: int | None = None,
        after: str | None = None,
        fields: str | None = None,
    ) -> PageOfIndicatorSummary:
        """List indicators of the settings and of the tenant's imports."""
        return self.ask(
            "GET",
            "/api/v1/indicators",
            PageOfIndicatorSummary,
            query={"filter": filter, "order": order, "limit": limit, "after": after, "fields": fields},
        )

    def import_indicators(self, data: NewImport) -> Imported:
        """Import indicators and reports for the tenant; the worker looks for them within a minute."""
        return self.ask("POST", "/api/v1/indicators/import", Imported, body=data)

    def list_imports(self) -> list[ImportSummary]:
        """List what the tenant has imported, by name."""
        return self.ask("GET", "/api/v1/indicators/imports", list[ImportSummary])

    def remove_import(self, name: str) -> None:
        """Remove what was imported under a name."""
        return self.ask("DELETE", "/api/v1/indicators/imports/{name}", type(None), within={"name": name})

    def show_indicator(self, value: str) -> IndicatorDetail:
        """Show what is known of a value; of a URL, ask the list by `filter=value=`."""
        return self.ask("GET", "/api/v1/indicators/{value}", IndicatorDetail, within={"value": value})

    def list_integrations(
        self,
        *,
        filter: list[str] | None = None,
        order: str | None = None,
        limit: int | None = None,
        after: str | None = None,
        fields: str | None = None,
    ) -> PageOfIntegration:
        """List integrations, without their secrets."""
        return self.ask(
            "GET",
            "/api/v1/integrations/siem",
            PageOfIntegration,
            query={"filter": filter, "order": order, "limit": limit, "after": after, "fields": fields},
        )

    def add_integration(self, data: NewIntegration) -> Integration:
        """Send what happens from now on to another system, too."""
        return self.ask("POST", "/api/v1/integrations/siem", Integration, body=data)

    def show_integration(self, name: str) -> Integration:
        """Show an integration, without its secret."""
        return self.ask("GET", "/api/v1/integrations/siem/{name}", Integration, within={"name": name})

    def remove_integration(self, name: str) -> None:
        """Remove an integration with its dead letters."""
        return self.ask("DELETE", "/api/v1/integrations/siem/{name}", type(None), within={"name": name})

    def switch_integration(self, name: str, data: Switch) -> Standing:
        """Enable or disable an integration; it goes on where it stopped."""
        return self.ask("PATCH", "/api/v1/integrations/siem/{name}", Standing, within={"name": name}, body=data)

    def list_integration_deliveries(self, name: str, *, limit: int | None = None) -> Deliveries:
        """Tell how deliveries stand, and which events were refused."""
        return self.ask(
            "GET",
            "/api/v1/integrations/siem/{name}/deliveries",
            Deliveries,
            within={"name": name},
            query={"limit": limit},
        )

    def replay_integration(self, name: str, data: Replay) -> Standing:
        """Send events again, with the same identities: all behind a place in the feed, or dead letters."""
        return self.ask("POST", "/api/v1/integrations/siem/{name}/replay", Standing, within={"name": name}, body=data)

    def test_integration(self, name: str) -> Trial:
        """Send an event that says that it is a test, now and once."""
        return self.ask("POST", "/api/v1/integrations/siem/{name}/test", Trial, within={"name": name})

    def list_jobs(
        self,
        *,
        filter: list[str] | None = None,
        order: str | None = None,
        limit: int | None = None,
        after: str | None = None,
        fields: str | None = None,
    ) -> PageOfJobStatus:
        """List jobs."""
        return self.ask(
            "GET",
            "/api/v1/jobs",
            PageOfJobStatus,
            query={"filter": filter, "order": order, "limit": limit, "after": after, "fields": fields},
        )

    def show_job(self, job_id: str) -> JobStatus:
        """Show a job and how far it has come."""
        return self.ask("GET", "/api/v1/jobs/{job_id}", JobStatus, within={"job_id": job_id})

    def cancel_job(self, job_id: str) -> JobStatus:
        """Cancel a job that is not over."""
        return self.ask("DELETE", "/api/v1/jobs/{job_id}", JobStatus, within={"job_id": job_id})

    def list_keys(
        self,
        *,
        filter: list[str] | None = None,
        order: str | None = None,
        limit: int | None = None,
        after: str | None = None,
        fields: str | None = None,
    ) -> PageOfApiKey:
        """List the API keys of the tenant."""
        return self.ask(
            "GET",
            "/api/v1/keys",
            PageOfApiKey,
            query={"filter": filter, "order": order, "limit": limit, "after": after, "fields": fields},
        )

    def add_key(self, data: NewKey) -> MadeKey:
        """Make an API key of the tenant, which is shown this once."""
        return self.ask("POST", "/api/v1/keys", MadeKey, body=data)

    def show_key(self, key_id: str) -> ApiKey:
        """Show an API key of the tenant, without the key itself."""
        return self.ask("GET", "/api/v1/keys/{key_id}", ApiKey, within={"key_id": key_id})

    def remove_key(self, key_id: str) -> None:
        """Revoke an API key at once."""
        return self.ask("DELETE", "/api/v1/keys/{key_id}", type(None), within={"key_id": key_id})

    def show_me(self) -> Principal:
        """Show on whose behalf this is asked."""
        return self.ask("GET", "/api/v1/me", Principal)

    def change_password(self, data: PasswordChange) -> None:
        """Change the own password; all own sessions end."""
        return self.ask("POST", "/api/v1/me/password", type(None), body=data)

    def list_models(self) -> list[ModelStatus]:
        """List the models that come with the package."""
        return self.ask("GET", "/api/v1/models", list[ModelStatus])

    def show_model(self, name: str) -> ModelStatus:
        """Show a model, such as builtin:flow or registry:NAME@STAGE."""
        return self.ask("GET", "/api/v1/models/{name}", ModelStatus, within={"name": name})

    def show_drift(self, name: str, *, hours: int | None = None) -> ModelDrift:
        """Compare the flows of the last hours with those that a model learnt from, column by column."""
        return self.ask("GET", "/api/v1/models/{name}/drift", ModelDrift, within={"name": name}, query={"hours": hours})

    def show_importance(self, name: str) -> ModelImportance:
        """Say how much each column counts, the most important first."""
        return self.ask("GET", "/api/v1/models/{name}/feature-importance", ModelImportance, within={"name": name})

    def move_model(self, name: str, data: Promotion) -> Version:
        """Move a registered version to a stage; what was in production before is archived."""
        return self.ask("POST", "/api/v1/models/{name}/stage", Version, within={"name": name}, body=data)

    def list_versions(self, name: str) -> list[Version]:
        """List the registered versions of a model of the tenant, the first one first."""
        return self.ask("GET", "/api/v1/models/{name}/versions", list[Version], within={"name": name})

    def monitor_network(self, data: Span) -> NetworkAnswer:
        """Say what the network carried in a span of time."""
        return self.ask("POST", "/api/v1/network", NetworkAnswer, body=data)

    def finish_login(
        self,
        *,
        code: str,
        state: str,
        iss: str | None = None,
        session_state: str | None = None,
        infraspectre_login: str | None = None,
    ) -> None:
        """Log in whoever comes back from the identity provider, and send the browser to the first page."""
        return self.ask(
            "GET",
            "/api/v1/oidc/callback",
            type(None),
            query={"code": code, "state": state, "iss": iss, "session_state": session_state},
        )

    def begin_login(self, *, next: str | None = None) -> None:
        """Send the browser to the identity provider."""
        return self.ask("GET", "/api/v1/oidc/login", type(None), query={"next": next})

    def predict(self, data: PredictRequest) -> Predictions:
        """Say what a model says of a row."""
        return self.ask("POST", "/api/v1/predict", Predictions, body=data)

    def predict_batch(self, data: PredictBatchRequest) -> Predictions:
        """Say what a model says of many rows."""
        return self.ask("POST", "/api/v1/predict/batch", Predictions, body=data)

    def model_future(self, data: ForecastRequest) -> ForecastAnswer:
        """Say how many detections, flows or bytes are likely to come, with intervals learnt from past errors."""
        return self.ask("POST", "/api/v1/predictive-modeling", ForecastAnswer, body=data)

    def list_problems(self) -> list[ProblemKind]:
        """List the kinds of problems."""
        return self.ask("GET", "/api/v1/problems", list[ProblemKind])

    def show_problem(self, name: str) -> ProblemKind:
        """Show what a kind of problem means: the type of a problem leads here."""
        return self.ask("GET", "/api/v1/problems/{name}", ProblemKind, within={"name": name})

    def list_registered(self) -> list[RegisteredModel]:
        """List the models that are registered for the tenant."""
        return self.ask("GET", "/api/v1/registry", list[RegisteredModel])

    def retrain_model(self, data: RetrainingRequest) -> JobStatus:
        """Learn a model from verdicts and ordinary flows, and register it as a candidate: a job."""
        return self.ask("POST", "/api/v1/retraining", JobStatus, body=data)

    def list_rules(
        self,
        *,
        filter: list[str] | None = None,
        order: str | None = None,
        limit: int | None = None,
        after: str | None = None,
        fields: str | None = None,
    ) -> PageOfRuleSummary:
        """List own rules, Sigma rules and rules of correlation as their files say, also those that are refused."""
        return self.ask(
            "GET",
            "/api/v1/rules",
            PageOfRuleSummary,
            query={"filter": filter, "order": order, "limit": limit, "after": after, "fields": fields},
        )

    def try_rule(self, data: RuleTrial) -> TrialResult:
        """Check the text of a rule, and run it on flows of the last hours; nothing is kept."""
        return self.ask("POST", "/api/v1/rules/test", TrialResult, body=data)

    def show_rule(self, rule_id: str) -> RuleDetail:
        """Show a rule with its text."""
        return self.ask("GET", "/api/v1/rules/{rule_id}", RuleDetail, within={"rule_id": rule_id})

    def switch_rule(self, rule_id: str, data: RuleChange) -> RuleDetail:
        """Switch an own rule or a Sigma rule off or on for the tenant; the worker follows within a minute."""
        return self.ask("PATCH", "/api/v1/rules/{rule_id}", RuleDetail, within={"rule_id": rule_id}, body=data)

    def list_sensors(
        self,
        *,
        filter: list[str] | None = None,
        order: str | None = None,
        limit: int | None = None,
        after: str | None = None,
        fields: str | None = None,
    ) -> PageOfSensorStatus:
        """List the sensors that ever connected."""
        return self.ask(
            "GET",
            "/api/v1/sensors",
            PageOfSensorStatus,
            query={"filter": filter, "order": order, "limit": limit, "after": after, "fields": fields},
        )

    def show_sensor(self, name: str) -> SensorStatus:
        """Show a sensor."""
        return self.ask("GET", "/api/v1/sensors/{name}", SensorStatus, within={"name": name})

    def list_sessions(self) -> list[OwnSession]:
        """List one's own sessions that are open, the one that ends last first."""
        return self.ask("GET", "/api/v1/sessions", list[OwnSession])

    def open_session(self, data: Login) -> Session:
        """Log in with a password."""
        return self.ask("POST", "/api/v1/sessions", Session, body=data)

    def close_other_sessions(self) -> None:
        """Log out everywhere else: all one's own sessions end but the one by which this is asked."""
        return self.ask("DELETE", "/api/v1/sessions", type(None))

    def close_session(self) -> None:
        """Log out: the tokens of this session are good no more, and the cookie is taken back."""
        return self.ask("DELETE", "/api/v1/sessions/current", type(None))

    def renew_session(self, data: Renewal, *, infraspectre_refresh: str | None = None) -> Session:
        """Exchange a refresh token for new tokens; each is good once, and used twice it ends the session."""
        return self.ask("POST", "/api/v1/sessions/renewal", Session, body=data)

    def list_settings(self) -> PageOfShownSetting:
        """List every setting with its meaning, its default and its value; only those who run the platform may."""
        return self.ask("GET", "/api/v1/settings", PageOfShownSetting)

    def list_tenants(
        self,
        *,
        filter: list[str] | None = None,
        order: str | None = None,
        limit: int | None = None,
        after: str | None = None,
        fields: str | None = None,
    ) -> PageOfTenant:
        """List the tenants that were added."""
        return self.ask(
            "GET",
            "/api/v1/tenants",
            PageOfTenant,
            query={"filter": filter, "order": order, "limit": limit, "after": after, "fields": fields},
        )

    def add_tenant(self, data: NewTenant) -> MadeTenant:
        """Add a tenant, and make the key by which its first users are added."""
        return self.ask("POST", "/api/v1/tenants", MadeTenant, body=data)

    def list_reports(
        self,
        *,
        filter: list[str] | None = None,
        order: str | None = None,
        limit: int | None = None,
        after: str | None = None,
        fields: str | None = None,
    ) -> PageOfReportSummary:
        """List threat reports: those of STIX, events of MISP, and pulses of OTX."""
        return self.ask(
            "GET",
            "/api/v1/threat-reports",
            PageOfReportSummary,
            query={"filter": filter, "order": order, "limit": limit, "after": after, "fields": fields},
        )

    def show_report(self, report_id: str) -> ReportDetail:
        """Show a threat report with its indicators, and in how many incidents these take part."""
        return self.ask("GET", "/api/v1/threat-reports/{report_id}", ReportDetail, within={"report_id": report_id})

    def analyze_trends(self, data: TrendRequest) -> TrendAnswer:
        """Say how often each category was found over time, and whether that rises or falls beyond chance."""
        return self.ask("POST", "/api/v1/trend-analysis", TrendAnswer, body=data)

    def list_users(
        self,
        *,
        filter: list[str] | None = None,
        order: str | None = None,
        limit: int | None = None,
        after: str | None = None,
        fields: str | None = None,
    ) -> PageOfUser:
        """List the users of the tenant."""
        return self.ask(
            "GET",
            "/api/v1/users",
            PageOfUser,
            query={"filter": filter, "order": order, "limit": limit, "after": after, "fields": fields},
        )

    def add_user(self, data: NewUser) -> User:
        """Add a user to the tenant."""
        return self.ask("POST", "/api/v1/users", User, body=data)

    def show_user(self, name: str) -> User:
        """Show a user of the tenant."""
        return self.ask("GET", "/api/v1/users/{name}", User, within={"name": name})

    def remove_user(self, name: str, *, if_match: str) -> None:
        """Remove a user, and end the user's sessions."""
        return self.ask(
            "DELETE", "/api/v1/users/{name}", type(None), within={"name": name}, headers={"if-match": if_match}
        )

    def change_user(self, name: str, data: UserChange, *, if_match: str) -> User:
        """Change role, password or state of a user; all sessions of the user end."""
        return self.ask(
            "PATCH", "/api/v1/users/{name}", User, within={"name": name}, headers={"if-match": if_match}, body=data
        )

    def list_views(
        self,
        *,
        filter: list[str] | None = None,
        order: str | None = None,
        limit: int | None = None,
        after: str | None = None,
        fields: str | None = None,
    ) -> PageOfSavedView:
        """List one's own views, and those that are shared."""
        return self.ask(
            "GET",
            "/api/v1/views",
            PageOfSavedView,
            query={"filter": filter, "order": order, "limit": limit, "after": after, "fields": fields},
        )

    def add_view(self, data: NewView) -> SavedView:
        """Save a view; a shared one needs the permission engineer."""
        return self.ask("POST", "/api/v1/views", SavedView, body=data)

    def remove_view(self, view_id: str) -> None:
        """Remove one of one's own views; engineers remove shared ones, too."""
        return self.ask("DELETE", "/api/v1/views/{view_id}", type(None), within={"view_id": view_id})

    def list_webhooks(
        self,
        *,
        filter: list[str] | None = None,
        order: str | None = None,
        limit: int | None = None,
        after: str | None = None,
        fields: str | None = None,
    ) -> PageOfWebhook:
        """List webhooks, without their secrets."""
        return self.ask(
            "GET",
            "/api/v1/webhooks",
            PageOfWebhook,
            query={"filter": filter, "order": order, "limit": limit, "after": after, "fields": fields},
        )

    def add_webhook(self, data: NewWebhook) -> MadeWebhook:
        """Register a webhook for what happens from now on; its secret is shown this once."""
        return self.ask("POST", "/api/v1/webhooks", MadeWebhook, body=data)

    def show_webhook(self, webhook_id: str) -> Webhook:
        """Show a webhook, without its secret."""
        return self.ask("GET", "/api/v1/webhooks/{webhook_id}", Webhook, within={"webhook_id": webhook_id})

    def remove_webhook(self, webhook_id: str) -> None:
        """Remove a webhook with its dead letters."""
        return self.ask("DELETE", "/api/v1/webhooks/{webhook_id}", type(None), within={"webhook_id": webhook_id})

    def switch_webhook(self, webhook_id: str, data: Switch) -> Standing:
        """Enable or disable a webhook; it goes on where it stopped."""
        return self.ask(
            "PATCH", "/api/v1/webhooks/{webhook_id}", Standing, within={"webhook_id": webhook_id}, body=data
        )

    def list_deliveries(self, webhook_id: str, *, limit: int | None = None) -> Deliveries:
        """Tell how deliveries stand, and which events were refused."""
        return self.ask(
            "GET",
            "/api/v1/webhooks/{webhook_id}/deliveries",
            Deliveries,
            within={"webhook_id": webhook_id},
            query={"limit": limit},
        )

    def replay_webhook(self, webhook_id: str, data: Replay) -> Standing:
        """Send events again, with the same identities: all behind a place in the feed, or dead letters."""
        return self.ask(
            "POST", "/api/v1/webhooks/{webhook_id}/replay", Standing, within={"webhook_id": webhook_id}, body=data
        )

    def test_webhook(self, webhook_id: str) -> Trial:
        """Send an event that says that it is a test, now and once."""
        return self.ask("POST", "/api/v1/webhooks/{webhook_id}/test", Trial, within={"webhook_id": webhook_id})

    def live(self) -> Health:
        """Tell that the server answers."""
        return self.ask("GET", "/health/live", Health)

    def ready(self) -> Health:
        """Tell whether requests can be answered: 503 while something that nothing goes on without is down."""
        return self.ask("GET", "/health/ready", Health)

    def started(self) -> Health:
        """Tell that the server has started: it answers only then."""
        return self.ask("GET", "/health/startup", Health)

    def show_metrics(self) -> bytes:
        """Show all metrics in the text format of Prometheus."""
        return self.ask("GET", "/metrics", bytes)
