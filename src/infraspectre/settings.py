"""Every setting of the product, one section for each part."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from infraspectre import config
from infraspectre.capture.settings import FlowSettings
from infraspectre.records.access import Role
from infraspectre.reflex.actions import ResponseSettings
from infraspectre.reflex.score import ReflexSettings

Port = Annotated[int, Meta(ge=0, le=65_535)]
Seconds = Annotated[float, Meta(gt=0, le=31 * 86_400)]
Days = Annotated[int, Meta(ge=1, le=36_500)]
Many = Annotated[int, Meta(ge=1, le=1 << 40)]


class ModelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Says where models are kept."""

    registry: str = ""
    """Folder of the registry of models, or mlflow: and a tracking address; empty for the usual folder."""


class DataSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Says where the platform keeps what lasts."""

    folder: str = ""
    """Folder of the event log, the store and the checkpoints; empty for the usual one of the user."""

    @property
    def path(self) -> Path:
        """Return the folder."""
        return Path(self.folder) if self.folder else config.data_folder() / "platform"


class ServerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sets where the API answers."""

    host: str = "127.0.0.1"
    """Address to listen at; beyond loopback a certificate is needed."""
    port: Port = 8440
    """Port to listen at; 0 lets the system choose one, which is printed."""
    certificate_file: str = ""
    """PEM file with the certificate and those that issued it; empty for no TLS."""
    key_file: str = ""
    """PEM file with the private key of the certificate, readable by the service alone."""
    allow_plaintext: bool = False
    """Whether to answer beyond loopback without TLS, as behind a proxy that adds it."""
    grpc_port: Port | None = None
    """Port of the scoring service over gRPC, beside the API and with its certificate; none without."""
    stop_s: Seconds = 20.0
    """How long a stop may take before what still runs is ended."""


class LogSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sets how the event log is kept."""

    folder: str = ""
    """Folder of the log; empty for `log` in the data folder."""
    retention_days: Days = 14
    """How long entries are kept at least."""
    retention_bytes: Many = 64 << 30
    """How much is kept at most; beyond it the oldest entries go first."""
    segment_bytes: Annotated[int, Meta(ge=1 << 16, le=1 << 34)] = 256 << 20
    """How much one file holds."""
    signing_key_file: str = ""
    """PEM file with the Ed25519 key that signs entries; empty for one made at the first start."""


class StoreSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sets where records and tables are kept."""

    folder: str = ""
    """Folder of the tables, and of the records where there is no PostgreSQL; empty for `store` in the data folder."""
    postgres_file: str = ""
    """File with the connection string of PostgreSQL for records; empty for SQLite in the folder."""


class SensorSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sets where sensors send their flows."""

    listen: bool = False
    """Whether to take flows from sensors."""
    host: str = "0.0.0.0"  # noqa: S104 - sensors are other machines, and each has to show its certificate
    port: Port = 8441
    """Port to listen at; 0 lets the system choose one, which is printed."""
    certificate_file: str = ""
    """PEM file with the certificate that sensors are shown."""
    key_file: str = ""
    """PEM file with its private key."""
    authority_file: str = ""
    """PEM file with the certificate of the authority that issued those of sensors."""
    revocation_file: str = ""
    """PEM file with what the authority has revoked; empty for nothing."""


class DetectionSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sets what the worker looks for, as the options of `infraspectre analyze` do."""

    assets: str = ""
    """What is known about the site: hosts and networks, and what is allowed."""
    rules: tuple[str, ...] = ()
    """Files and folders of own rules and Sigma rules."""
    models: tuple[str, ...] = ()
    """Folders of models that judge flows, or built-in ones such as builtin:dga."""
    intel: tuple[str, ...] = ()
    """Files and folders of threat intelligence."""
    correlation: tuple[str, ...] = ()
    """Files and folders of rules that say which detections are joined."""
    patience_s: Annotated[float, Meta(gt=0, le=3600)] = 0.05
    """How long flows wait for more before detectors look at them, once no others wait in the log."""
    grace_s: Annotated[float, Meta(gt=0, le=86_400)] = 600.0
    """How far event time stays behind the clock while no flows come: a flow is told up to five minutes after its last
    packet, and a sensor may be away for a moment. What detectors hold back is told as it goes on; flows that come later
    are judged with less patience."""
    checkpoint_s: Seconds = 60.0
    """How often what was learnt is saved."""
    replay_s: Annotated[float, Meta(ge=0, le=31 * 86_400)] = 3_600.0
    """How much of the log is read again where what was learnt cannot be restored."""


class LimitSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds what the platform takes in and holds."""

    waiting_flows: Many = 1_000_000
    """Flows that wait for the worker; beyond it the least valuable are shed and counted."""
    waiting_bytes: Many = 512 << 20
    """The same in bytes."""


class RetentionSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sets for how long results are kept, from when they happened or, in a capture that is replayed, came in."""

    flows_days: Days = 30
    detections_days: Days = 365
    incidents_days: Days = 1_095
    """From when an incident was seen last, or changed last if that was later."""


class EvidenceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sets which packets of incidents are kept; only sensors with `--ring` have any."""

    level: Literal["informational", "low", "medium", "high", "critical", "never"] = "high"
    """Sensors are asked for the packets behind an incident once it reaches this level; never leaves it to people."""
    margin_s: Annotated[float, Meta(ge=0, le=3_600)] = 5.0
    """So much time before and after the flows behind an incident is asked for, too."""
    incident_bytes: Annotated[int, Meta(ge=1 << 16, le=1 << 30)] = 16 << 20
    """Bytes of packets of one incident at the most."""
    total_bytes: Many = 4 << 30
    """Bytes of packets of all incidents at the most; beyond it none are taken until some are removed."""
    days: Days = 30
    """How long packets are kept."""


class OidcSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sets by which OpenID provider users may log in, and which roles they have then."""

    issuer: str = ""
    """Address of the provider, as its tokens name it; empty for none."""
    client_id: str = ""
    """Name under which the provider knows this server."""
    client_secret_file: str = ""
    """File with the secret that the provider gave; empty for a public client."""
    redirect_url: str = ""
    """Address of this server's /api/v1/oidc/callback, as browsers reach it and the provider knows it."""
    tenant: str = "default"
    """Tenant of all who log in so."""
    name_claim: str = "sub"
    """Claim that names the user."""
    role_claim: str = "groups"
    """Claim with the groups or roles of the user."""
    roles: dict[str, Role] = {}
    """Role of each value of that claim; of several the mightiest, and whoever has none is refused."""


class AccessSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sets how people and programs show who they are, and how much they may ask for."""

    token_key_file: str = ""
    """File with the key that signs access tokens; empty for `token.key` in the data folder, made at the first start."""
    access_s: Annotated[int, Meta(ge=60, le=86_400)] = 900
    """How long an access token is good."""
    refresh_s: Annotated[int, Meta(ge=300, le=366 * 86_400)] = 30 * 86_400
    """How long a login lasts at the most."""
    logins_per_minute: Annotated[float, Meta(gt=0, le=1e4)] = 10.0
    """Logins of one user, and from one address, on average."""
    failures_per_minute: Annotated[float, Meta(gt=0, le=1e6)] = 60.0
    """Requests without a good credential from one address, on average, that are told more than to wait."""
    requests_per_s: Annotated[float, Meta(gt=0, le=1e6)] = 100.0
    """Requests of one user or key, on average; twice as many may come at once."""
    password_kib: Annotated[int, Meta(ge=32, le=1 << 21)] = 65_536
    """Memory that a guess at a password takes, in KiB (argon2id)."""
    public_metrics: bool = False
    """Whether /metrics answers everybody, as where only a scraper can reach it."""
    outgoing_networks: tuple[str, ...] = ()
    """Private networks that this server may call, such as 10.1.2.0/24; others than public ones are refused."""
    oidc: OidcSettings = OidcSettings()


class TelemetrySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sets which traces are told, and to whom; metrics are at /metrics in any case."""

    traces: str = ""
    """URL to which traces go (OTLP over HTTP, such as https://collector:4318/v1/traces), file: and a path, or console
    for lines of JSON; empty for none."""
    headers_file: str = ""
    """File with what the collector wants to be told beside, one `NAME: VALUE` a line; empty for nothing."""
    authority_file: str = ""
    """PEM file with the authority of the collector's certificate; empty for those that the system trusts."""
    sample_ratio: Annotated[float, Meta(ge=0, le=1)] = 0.05
    """Share of traces that are told; those with an error or a new incident are told in any case."""
    follow_callers: bool = True
    """Whether a request with a traceparent belongs to its caller's trace; if not, it is only linked with it."""
    show_addresses: bool = False
    """Whether spans say who asked, and from where."""
    detector_ms: Annotated[float, Meta(ge=0, le=60_000)] = 20.0
    """A detector that takes longer for a block of flows has a span of its own."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Holds every setting, one section for each part."""

    data: DataSettings = DataSettings()
    server: ServerSettings = ServerSettings()
    sensors: SensorSettings = SensorSettings()
    detection: DetectionSettings = DetectionSettings()
    log: LogSettings = LogSettings()
    store: StoreSettings = StoreSettings()
    limits: LimitSettings = LimitSettings()
    retention: RetentionSettings = RetentionSettings()
    evidence: EvidenceSettings = EvidenceSettings()
    access: AccessSettings = AccessSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    flows: FlowSettings = FlowSettings()
    models: ModelSettings = ModelSettings()
    reflex: ReflexSettings = ReflexSettings()
    response: ResponseSettings = ResponseSettings()
