"""What is usual at this site: which destinations and ports are common, and who talks to whom."""

from __future__ import annotations

from collections import OrderedDict

import msgspec
import numpy as np

from infraspectre.axon.rows import Rows
from infraspectre.axon.window import Columns
from infraspectre.ml.bounded import RecentSet, trim
from infraspectre.ml.grouping import Counts, Groups, Hashes, mix

MAX_PAIRS = 131_072
"""Pairs (orig, resp) remembered; a forgotten one counts as new again."""
MAX_COUNTS = 32_768
"""Hosts, and ports, whose flow counts are remembered; the first seen are dropped when exceeded."""

Past = OrderedDict[int, list[int]]


class SiteState(msgspec.Struct):
    """Holds the site's memory as plain data."""

    flows: int
    pairs: list[int]
    hosts: dict[int, list[int]]
    ports: dict[int, list[int]]


class Site:
    """Counts flows per destination and port over the whole past."""

    def __init__(self) -> None:
        """Start with no past."""
        self.load(SiteState(0, [], {}, {}))

    def extract(self, rows: Rows) -> Columns:
        """Return the site features of each row."""
        pairs = Groups(mix(rows.orig, rows.resp))
        new = pairs.flag_first(self._pairs.add_new(pairs.keys))
        every = np.ones_like(new)
        hosts = _running(rows.resp, np.column_stack([every, new]), self._hosts)
        ports = _running(rows.port, every[:, None], self._ports)
        total = np.arange(self._flows + 1, self._flows + 1 + len(new))
        self._flows += len(new)
        return {
            "is_new_destination": new,
            "resp_host_rarity_bits": np.log2((total + 1) / hosts[:, 0]),
            "resp_port_rarity_bits": np.log2((total + 1) / ports[:, 0]),
            "resp_host_orig_hosts": hosts[:, 1],
        }

    def save(self) -> SiteState:
        """Return everything remembered."""
        return SiteState(self._flows, self._pairs.members(), dict(self._hosts), dict(self._ports))

    def load(self, state: SiteState) -> None:
        """Go on from a saved state."""
        self._flows = state.flows
        self._pairs = RecentSet(MAX_PAIRS, state.pairs)
        self._hosts: Past = OrderedDict(state.hosts)
        self._ports: Past = OrderedDict(state.ports)


def _running(hashes: Hashes, steps: Counts, past: Past) -> Counts:
    """Return running sums per key on top of the past, and add them to it."""
    groups = Groups(hashes)
    nothing = [0] * steps.shape[1]
    before = np.array([past.get(key, nothing) for key in groups.keys], dtype=np.int64)
    past.update(zip(groups.keys, groups.totals(steps, before).tolist(), strict=True))
    trim(past, MAX_COUNTS)
    return groups.running(steps, before)
