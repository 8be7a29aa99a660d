"""What a table becomes is learnt from training rows alone, and the same bits wherever and whenever rows are encoded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from infraspectre.adapters.models import load_model, save_model
from infraspectre.ml.anomaly.scaling import Scaling
from infraspectre.ml.table import Table
from infraspectre.records.models import Manifest

NUMBERS = st.one_of(st.none(), st.floats(width=64), st.integers(-(2**40), 2**40).map(float))
TEXTS = st.one_of(st.none(), st.sampled_from(["tcp", "udp", "", "é", "0"]))
ROWS = st.lists(st.tuples(NUMBERS, TEXTS), min_size=1, max_size=30)
SCHEMA = {"amount": pl.Float64, "kind": pl.String}


def frame(rows: list[tuple[float | None, str | None]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


TRAINING = frame([(float(row % 97), ("tcp", "udp", "icmp")[row % 3]) for row in range(300)])


def kept(table: Table, scaling: Scaling, folder: Path) -> tuple[Table, Scaling]:
    """Return both as they come back from a model directory."""
    manifest = Manifest("m", "table", "anomaly", "", {}, ["benign"], "2026-01-01T00:00:00Z", 0, [])
    ids = []
    for name, state in (("table", table.state()), ("scaling", scaling.state())):
        save_model(folder / name, manifest, state)
        ids.append(load_model(folder / name)[1])
    return Table.restore(ids[0]), Scaling.restore(ids[1])


def test_serving_and_training_agree_bit_for_bit(tmp_path: Path) -> None:
    table = Table.learn(TRAINING)
    scaling = Scaling.fit(table.encode(TRAINING))
    restored, rescaled = kept(table, scaling, tmp_path)

    @settings(max_examples=100, deadline=None)
    @given(ROWS)
    def agree(rows: list[tuple[float | None, str | None]]) -> None:
        batch = frame(rows)
        whole = table.encode(batch)
        alone = np.concatenate([restored.encode(batch[row : row + 1]) for row in range(len(batch))])
        assert whole.tobytes() == alone.tobytes()
        single = [rescaled.deviations(row[None]) for row in alone]
        assert scaling.deviations(whole).tobytes() == np.concatenate(single).tobytes()

    agree()


def test_nothing_is_learnt_from_rows_that_are_encoded() -> None:
    table = Table.learn(TRAINING)
    scaling = Scaling.fit(table.encode(TRAINING))
    before, usual = table.state(), scaling.deviations(table.encode(TRAINING))
    scaling.deviations(table.encode(frame([(1e30, "new")] * 500)))
    assert table.state() == before
    assert np.array_equal(scaling.deviations(table.encode(TRAINING)), usual)


def test_a_feature_is_chosen_by_training_rows_alone() -> None:
    constant = TRAINING.with_columns(empty=pl.lit(None, pl.Float64))
    table = Table.learn(constant)
    assert "empty" in table.left_out
    told = TRAINING.with_columns(empty=pl.Series(np.arange(300.0)))
    assert np.array_equal(table.encode(told), table.encode(constant))
