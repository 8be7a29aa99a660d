"""All that decides who gets in, made once for a platform."""

from __future__ import annotations

from dataclasses import dataclass

from infraspectre.api.access.audit import Audit
from infraspectre.api.access.authentication import Authentication
from infraspectre.api.access.oidc import Provider
from infraspectre.api.access.passwords import Passwords
from infraspectre.api.access.sessions import Sessions
from infraspectre.api.access.tokens import Tokens
from infraspectre.api.limits import Buckets
from infraspectre.errors import ConfigError
from infraspectre.serving.platform import Platform

BURST_S = 2.0
"""Seconds of requests that may come at once."""

MANY = 10.0
"""How many times as often as from one address users may log in from all."""


@dataclass(frozen=True)
class Door:
    """Holds what lets people and programs in."""

    authentication: Authentication
    sessions: Sessions
    passwords: Passwords
    audit: Audit
    tokens: Tokens
    provider: Provider | None
    """None where users log in by passwords alone."""
    requests: Buckets
    """Of principals, and of addresses that ask for what is public."""
    failures: Buckets
    """Of addresses that are refused."""
    logins: Buckets
    """Of addresses, and of users from each, that log in."""
    guesses: Buckets
    """Of users, wherever they log in from: a bound for guessing from many addresses."""


def door_of(platform: Platform) -> Door:
    """Return the door of a platform."""
    settings = platform.settings.access
    tokens = Tokens(platform.token_key)
    return Door(
        Authentication(platform.records, tokens, platform.clock),
        Sessions(platform.records, tokens, platform.clock, settings),
        Passwords(settings.password_kib),
        Audit(platform.log, platform.clock),
        tokens,
        provider_of(platform),
        Buckets(settings.requests_per_s, settings.requests_per_s * BURST_S),
        Buckets(settings.failures_per_minute / 60, settings.failures_per_minute),
        Buckets(settings.logins_per_minute / 60, settings.logins_per_minute),
        Buckets(settings.logins_per_minute * MANY / 60, settings.logins_per_minute * MANY),
    )


def provider_of(platform: Platform) -> Provider | None:
    """Return the identity provider of the settings; raises ConfigError where the platform may not ask it."""
    settings = platform.settings.access.oidc
    if not settings.issuer:
        return None
    if platform.outgoing is None:
        raise ConfigError("the platform sends no requests", field="access.oidc.issuer")
    return Provider(settings, platform.outgoing, platform.clock)
