"""What is usual for each host of the site in an hour of the day and of the week, and for hosts of its kind."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator
from itertools import pairwise

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from infraspectre.axon.features import Feature
from infraspectre.axon.rows import Rows
from infraspectre.axon.window import Columns
from infraspectre.ml.bounded import RecentSet
from infraspectre.ml.dbscan import NOISE, dbscan, jaccard_distances
from infraspectre.ml.grouping import Counts, Groups, mix
from infraspectre.records.address import is_inside

HOUR_S = 3_600
HOURS_OF_DAY, HOURS_OF_WEEK = 24, 168
FIRST_DAY, EVERY_HOUR = HOURS_OF_WEEK, HOURS_OF_WEEK + HOURS_OF_DAY
"""Buckets: each hour of the week, then each hour of the day, then all hours."""
MEMORY = {HOURS_OF_WEEK: 8, EVERY_HOUR: 30, EVERY_HOUR + 1: 168}
"""Hours after which a bucket below this number forgets: eight weeks, thirty days, a week."""
LEAST_HOURS = 3
"""Hours of a bucket without which nothing is usual; a wider bucket speaks instead."""
LEAST_SPREAD = 0.7
"""Least deviation of a logarithm that is believed: hosts double what they do without a cause."""
MEASURES = ("sent_bytes", "received_bytes", "peers")
MOST_HOSTS = 4_096
MOST_PAIRS = 131_072
MOST_SERVICES = 64
"""Services remembered for a host, those used last."""
MOST_GROUPED = 1_024
"""Hosts that are compared with one another, the most recent."""
GROUP_REACH = 0.5
"""Jaccard distance of hosts of a kind: they have half of their services in common."""
GROUP_HOSTS = 4
"""Hosts that make a kind."""
SCALE = 1_000_000
"""Fixed point of what is usual, so that it is joined to rows as whole numbers."""
UNKNOWN = -1

Vector = NDArray[np.float64]
RHYTHM_FEATURES = (
    Feature(
        "orig_rhythm_deviations", "deviations",
        "how far the orig host's bytes sent or peers so far in this hour, as logarithms, are above the usual of this "
        "hour of the week, of the day or at any time; null if unknown, and for hosts outside",
    ),
    Feature(
        "orig_group_deviations", "deviations",
        "the same above what is usual for hosts that use and offer like services (DBSCAN over Jaccard distances)",
    ),
    Feature("orig_hour_sent_bytes", "bytes", "payload bytes that the orig host sent so far in this hour"),
    Feature("orig_hour_peers", "hosts", "hosts to which the orig host talked so far in this hour"),
)  # fmt: skip


class BaselineState(msgspec.Struct):
    """Holds what is remembered of hosts, as plain data."""

    hour: int
    now: dict[int, list[int]]
    pairs: list[int]
    usual: dict[int, dict[int, list[float]]]
    services: dict[int, dict[int, int]]
    groups: dict[int, int]


class Baselines:
    """Learns hour by hour what each inside host does, and tells how far it is from that; causal in row order."""

    def __init__(self) -> None:
        """Start with no past."""
        self.load(BaselineState(0, {}, [], {}, {}, {}))

    def extract(self, rows: Rows, orig_ips: pl.Series) -> Columns:
        """Return the rhythm features of each row, of which `orig_ips` gives the originators."""
        hours = rows.clock_s // HOUR_S
        parts = [self._within(rows, orig_ips, place) for place in _runs(hours)]
        return {
            feature.name: np.concatenate([part[column] for part in parts])
            for column, feature in enumerate(RHYTHM_FEATURES)
        }

    def save(self) -> BaselineState:
        """Return everything remembered."""
        usual = {host: dict(buckets) for host, buckets in self._usual.items()}
        services = {host: dict(used) for host, used in self._services.items()}
        return BaselineState(self._hour, dict(self._now), self._pairs.members(), usual, services, dict(self._groups))

    def load(self, state: BaselineState) -> None:
        """Go on from a saved state."""
        self._hour, self._now, self._groups = state.hour, OrderedDict(state.now), dict(state.groups)
        self._pairs = RecentSet(MOST_PAIRS, state.pairs)
        self._usual = {host: dict(buckets) for host, buckets in state.usual.items()}
        self._services = {host: dict(used) for host, used in state.services.items()}
        self._expect()

    def _within(self, rows: Rows, orig_ips: pl.Series, place: slice) -> list[Vector]:
        """Return the features of the rows of one hour."""
        hour = int(rows.clock_s[place.start]) // HOUR_S
        if hour != self._hour:
            self._turn(hour)
        part = Rows._make(column[place] for column in rows)
        groups = Groups(part.orig)
        known = np.array([self._knows(key, orig_ips[place.start + row]) for key, row in _firsts(groups)])
        sums = self._sums(part, groups)
        self._learn_services(part)
        told = [self._deviations(groups, sums, expected) for expected in (self._own, self._like)]
        inside = groups.running(np.zeros((len(sums), 1), dtype=np.int64), known[:, None].astype(np.int64))[:, 0] > 0
        return [np.where(inside, column, np.nan) for column in (*told, sums[:, 0], sums[:, 2])]

    def _knows(self, key: int, address: str | None) -> bool:
        """Tell whether a host is one of the site; remember it while there is room."""
        if key in self._now:
            return True
        if address is None or not is_inside(address) or len(self._now) >= MOST_HOSTS:
            return False
        self._now[key] = [0] * len(MEASURES)
        return True

    def _sums(self, part: Rows, groups: Groups) -> Counts:
        """Return what each host did in this hour up to each row (rows, MEASURES), and remember it."""
        pairs = Groups(mix(part.orig, part.resp))
        is_new = pairs.flag_first(self._pairs.add_new(pairs.keys))
        steps = np.column_stack([part.orig_bytes, part.resp_bytes, is_new])
        nothing = [0] * len(MEASURES)
        before = np.array([self._now.get(key, nothing) for key in groups.keys], dtype=np.int64)
        for key, total in zip(groups.keys, groups.totals(steps, before).tolist(), strict=True):
            if key in self._now:
                self._now[key] = total
        return groups.running(steps, before)

    def _learn_services(self, part: Rows) -> None:
        """Remember which services hosts use, and which they offer."""
        for hosts, role in ((part.orig, 0), (part.resp, 1)):
            groups = Groups(mix(hosts, part.port))
            for row in groups.first_rows.tolist():
                host = int(hosts[row])
                if host in self._now:
                    services = self._services.setdefault(host, {})
                    service = int(part.port[row]) >> 2 << 1 | role
                    services.pop(service, None)
                    services[service] = self._hour
                    if len(services) > MOST_SERVICES:
                        del services[next(iter(services))]

    def _deviations(self, groups: Groups, sums: Counts, expected: dict[int, list[float]]) -> Vector:
        """Return by how many deviations the sums exceed what is expected; of bytes sent and peers, the greater."""
        nothing = [float(UNKNOWN)] * (2 * len(MEASURES))
        usual = np.array([expected.get(key, nothing) for key in groups.keys])
        steps = np.zeros((len(sums), usual.shape[1]), dtype=np.int64)
        spread = groups.running(steps, np.round(usual * SCALE).astype(np.int64)) / SCALE
        done = np.log1p(sums)
        deviations = [
            (done[:, n] - spread[:, n]) / np.maximum(spread[:, n + len(MEASURES)], LEAST_SPREAD) for n in (0, 2)
        ]
        return np.where(spread[:, 0] < 0, np.nan, np.maximum(*deviations))

    def _turn(self, hour: int) -> None:
        """End an hour: learn what each host did in it, even if that is nothing, and begin another."""
        for key, sums in self._now.items():
            buckets = self._usual.setdefault(key, {})
            values = [math.log1p(value) for value in sums]
            for bucket in _buckets(self._hour):
                buckets[bucket] = _folded(buckets.get(bucket), values, _memory(bucket))
        self._forget()
        self._now = OrderedDict((key, [0] * len(MEASURES)) for key in self._now)
        self._pairs, self._hour = RecentSet(MOST_PAIRS), hour
        self._groups = self._grouped()
        self._expect()

    def _forget(self) -> None:
        """Forget the idlest quarter of hosts once there is no room, so that new ones are learnt."""
        if len(self._now) >= MOST_HOSTS:
            idlest = sorted(self._now, key=lambda key: sum(self._now[key]))[: MOST_HOSTS // 4]
            for key in idlest:
                for memory in (self._now, self._usual, self._services):
                    memory.pop(key, None)

    def _grouped(self) -> dict[int, int]:
        """Return which hosts are of one kind, by the services that they use and offer."""
        hosts = [key for key in self._now if self._services.get(key)][-MOST_GROUPED:]
        if len(hosts) < GROUP_HOSTS:
            return {}
        distances = jaccard_distances([list(self._services[key]) for key in hosts])
        found = dbscan(distances, GROUP_REACH, GROUP_HOSTS)
        return {host: group for host, group in zip(hosts, found, strict=True) if group != NOISE}

    def _expect(self) -> None:
        """Work out what this hour is expected to bring: means, then deviations, of each host and of its kind."""
        self._own = {key: told for key in self._usual if (told := _usual_in(self._usual[key], self._hour))}
        members: dict[int, list[list[float]]] = {}
        for key, group in self._groups.items():
            if key in self._own:
                members.setdefault(group, []).append(self._own[key])
        of_group = {group: _pooled(each) for group, each in members.items() if len(each) >= GROUP_HOSTS}
        self._like = {key: of_group[group] for key, group in self._groups.items() if group in of_group}


def _runs(hours: Counts) -> Iterator[slice]:
    """Yield the stretches of equal hours."""
    starts = [0, *(np.flatnonzero(np.diff(hours)) + 1).tolist(), len(hours)]
    yield from (slice(start, end) for start, end in pairwise(starts))


def _firsts(groups: Groups) -> Iterator[tuple[int, int]]:
    return zip(groups.keys, groups.first_rows.tolist(), strict=True)


def _buckets(hour: int) -> tuple[int, int, int]:
    """Return the buckets of an hour since the epoch: that of the week, of the day, and of all hours."""
    return hour % HOURS_OF_WEEK, FIRST_DAY + hour % HOURS_OF_DAY, EVERY_HOUR


def _memory(bucket: int) -> int:
    return next(hours for end, hours in MEMORY.items() if bucket < end)


def _folded(bucket: list[float] | None, values: list[float], memory: int) -> list[float]:
    """Add an hour to [hours, means, variances], where older ones fade (West, 1979, with a least weight)."""
    count, *moments = bucket or [0.0] * (1 + 2 * len(values))
    means, variances = moments[: len(values)], moments[len(values) :]
    share = 1.0 / min(count + 1.0, memory)
    steps = [value - mean for value, mean in zip(values, means, strict=True)]
    return [
        count + 1.0,
        *(mean + share * step for mean, step in zip(means, steps, strict=True)),
        *((1.0 - share) * (each + share * step * step) for each, step in zip(variances, steps, strict=True)),
    ]


def _usual_in(buckets: dict[int, list[float]], hour: int) -> list[float] | None:
    """Return means and deviations of the narrowest bucket that knows enough hours."""
    for bucket in _buckets(hour):
        count, *moments = buckets.get(bucket, [0.0])
        if count >= LEAST_HOURS:
            return [*moments[: len(MEASURES)], *map(math.sqrt, moments[len(MEASURES) :])]
    return None


def _pooled(usual: list[list[float]]) -> list[float]:
    """Return means and deviations of several hosts together: within them and between them."""
    table = np.array(usual)
    means, spreads = table[:, : len(MEASURES)], table[:, len(MEASURES) :]
    deviations = np.sqrt((spreads**2).mean(axis=0) + means.var(axis=0))
    return [*means.mean(axis=0).tolist(), *deviations.tolist()]
