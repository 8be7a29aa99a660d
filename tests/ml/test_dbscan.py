"""Clusters are what density connects; what is far from all is noise."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from infraspectre.ml.dbscan import NOISE, dbscan, jaccard_distances


def test_sets_are_near_by_what_they_have_in_common() -> None:
    distances = jaccard_distances([[1, 2, 3], [2, 3, 4], [9], []])
    assert np.allclose(distances[0], [0.0, 0.5, 1.0, 1.0])
    assert distances[3, 3] == 1.0


def test_chains_of_core_points_are_one_cluster_and_lone_points_are_noise() -> None:
    places = np.array([0.0, 1.0, 2.0, 3.0, 50.0, 51.0, 52.0, 99.0])
    distances = np.abs(places[:, None] - places[None, :]).astype(np.float32)
    clusters = dbscan(distances, reach=1.0, neighbours=3)
    assert len(set(clusters[:4])) == len(set(clusters[4:7])) == 1
    assert clusters[0] != clusters[4]
    assert clusters[7] == NOISE


@given(st.lists(st.sets(st.integers(0, 9), max_size=5), min_size=1, max_size=20))
def test_equal_sets_are_in_one_cluster(sets: list[set[int]]) -> None:
    distances = jaccard_distances([sorted(each) for each in sets])
    assert np.allclose(distances, distances.T)
    clusters = dbscan(distances, reach=0.0, neighbours=1)
    for one, first in enumerate(sets):
        for other, second in enumerate(sets):
            if first and second and first == second:
                assert clusters[one] == clusters[other]
