"""Directories of the hosts of tenants, each made anew once it is older than half a minute and asked for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from infraspectre.analytics.hosts import Directory, directory, known_assets
from infraspectre.errors import InputError
from infraspectre.intel.assets import Assets
from infraspectre.intel.site import load_site
from infraspectre.records.access import DEFAULT_TENANT
from infraspectre.records.collections import ASSETS, INCIDENTS
from infraspectre.serving.platform import Platform

FRESH_S = 30.0
STALE_S = 600.0
"""One that is older is nobody's answer: who asks waits for the next."""


def site_assets(path: str) -> Assets:
    """Return the assets of a site file; none where it is not named or wrong, which the worker reports."""
    try:
        return load_site(Path(path)).assets if path else Assets()
    except InputError:
        return Assets()


class Kept(NamedTuple):
    """Is a directory, and when it was made."""

    at: float
    directory: Directory


class Directories:
    """Keeps the directory of each tenant; one request makes it anew while others are answered from the last."""

    def __init__(self, platform: Platform, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Read records and tables of a platform."""
        self._platform = platform
        self._site = site_assets(platform.settings.detection.assets)
        self._monotonic = monotonic
        self._kept: dict[str, Kept] = {}
        self._locks: dict[str, threading.Lock] = {}

    def of(self, tenant: str) -> Directory:
        """Return the directory of a tenant."""
        kept, now = self._kept.get(tenant), self._monotonic()
        if kept is not None and now - kept.at < FRESH_S:
            return kept.directory
        lock = self._locks.setdefault(tenant, threading.Lock())
        is_usable = kept is not None and now - kept.at < STALE_S
        if not lock.acquire(blocking=not is_usable):
            return kept.directory  # type: ignore[union-attr]
        try:
            return self._made(tenant, kept)
        finally:
            lock.release()

    def site(self, tenant: str) -> Assets:
        """Return the assets of the site file, which is about the network of the first tenant."""
        return self._site if tenant == DEFAULT_TENANT else Assets()

    def _made(self, tenant: str, before: Kept | None) -> Directory:
        """Make a directory anew, unless somebody did so while this request waited for the lock."""
        kept = self._kept.get(tenant)
        if kept is None or kept is before:
            given = self._platform
            known, now = known_assets(given.records, tenant, ASSETS, self.site(tenant)), given.clock.now()
            found = directory(given.records, given.tables, tenant, INCIDENTS, known, now)
            kept = self._kept[tenant] = Kept(self._monotonic(), found)
        return kept.directory
