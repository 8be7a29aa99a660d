"""Axon's one stage: flow batches in, context features out, with explicit bounded state."""

from __future__ import annotations

import msgspec
import polars as pl

from infraspectre.axon.baselines import RHYTHM_FEATURES, Baselines, BaselineState
from infraspectre.axon.features import FEATURES, WINDOWS_S, FeatureBatch
from infraspectre.axon.prevalence import PREVALENCE, Prevalence, PrevalenceState
from infraspectre.axon.rows import Rows
from infraspectre.axon.site import Site, SiteState
from infraspectre.axon.window import Window, WindowState
from infraspectre.records import FlowBatch

CONTEXT = (*FEATURES, *PREVALENCE, *RHYTHM_FEATURES)
"""Every column that Axon adds to a flow, in order; prevalence and rhythm are for detectors, no part of vectors."""


class AxonState(msgspec.Struct):
    """Holds what Axon remembers between batches, as plain data."""

    clock_s: int
    windows: list[WindowState]
    site: SiteState
    prevalence: PrevalenceState
    baselines: BaselineState


class Axon:
    """Adds to each flow what its hosts did before it; causal in the order of rows.

    Time is the running maximum of `ended_at`, so that late rows count into the present window.
    """

    def __init__(self) -> None:
        """Start with no past."""
        self._clock_s = 0
        self._windows = [Window(length_s) for length_s in WINDOWS_S]
        self._site = Site()
        self._prevalence = Prevalence()
        self._baselines = Baselines()

    def extract(self, flows: FlowBatch) -> FeatureBatch:
        """Return the context features of each row."""
        if not len(flows):
            return FeatureBatch(pl.DataFrame(schema={feature.name: pl.Float32 for feature in CONTEXT}))
        rows = Rows.read(flows.frame, self._clock_s)
        self._clock_s = int(rows.clock_s[-1])
        columns = self._site.extract(rows) | self._prevalence.extract(flows.frame, rows)
        columns |= self._baselines.extract(rows, flows.frame["orig_ip"])
        for window in self._windows:
            columns |= window.extract(rows)
        told = pl.DataFrame({feature.name: columns[feature.name] for feature in CONTEXT}).cast(pl.Float32)
        return FeatureBatch(told.with_columns(pl.all().fill_nan(None)))

    def save(self) -> AxonState:
        """Return everything remembered."""
        windows = [window.save() for window in self._windows]
        parts = self._site.save(), self._prevalence.save(), self._baselines.save()
        return AxonState(self._clock_s, windows, *parts)

    def load(self, state: AxonState) -> None:
        """Go on from a saved state."""
        self._clock_s = state.clock_s
        for window, saved in zip(self._windows, state.windows, strict=True):
            window.load(saved)
        self._site.load(state.site)
        self._prevalence.load(state.prevalence)
        self._baselines.load(state.baselines)
