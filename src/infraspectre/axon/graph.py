"""Who talks to whom: how central each host is in the graph of recent pairs, told again every some thousand flows."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from infraspectre.ml.grouping import Hashes

MOST_EDGES = 8_192
"""Pairs of hosts that the graph holds."""
MOST_NEIGHBOURS = 32
"""Neighbours of a host among which links are counted; hosts are in the order of their hashes, so these are any."""
PIVOTS = 16
"""Hosts from which shortest paths are followed; the error falls with the root of their number."""
MOST_STEPS = 12
"""Longest path followed."""

Values = NDArray[np.float64]
Places = NDArray[np.int64]


class GraphState(msgspec.Struct):
    """Holds the hosts of a graph and how central they are, as plain data."""

    hosts: list[int]
    clustering: list[float]
    betweenness: list[float]


class Graph:
    """Knows how central each host of an undirected graph is; a host that is not in it is unknown."""

    def __init__(self, hosts: Hashes, clustering: Values, betweenness: Values) -> None:
        """Take hosts in rising order, and what is known of each."""
        self._hosts, self._clustering, self._betweenness = hosts, clustering, betweenness

    @classmethod
    def of(cls, one: Hashes, other: Hashes) -> Graph:
        """Measure the graph whose edges lead from `one` to `other`; edges to oneself do not count."""
        edge = one != other
        hosts, places = np.unique(np.concatenate([one[edge], other[edge]]), return_inverse=True)
        if not len(hosts):
            return cls.load(GraphState([], [], []))
        half = len(places) // 2
        ends = np.concatenate([places, places[half:], places[:half]]).reshape(2, -1)
        keys = np.unique(ends[0].astype(np.int64) * len(hosts) + ends[1])
        sources, targets = np.divmod(keys, len(hosts))
        starts = np.searchsorted(sources, np.arange(len(hosts)))
        return cls(
            hosts,
            _clustering(keys, sources, targets, starts),
            _betweenness(targets, starts),
        )

    def clustering(self, hosts: Hashes) -> Values:
        """Return for each host the share of pairs of its neighbours that talk to one another (Watts, Strogatz, 1998).

        NaN for hosts that are not in the graph.
        """
        return self._look_up(hosts, self._clustering)

    def betweenness(self, hosts: Hashes) -> Values:
        """Return for each host the mean share of shortest paths from other hosts that lead through it, estimated.

        Source: Brandes and Pich, Centrality estimation in large networks (2007). NaN for hosts not in the graph.
        """
        return self._look_up(hosts, self._betweenness)

    def _look_up(self, hosts: Hashes, values: Values) -> Values:
        if not len(values):
            return np.full(len(hosts), np.nan)
        places = np.minimum(np.searchsorted(self._hosts, hosts), len(values) - 1)
        return np.where(self._hosts[places] == hosts, values[places], np.nan)

    def save(self) -> GraphState:
        """Return what is known."""
        return GraphState(self._hosts.tolist(), self._clustering.tolist(), self._betweenness.tolist())

    @classmethod
    def load(cls, state: GraphState) -> Graph:
        """Return the graph whose state it is."""
        return cls(np.array(state.hosts, dtype=np.uint64), np.array(state.clustering), np.array(state.betweenness))


def _clustering(keys: Places, sources: Places, targets: Places, starts: Places) -> Values:
    """Return the share of pairs of each node's first neighbours that are linked; 0 for fewer than two neighbours."""
    rank = np.arange(len(keys)) - starts[sources]
    used = np.flatnonzero(rank < MOST_NEIGHBOURS)
    rank = rank[used]
    later = np.repeat(used, rank)
    within = np.arange(len(later)) - np.repeat(np.cumsum(rank) - rank, rank)
    node = sources[later]
    wanted = targets[starts[node] + within] * len(starts) + targets[later]
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    linked = np.bincount(node, weights=keys[place] == wanted, minlength=len(starts))
    return np.asarray(linked / np.maximum(np.bincount(node, minlength=len(starts)), 1))


def _betweenness(targets: Places, starts: Places) -> Values:
    """Return the mean dependency of paths from evenly spaced pivots on each node (Brandes, 2001), all pivots at once.

    `targets` holds the neighbours of each node, from its place in `starts` on.
    """
    nodes = len(starts)
    pivots = np.unique(np.linspace(0, nodes - 1, min(PIVOTS, nodes)).round().astype(np.int64))
    columns = np.arange(len(pivots))

    def spread(values: Values) -> Values:
        return np.asarray(np.add.reduceat(values[targets], starts, axis=0))

    depth = np.full((nodes, len(pivots)), -1)
    depth[pivots, columns] = 0
    paths = (depth == 0).astype(np.float64)
    frontier, step = paths, 0
    while step < MOST_STEPS and frontier.any():
        step += 1
        reached = spread(frontier) * (depth < 0)
        depth[reached > 0] = step
        paths, frontier = paths + reached, reached
    dependency = np.zeros_like(paths)
    for at in range(step, 0, -1):
        passed = spread(np.where(depth == at, (1.0 + dependency) / np.maximum(paths, 1.0), 0.0))
        dependency += np.where(depth == at - 1, paths * passed, 0.0)
    dependency[pivots, columns] = 0.0
    others = len(pivots) - np.isin(np.arange(nodes), pivots)
    return np.asarray(dependency.sum(axis=1) / np.maximum(others, 1) / max(nodes - 2, 1))
