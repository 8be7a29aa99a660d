"""Webhooks of a tenant: who is told what happens, by signed requests (Standard Webhooks 1.0)."""

from __future__ import annotations

import re
import secrets
from typing import Annotated

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.params import JSONBody, QueryParameter
from msgspec import Meta
from msgspec.structs import asdict

from infraspectre.api.given import GivenPlatform, GivenPrincipal, GivenQuestion, InPath
from infraspectre.api.pages import PageOf, asked
from infraspectre.api.problems import Flaw, RefusedError
from infraspectre.api.receivers import (
    Channels,
    Deliveries,
    Filters,
    Replay,
    Standing,
    Switch,
    Trial,
    Url,
    check_receiver,
    deliveries_of,
    found,
    listed,
    receivers_of,
    replayed,
    standing_of,
    switched,
    tried,
)
from infraspectre.records.collections import WEBHOOKS
from infraspectre.records.delivery import Destination, Progress
from infraspectre.records.feed import Channel
from infraspectre.records.times import rfc3339
from infraspectre.serving.destinations import webhook_keys

PATH = "/api/v1/webhooks"
ONE = PATH + "/{webhook_id:str}"
KIND = re.compile(r"[a-z0-9_.-]{1,64}")
AT_ONCE = 20
"""Events sent one after another until what became of them is written down."""
TRIAL_LIMIT_S = 60.0
Limit = Annotated[int, QueryParameter(ge=1, le=1_000, description="Items at the most.")]


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """Is a webhook as others see it."""

    webhook_id: str
    name: str
    url: str
    channels: list[Channel]
    filters: list[str]
    created_at: str
    public_key: str
    """By which signatures `v1a` (Ed25519) are verified."""
    standing: Standing


class MadeWebhook(Webhook, frozen=True, kw_only=True):
    """Is a new webhook."""

    secret: str
    """By which signatures `v1` (HMAC-SHA256) are verified; shown this once."""


class NewWebhook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Is a webhook to be registered."""

    url: Url
    channels: Channels = []
    kinds: Annotated[
        list[str],
        Meta(max_length=100, description="Kinds of events, such as incident.raised; all, where none is named."),
    ] = []
    filters: Filters = []
    name: Annotated[str, Meta(max_length=100, description="What it is for.")] = ""


def shown(destination: Destination, progress: Progress) -> Webhook:
    """Return what is shown of a webhook."""
    return Webhook(
        webhook_id=destination.key,
        name=destination.name,
        url=destination.url,
        channels=destination.channels,
        filters=destination.filters,
        created_at=rfc3339(destination.created_at),
        public_key=destination.public_key,
        standing=standing_of(progress),
    )


@get(
    PATH,
    opt={"permission": "engineer"},
    dependencies={"question": asked(WEBHOOKS.fields, Webhook.__struct_fields__)},
    sync_to_thread=True,
)
def list_webhooks(platform: GivenPlatform, principal: GivenPrincipal, question: GivenQuestion) -> PageOf[Webhook]:
    """List webhooks, without their secrets."""
    answer: PageOf[Webhook] = listed(platform, principal, WEBHOOKS, question, shown)
    return answer


@post(PATH, opt={"permission": "engineer", "idempotency": False}, sync_to_thread=True)
def add_webhook(
    platform: GivenPlatform, principal: GivenPrincipal, data: JSONBody[NewWebhook]
) -> Response[MadeWebhook]:
    """Register a webhook for what happens from now on; its secret is shown this once."""
    if not all(KIND.fullmatch(each) for each in data.kinds):
        raise RefusedError("not-valid", "kinds: one is no kind", [Flaw("is no kind of event", "kinds")])
    filters = [*data.filters, *([f"kind={'|'.join(data.kinds)}"] if data.kinds else [])]
    check_receiver(principal.tenant, data.url, data.channels, filters, ("https",))
    keys = webhook_keys()
    destination = Destination(
        key=f"wh_{secrets.token_hex(12)}",
        kind="webhook",
        name=data.name,
        url=data.url,
        created_at=platform.clock.now(),
        channels=data.channels,
        filters=filters,
        batch=AT_ONCE,
        public_key=keys.public,
    )
    known = receivers_of(platform, principal)
    known.add(destination, str(keys))
    made = MadeWebhook(**asdict(shown(destination, known.progress(destination.key))), secret=keys.shared)
    return Response(made, status_code=201, headers={"location": f"{PATH}/{destination.key}"})


@get(ONE, opt={"permission": "engineer"}, sync_to_thread=True)
def show_webhook(platform: GivenPlatform, principal: GivenPrincipal, webhook_id: InPath) -> Webhook:
    """Show a webhook, without its secret."""
    known = receivers_of(platform, principal)
    return shown(found(known, WEBHOOKS, webhook_id), known.progress(webhook_id))


@patch(ONE, opt={"permission": "engineer"}, sync_to_thread=True)
def switch_webhook(
    platform: GivenPlatform, principal: GivenPrincipal, webhook_id: InPath, data: JSONBody[Switch]
) -> Standing:
    """Enable or disable a webhook; it goes on where it stopped."""
    known = receivers_of(platform, principal)
    return switched(known, found(known, WEBHOOKS, webhook_id).key, data)


@delete(ONE, opt={"permission": "engineer"}, sync_to_thread=True)
def remove_webhook(platform: GivenPlatform, principal: GivenPrincipal, webhook_id: InPath) -> None:
    """Remove a webhook with its dead letters."""
    if not receivers_of(platform, principal).remove(WEBHOOKS, webhook_id):
        raise RefusedError("not-found", "there is no such receiver")


@post(
    ONE + "/test",
    opt={"permission": "engineer", "time_limit_s": TRIAL_LIMIT_S},
    status_code=200,
    sync_to_thread=True,
)
def test_webhook(platform: GivenPlatform, principal: GivenPrincipal, webhook_id: InPath) -> Trial:
    """Send an event that says that it is a test, now and once."""
    known = receivers_of(platform, principal)
    return tried(known, found(known, WEBHOOKS, webhook_id))


@get(ONE + "/deliveries", opt={"permission": "engineer"}, sync_to_thread=True)
def list_deliveries(
    platform: GivenPlatform, principal: GivenPrincipal, webhook_id: InPath, limit: Limit = 100
) -> Deliveries:
    """Tell how deliveries stand, and which events were refused."""
    known = receivers_of(platform, principal)
    return deliveries_of(known, found(known, WEBHOOKS, webhook_id).key, limit)


@post(ONE + "/replay", opt={"permission": "engineer"}, status_code=200, sync_to_thread=True)
def replay_webhook(
    platform: GivenPlatform, principal: GivenPrincipal, webhook_id: InPath, data: JSONBody[Replay]
) -> Standing:
    """Send events again, with the same identities: all behind a place in the feed, or dead letters."""
    known = receivers_of(platform, principal)
    return replayed(known, found(known, WEBHOOKS, webhook_id).key, data)


HANDLERS = [
    list_webhooks, add_webhook, show_webhook, switch_webhook, remove_webhook, test_webhook, list_deliveries,
    replay_webhook,
]  # fmt: skip
