"""Settings of the platform as they hold, for those who run it; what a secret is never stands among them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msgspec
from litestar import get

from infraspectre import config
from infraspectre.api.given import GivenPlatform, GivenPrincipal
from infraspectre.api.pages import PageOf
from infraspectre.api.routes.tenants import check_operator
from infraspectre.settings import Settings

SECRET_PATHS = frozenset({"response.webhook.url"})
"""Addresses of which the path, too, may be what lets somebody in."""


class ShownSetting(msgspec.Struct, frozen=True):
    """Is a setting as it holds."""

    section: str
    name: str
    """Its dotted key, as in `INFRASPECTRE_SECTION__KEY` and the settings file."""
    type: str
    """What it may be, in words."""
    default: Any
    value: Any
    """Secrets stand in files, which are named; of addresses, names and passwords in them are left out."""
    meaning: str
    is_set: bool
    """Whether it is otherwise than by default."""


@cache
def known_settings() -> tuple[tuple[str, config.Setting], ...]:
    """Return every setting with its section; the source says what each means, and is read once."""
    return tuple(flattened(config.described(Settings)))


def flattened(found: Iterable[config.Setting], section: str = "") -> Iterator[tuple[str, config.Setting]]:
    """Yield settings with the sections that they stand in."""
    for each in found:
        if each.settings is None:
            yield section, each
        else:
            yield from flattened(each.settings, each.name)


def value_of(settings: object, name: str) -> Any:
    """Return the value of a dotted key."""
    for part in name.split("."):
        settings = getattr(settings, part)
    return msgspec.to_builtins(settings)


def told(name: str, value: Any) -> Any:
    """Return a value without what would let somebody in elsewhere."""
    if isinstance(value, list):
        return [told(name, each) for each in value]
    return without_credentials(value, name in SECRET_PATHS) if isinstance(value, str) and "://" in value else value


def without_credentials(address: str, is_path_secret: bool) -> str:
    """Return an address without user, password, query and fragment, and without its path where that is a secret."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, "" if is_path_secret else parts.path, "", ""))


@get("/api/v1/settings", opt={"permission": "administer"}, sync_to_thread=True)
def list_settings(platform: GivenPlatform, principal: GivenPrincipal) -> PageOf[ShownSetting]:
    """List every setting with its meaning, its default and its value; only those who run the platform may."""
    check_operator(principal)
    items = []
    for section, each in known_settings():
        default, value = msgspec.to_builtins(each.default), value_of(platform.settings, each.name)
        shown = told(each.name, value)
        items.append(ShownSetting(section, each.name, each.kind, default, shown, each.text, value != default))
    return PageOf(items)


HANDLERS = [list_settings]
