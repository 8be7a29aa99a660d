"""Density-based clustering: points with enough neighbours form clusters, and the others are noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

NOISE = -1


def jaccard_distances(sets: Sequence[Sequence[int]]) -> NDArray[np.float32]:
    """Return the Jaccard distances of n sets, (n, n), from 0 to 1 (Jaccard, 1901); empty ones are far."""
    members = sorted({member for each in sets for member in each})
    places = {member: place for place, member in enumerate(members)}
    table = np.zeros((len(sets), max(1, len(members))), dtype=np.float32)
    for row, each in enumerate(sets):
        table[row, [places[member] for member in each]] = 1.0
    common = table @ table.T
    sizes = table.sum(axis=1)
    union = sizes[:, None] + sizes[None, :] - common
    distances: NDArray[np.float32] = np.where(union > 0, 1.0 - common / np.maximum(union, 1.0), 1.0)
    return distances.astype(np.float32)


def dbscan(distances: NDArray[np.float32], reach: float, neighbours: int) -> list[int]:
    """Return the cluster of each of n points, NOISE for none, from their (n, n) distances.

    A point with at least `neighbours` points within `reach`, itself included, is a core point; a cluster holds the core
    points within reach of one another and what they reach (Ester et al., KDD 1996).
    """
    near = distances <= reach
    is_core = near.sum(axis=1) >= neighbours
    clusters = np.full(len(distances), NOISE)
    for cluster, start in enumerate(np.flatnonzero(is_core)):
        if clusters[start] == NOISE:
            _spread(int(start), cluster, near, is_core, clusters)
    return [int(cluster) for cluster in clusters]


def _spread(
    start: int, cluster: int, near: NDArray[np.bool_], is_core: NDArray[np.bool_], clusters: NDArray[np.int64]
) -> None:
    """Give a cluster to all that its first core point reaches through core points."""
    clusters[start] = cluster
    waiting = [start]
    while waiting:
        reached = np.flatnonzero(near[waiting.pop()] & (clusters == NOISE))
        clusters[reached] = cluster
        waiting += reached[is_core[reached]].tolist()
