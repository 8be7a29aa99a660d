"""What each host did in the current window: running counts that carry over from batch to batch."""

from __future__ import annotations

from collections import OrderedDict

import msgspec
import numpy as np
from numpy.typing import NDArray

from infraspectre.axon.features import WINDOW_FEATURES
from infraspectre.axon.rows import Rows
from infraspectre.ml.bounded import RecentSet, trim
from infraspectre.ml.grouping import Counts, Groups, Hashes, mix

MAX_PAIRS = 65_536
"""Pairs (host, peer) or (host, port) remembered; an older one counts as new again when exceeded."""
MAX_HOSTS = 32_768
"""Hosts of each side whose counts carry over to the next batch; the first seen are dropped when exceeded."""

Totals = OrderedDict[int, list[int]]
Columns = dict[str, NDArray[np.float64] | Counts]


class WindowState(msgspec.Struct):
    """Holds the hosts of the present window with their running counts, and the pairs already counted."""

    orig_totals: dict[int, list[int]]
    resp_totals: dict[int, list[int]]
    pairs: list[int]
    orig_ports: list[int]
    resp_ports: list[int]


class Window:
    """Counts per host in consecutive event-time windows of one length."""

    def __init__(self, length_s: int) -> None:
        """Start with an empty window."""
        self._length_s = length_s
        self._orig_totals: Totals = OrderedDict()
        self._resp_totals: Totals = OrderedDict()
        self._pairs, self._orig_ports, self._resp_ports = (RecentSet(MAX_PAIRS) for _ in range(3))

    def extract(self, rows: Rows) -> Columns:
        """Return the window features of each row, for both its hosts."""
        number = (rows.clock_s // self._length_s).astype(np.uint64)
        orig, resp = mix(number, rows.orig), mix(number, rows.resp)
        peers = _news(mix(orig, rows.resp), self._pairs)
        orig_steps = (
            peers,
            _news(mix(orig, rows.port), self._orig_ports),
            rows.failed,
            rows.orig_bytes,
            rows.resp_bytes,
        )
        resp_steps = (
            peers,
            _news(mix(resp, rows.port), self._resp_ports),
            rows.failed,
            rows.resp_bytes,
            rows.orig_bytes,
        )
        present = number == number[-1]
        orig_counts = _count(orig, orig_steps, self._orig_totals, present)
        resp_counts = _count(resp, resp_steps, self._resp_totals, present)
        return self._named("orig", orig_counts) | self._named("resp", resp_counts)

    def save(self) -> WindowState:
        """Return the window as plain data."""
        members = (memory.members() for memory in (self._pairs, self._orig_ports, self._resp_ports))
        return WindowState(dict(self._orig_totals), dict(self._resp_totals), *members)

    def load(self, state: WindowState) -> None:
        """Go on from a saved window."""
        self._orig_totals = OrderedDict(state.orig_totals)
        self._resp_totals = OrderedDict(state.resp_totals)
        memories = (state.pairs, state.orig_ports, state.resp_ports)
        self._pairs, self._orig_ports, self._resp_ports = (RecentSet(MAX_PAIRS, members) for members in memories)

    def _named(self, side: str, counts: Counts) -> Columns:
        flows, peers, ports, failed, sent, received = counts.T
        values = (flows, peers, ports, failed / flows, sent, received)
        names = (f"{side}_host_{feature.name}_{self._length_s}s" for feature in WINDOW_FEATURES)
        return dict(zip(names, values, strict=True))


def _news(hashes: Hashes, memory: RecentSet) -> Counts:
    """Return 1 where a value appears for the first time, else 0."""
    groups = Groups(hashes)
    return groups.flag_first(memory.add_new(groups.keys))


def _count(hosts: Hashes, steps: tuple[Counts, ...], past: Totals, present: NDArray[np.bool_]) -> Counts:
    """Return running counts per host, and leave in `past` the totals of the hosts in the present window."""
    groups = Groups(hosts)
    table = np.column_stack([np.ones(len(hosts), dtype=np.int64), *steps])
    nothing = [0] * table.shape[1]
    before = np.array([past.get(host, nothing) for host in groups.keys], dtype=np.int64)
    if not present.all():
        past.clear()
    totals = zip(groups.keys, groups.totals(table, before).tolist(), present[groups.first_rows].tolist(), strict=True)
    past.update((host, total) for host, total, is_present in totals if is_present)
    trim(past, MAX_HOSTS)
    return groups.running(table, before)
