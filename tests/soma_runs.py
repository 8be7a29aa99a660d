"""Runs of Soma for tests: one detector over one frame, in batches of any size."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from infraspectre.records import Detection, FlowBatch
from infraspectre.soma import Soma
from infraspectre.soma.detector import Detector


def found_in(make: Callable[[], Detector], flows: pl.DataFrame, size: int = 8_192) -> list[Detection]:
    """Return what one detector finds in a frame given in batches of `size` rows."""
    soma = Soma([make()])
    found = [each for part in flows.iter_slices(size) for each in soma.detect(FlowBatch(part))]
    return found + soma.finish()
