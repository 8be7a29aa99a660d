"""Directories of the hosts of tenants, each made anew once it is older than half a minute and asked for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import structlog

from infraspectre.analytics.hosts import Directory, directory, known_assets
from infraspectre.errors import InfraSpectreError, InputError
from infraspectre.intel.assets import Assets
from infraspectre.intel.site import load_site
from infraspectre.records.access import DEFAULT_TENANT
from infraspectre.records.collections import ASSETS, INCIDENTS
from infraspectre.serving.platform import Platform

FRESH_S = 30.0
"""One that is older is made anew once it is asked for."""
STALE_S = 600.0
"""One that is older is nobody's answer: who asks waits for the next."""

logger = structlog.get_logger(__name__)


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
    """Keeps the directory of each tenant, and makes it anew while requests are answered from the last."""

    def __init__(self, platform: Platform, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Read records and tables of a platform."""
        self._platform = platform
        self._site = site_assets(platform.settings.detection.assets)
        self._monotonic = monotonic
        self._kept: dict[str, Kept] = {}
        self._locks: dict[str, threading.Lock] = {}

    def of(self, tenant: str) -> Directory:
        """Return the directory of a tenant; one that is no longer fresh is made anew beside the answers from it."""
        kept, now = self._kept.get(tenant), self._monotonic()
        if kept is None or now - kept.at >= STALE_S:
            with self._lock(tenant):
                return self._made(tenant, kept)
        if now - kept.at >= FRESH_S and self._lock(tenant).acquire(blocking=False):
            threading.Thread(target=self._renew, args=(tenant, kept), name="directory", daemon=True).start()
        return kept.directory

    def site(self, tenant: str) -> Assets:
        """Return the assets of the site file, which is about the network of the first tenant."""
        return self._site if tenant == DEFAULT_TENANT else Assets()

    def _lock(self, tenant: str) -> threading.Lock:
        return self._locks.setdefault(tenant, threading.Lock())

    def _renew(self, tenant: str, before: Kept) -> None:
        """Make a directory anew, and let go of the lock that whoever asked took."""
        try:
            self._made(tenant, before)
        except InfraSpectreError as error:  # the last one goes on for a while; whoever asks after that is told
            logger.warning("directory not made", tenant=tenant, reason=error.message)
        finally:
            self._locks[tenant].release()

    def _made(self, tenant: str, before: Kept | None) -> Directory:
        """Make a directory anew, unless somebody did so while this request waited for the lock."""
        kept, given = self._kept.get(tenant), self._platform
        if kept is None or kept is before:
            known = known_assets(given.records, tenant, ASSETS, self.site(tenant))
            found = directory(given.records, given.tables, tenant, INCIDENTS, known, given.clock.now())
            kept = self._kept[tenant] = Kept(self._monotonic(), found)
        return kept.directory
