"""Integrations of a tenant: systems of others, and people, who are told what happens."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.params import JSONBody, QueryParameter
from msgspec import Meta

from infraspectre.api.given import GivenPlatform, GivenPrincipal, GivenQuestion, InPath
from infraspectre.api.pages import PageOf, asked
from infraspectre.api.problems import Flaw, RefusedError, about_content
from infraspectre.api.receivers import (
    Channels,
    Deliveries,
    Filters,
    ReceiverName,
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
from infraspectre.records.collections import INTEGRATIONS
from infraspectre.records.delivery import PEOPLE, Destination, Format, Platform, Progress
from infraspectre.records.feed import Channel
from infraspectre.records.times import rfc3339

PATH = "/api/v1/integrations/siem"
ONE = PATH + "/{name:str}"
TRIAL_LIMIT_S = 60.0
FORMATS: Mapping[Platform, Format] = {
    "splunk": "json", "qradar": "leef", "sentinel": "json", "elastic": "ecs", "syslog": "cef",
    "slack": "json", "teams": "json", "email": "json",
}  # fmt: skip
"""What each platform is sent where nothing else is asked for."""
LINES = ("tls", "tcp")
WEB = ("https",)
MAIL = ("smtp", "smtps")
SCHEMES: Mapping[Platform, tuple[str, ...]] = {
    "splunk": WEB, "sentinel": WEB, "elastic": WEB, "qradar": LINES, "syslog": LINES,
    "slack": WEB, "teams": WEB, "email": MAIL,
}  # fmt: skip
OPTIONS: Mapping[Platform, frozenset[str]] = {
    "splunk": frozenset({"index", "sourcetype"}),
    "qradar": frozenset(),
    "sentinel": frozenset({"directory", "client", "rule", "stream"}),
    "elastic": frozenset({"index"}),
    "syslog": frozenset(),
    "slack": frozenset(),
    "teams": frozenset(),
    "email": frozenset({"sender", "recipients", "user"}),
}
NEEDED: Mapping[Platform, frozenset[str]] = {
    "sentinel": OPTIONS["sentinel"], "email": frozenset({"sender", "recipients"}),
}  # fmt: skip
WITHOUT_SECRET = ("qradar", "syslog", "email")
OPTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,199}")
MAIL_OPTION = re.compile(r"[!-~][ -~]{0,1999}")
"""Addresses are checked where they are used."""
SYSTEM_BATCH, PEOPLE_BATCH = 100, 500
PEOPLE_PAUSE_S = 60
PEOPLE_FILTERS = ["kind=incident.raised|incident.updated", "severity>=high"]
"""Of what people are told where nothing else is asked for."""


class Integration(msgspec.Struct, frozen=True, kw_only=True):
    """Is another system as it is shown."""

    name: str
    kind: Platform
    url: str
    format: Format
    channels: list[Channel]
    filters: list[str]
    batch: int
    pause_s: int
    template: str
    options: dict[str, str]
    created_at: str
    standing: Standing


class NewIntegration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Is another system to be told what happens."""

    name: ReceiverName
    platform: Platform
    url: Url
    secret: Annotated[str, Meta(max_length=1_024, description="Token, key or client secret; it is never shown.")] = ""
    format: Format | None = None
    """By default the one that the platform knows best."""
    channels: Channels = []
    filters: Filters = []
    batch: Annotated[int, Meta(ge=1, le=1_000, description="Events sent together, at the most.")] | None = None
    """By default 100, to people 500."""
    pause_s: (
        Annotated[int, Meta(ge=0, le=86_400, description="Seconds between what is sent; more is sent together.")] | None
    ) = None
    """By default none, for people 60."""
    template: Annotated[str, Meta(max_length=8_192, description="By which messages to people are written.")] = ""
    options: Annotated[
        dict[str, str],
        Meta(
            max_length=8,
            description="splunk: index, sourcetype; elastic: index; sentinel: directory, client, rule, stream; "
            "email: sender, recipients, user.",
        ),
    ] = {}


def shown(destination: Destination, progress: Progress) -> Integration:
    """Return what is shown of an integration."""
    names = ("name", "kind", "url", "format", "channels", "filters", "batch", "pause_s", "template", "options")
    kept = {name: getattr(destination, name) for name in names}
    return Integration(**kept, created_at=rfc3339(destination.created_at), standing=standing_of(progress))


def made_of(data: NewIntegration, now: int) -> Destination:
    """Return an integration as it is kept."""
    is_people = data.platform in PEOPLE
    return Destination(
        key=data.name,
        kind=data.platform,
        name=data.name,
        url=data.url,
        created_at=now,
        channels=data.channels,
        filters=data.filters or (PEOPLE_FILTERS if is_people else []),
        format=data.format or FORMATS[data.platform],
        batch=data.batch or (PEOPLE_BATCH if is_people else SYSTEM_BATCH),
        pause_s=(PEOPLE_PAUSE_S if is_people else 0) if data.pause_s is None else data.pause_s,
        template=data.template,
        options=data.options,
    )


