"""Limits of rates: a bucket of tokens for each who asks, of whom a bounded number is remembered."""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

MOST_BUCKETS = 20_000


class Allowance(NamedTuple):
    """Says whether a request may be answered, and what is left."""

    is_granted: bool
    left: int
    """Further requests that may come at once."""
    wait_s: int
    """Seconds until the next one may come, where none is left."""


class Buckets:
    """Grants so many requests a second to each who asks, and a burst beyond; the longest silent are forgotten."""

    def __init__(
        self, per_s: float, burst: float, most: int = MOST_BUCKETS, now: Callable[[], float] = time.monotonic
    ) -> None:
        """Grant a rate and a burst, to so many at the most; tests bring their own seconds."""
        self._per_s = per_s
        self._burst = max(burst, 1.0)
        self._most = most
        self._now = now
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()
        window = max(1, math.ceil(self._burst / per_s))
        self.policy = f'"default";q={int(self._burst)};w={window}'
        """The rate as RateLimit-Policy says it: quota per window in seconds."""

    def take(self, name: str) -> Allowance:
        """Take a token from the bucket of somebody."""
        now = self._now()
        level, since = self._levels.get(name, (self._burst, now))
        level = min(self._burst, level + (now - since) * self._per_s)
        is_granted = level >= 1.0
        level -= is_granted
        self._levels[name] = (level, now)
        self._levels.move_to_end(name)
        if len(self._levels) > self._most:
            self._levels.popitem(last=False)
        wait_s = 0 if level >= 1.0 else math.ceil((1.0 - level) / self._per_s)
        return Allowance(is_granted, int(level), wait_s)


def network_of(address: str) -> str:
    """Return what stands for whoever is at an address: itself, or the /64 that one host of IPv6 has for itself."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else str(parsed)
