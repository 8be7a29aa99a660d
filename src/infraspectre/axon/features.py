"""The context features: one table of names, units and definitions, and the batches that carry them."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

WINDOWS_S = (60, 600)
"""Lengths of the windows in seconds: a minute shows bursts, ten minutes show persistence."""


class Feature(NamedTuple):
    """Defines one context feature."""

    name: str
    unit: str
    definition: str


WINDOW_FEATURES = (
    Feature("flows", "flows", "flows of this host so far in its window, this one included"),
    Feature("peers", "hosts", "distinct hosts at the other end so far in the window"),
    Feature("ports", "ports", "distinct resp ports so far in the window"),
    Feature("failed_share", "share", "share of those flows that are TCP attempts refused or unanswered"),
    Feature("sent_bytes", "bytes", "payload bytes this host sent so far in the window"),
    Feature("received_bytes", "bytes", "payload bytes this host received so far in the window"),
)
SITE_FEATURES = (
    Feature("is_new_destination", "flag", "1 if orig was never seen to talk to resp before"),
    Feature(
        "resp_host_rarity_bits", "bits", "surprisal of the resp host among all flows so far, -log2((n + 1) / (N + 2))"
    ),
    Feature(
        "resp_port_rarity_bits", "bits", "surprisal of protocol and resp port among all flows so far, same formula"
    ),
    Feature("resp_host_orig_hosts", "hosts", "distinct hosts that talked to the resp host so far, this one included"),
)


def _features() -> tuple[Feature, ...]:
    windowed = [
        Feature(
            f"{side}_host_{feature.name}_{window}s",
            feature.unit,
            f"for the {side} host, {window} s window: {feature.definition}",
        )
        for side in ("orig", "resp")
        for window in WINDOWS_S
        for feature in WINDOW_FEATURES
    ]
    return (*windowed, *SITE_FEATURES)


FEATURES: tuple[Feature, ...] = _features()
"""Every context feature, in column order."""


class FeatureBatch:
    """Holds the context features of a flow batch, row by row in the same order."""

    def __init__(self, frame: pl.DataFrame) -> None:
        """Wrap a frame with the columns of FEATURES."""
        self.frame = frame

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        return f"FeatureBatch of {len(self)} flows\n{self.frame}"