def flaws(data: NewIntegration) -> list[Flaw]:
    """Return what a platform lacks or does not know."""
    flaws = [
        Flaw("is no option of the platform", f"options.{name}"[:80])
        for name in data.options.keys() - OPTIONS[data.platform]
    ]
    flaws += [
        Flaw("is missing", f"options.{name}") for name in NEEDED.get(data.platform, frozenset()) - data.options.keys()
    ]
    option = MAIL_OPTION if data.platform == "email" else OPTION
    flaws += [
        Flaw("is no name", f"options.{name}"[:80])
        for name, value in data.options.items()
        if not option.fullmatch(value)
    ]
    if data.template and data.platform not in PEOPLE:
        flaws.append(Flaw("is for messages to people alone", "template"))
    is_ascii = data.secret.isascii() and data.secret.isprintable()
    if (not data.secret and data.platform not in WITHOUT_SECRET) or not is_ascii:
        flaws.append(Flaw("is missing, or holds signs that no header can", "secret"))
    return flaws


@get(
    PATH,
    opt={"permission": "engineer"},
    dependencies={"question": asked(INTEGRATIONS.fields, Integration.__struct_fields__)},
    sync_to_thread=True,
)
def list_integrations(
    platform: GivenPlatform, principal: GivenPrincipal, question: GivenQuestion
) -> PageOf[Integration]:
    """List integrations, without their secrets."""
    answer: PageOf[Integration] = listed(platform, principal, INTEGRATIONS, question, shown)
    return answer


@post(PATH, opt={"permission": "engineer", "idempotency": False}, sync_to_thread=True)
def add_integration(
    platform: GivenPlatform, principal: GivenPrincipal, data: JSONBody[NewIntegration]
) -> Response[Integration]:
    """Send what happens from now on to another system, too."""
    check_receiver(principal.tenant, data.url, data.channels, data.filters, SCHEMES[data.platform])
    if wrong := flaws(data):
        raise RefusedError("not-valid", f"{wrong[0].field}: {wrong[0].problem}", wrong)
    destination = made_of(data, platform.clock.now())
    known = receivers_of(platform, principal)
    with about_content():
        known.add(destination, data.secret)
    made = shown(destination, known.progress(destination.key))
    return Response(made, status_code=201, headers={"location": f"{PATH}/{data.name}"})


@get(ONE, opt={"permission": "engineer"}, sync_to_thread=True)
def show_integration(platform: GivenPlatform, principal: GivenPrincipal, name: InPath) -> Integration:
    """Show an integration, without its secret."""
    known = receivers_of(platform, principal)
    return shown(found(known, INTEGRATIONS, name), known.progress(name))


@patch(ONE, opt={"permission": "engineer"}, sync_to_thread=True)
def switch_integration(
    platform: GivenPlatform, principal: GivenPrincipal, name: InPath, data: JSONBody[Switch]
) -> Standing:
    """Enable or disable an integration; it goes on where it stopped."""
    known = receivers_of(platform, principal)
    return switched(known, found(known, INTEGRATIONS, name).key, data)


@delete(ONE, opt={"permission": "engineer"}, sync_to_thread=True)
def remove_integration(platform: GivenPlatform, principal: GivenPrincipal, name: InPath) -> None:
    """Remove an integration with its dead letters."""
    if not receivers_of(platform, principal).remove(INTEGRATIONS, name):
        raise RefusedError("not-found", "there is no such receiver")


@post(
    ONE + "/test", opt={"permission": "engineer", "time_limit_s": TRIAL_LIMIT_S}, status_code=200, sync_to_thread=True
)
def test_integration(platform: GivenPlatform, principal: GivenPrincipal, name: InPath) -> Trial:
    """Send an event that says that it is a test, now and once."""
    known = receivers_of(platform, principal)
    return tried(known, found(known, INTEGRATIONS, name))


@get(ONE + "/deliveries", opt={"permission": "engineer"}, sync_to_thread=True)
def list_integration_deliveries(
    platform: GivenPlatform,
    principal: GivenPrincipal,
    name: InPath,
    limit: Annotated[int, QueryParameter(ge=1, le=1_000, description="Items at the most.")] = 100,
) -> Deliveries:
    """Tell how deliveries stand, and which events were refused."""
    known = receivers_of(platform, principal)
    return deliveries_of(known, found(known, INTEGRATIONS, name).key, limit)


@post(ONE + "/replay", opt={"permission": "engineer"}, status_code=200, sync_to_thread=True)
def replay_integration(
    platform: GivenPlatform, principal: GivenPrincipal, name: InPath, data: JSONBody[Replay]
) -> Standing:
    """Send events again, with the same identities: all behind a place in the feed, or dead letters."""
    known = receivers_of(platform, principal)
    return replayed(known, found(known, INTEGRATIONS, name).key, data)


HANDLERS = [
    list_integrations, add_integration, show_integration, switch_integration, remove_integration, test_integration,
    list_integration_deliveries, replay_integration,
]  # fmt: skip
