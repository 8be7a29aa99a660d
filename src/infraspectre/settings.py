"""Every setting of the product, one section for each part."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from infraspectre.capture.settings import FlowSettings
from infraspectre.records.access import Role
from infraspectre.reflex.actions import ResponseSettings
from infraspectre.reflex.score import ReflexSettings


class ModelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Says where models are kept."""

    registry: str = ""
    """Folder of the registry of models, or mlflow: and a tracking address; empty for the usual folder."""


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


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Holds every setting, one section for each part."""

    access: AccessSettings = AccessSettings()
    flows: FlowSettings = FlowSettings()
    models: ModelSettings = ModelSettings()
    reflex: ReflexSettings = ReflexSettings()
    response: ResponseSettings = ResponseSettings()
