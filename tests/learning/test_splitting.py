"""Splits keep what is alike on one side, and the past before the future."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from infraspectre.errors import InputError
from infraspectre.learning.splitting import Split, as_moments, folds, trial_fold
from model_fakes import rows


def split_rows(count: int = 700) -> pl.DataFrame:
    return rows(count).with_columns(
        capture=pl.format("capture {}", pl.int_range(pl.len()) % 7), day=pl.int_range(pl.len())
    )


def test_near_duplicates_are_on_one_side() -> None:
    once = rows(1_000).with_columns(pl.col("x", "y").round_sig_figs(2))
    both = pl.concat([once, once.with_columns(pl.col("x", "y") * 1.0001)])
    for fold in folds(both, "kind", Split(), 5):
        assert np.array_equal(fold.judged[:1_000], fold.judged[1_000:])
        assert 0.1 < fold.judged.mean() < 0.3


def test_each_row_is_judged_once() -> None:
    for split in (Split(), Split(group="capture")):
        judged = np.sum([fold.judged for fold in folds(split_rows(), "kind", split, 3)], axis=0)
        assert set(judged.tolist()) == {1}


def test_a_group_is_on_one_side_and_its_near_duplicates_are_not_learnt() -> None:
    frame = split_rows()
    twin = frame[:1].with_columns(capture=pl.lit("capture 1"))
    frame = pl.concat([frame, twin])
    for fold in folds(frame, "kind", Split(group="capture"), 3):
        learnt, judged = (set(frame["capture"].filter(side)) for side in fold)
        assert not learnt & judged
        assert not fold.judged[0] or not fold.learnt[-1]
        assert not fold.judged[-1] or not fold.learnt[0]


def test_groups_of_unequal_size_fill_parts_evenly() -> None:
    sizes = [500, 260, 250, 10, 10, 5]
    frame = rows(sum(sizes)).with_columns(g=pl.Series(np.repeat(np.arange(len(sizes)), sizes)))
    shares = sorted(int(fold.judged.sum()) for fold in folds(frame, "kind", Split(group="g"), 3))
    assert shares[-1] == 500
    assert shares[0] >= 260


def test_the_past_is_learnt_and_the_future_is_judged() -> None:
    frame = split_rows().sample(fraction=1.0, shuffle=True, seed=1)
    for fold in folds(frame, "kind", Split(time="day"), 4):
        assert max(frame["day"].filter(fold.learnt)) < min(frame["day"].filter(fold.judged))
    trial = trial_fold(frame, "kind", Split(time="day"))
    assert 0.18 < trial.judged.mean() < 0.22
    assert max(frame["day"]) in frame["day"].filter(trial.judged)


def test_equal_times_are_on_one_side() -> None:
    frame = rows(900).with_columns(day=pl.int_range(pl.len()) // 100)
    for fold in folds(frame, "kind", Split(time="day"), 3):
        assert not set(frame["day"].filter(fold.learnt)) & set(frame["day"].filter(fold.judged))


@pytest.mark.parametrize("form", ["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S"])
def test_texts_are_read_as_times(form: str) -> None:
    moments = pl.from_epoch(1_700_000_000 + pl.int_range(700) * 3_600)
    frame = rows(700).with_columns(when=moments.dt.strftime(form)).sample(fraction=1.0, shuffle=True, seed=1)
    for fold in folds(frame, "kind", Split(time="when"), 2):
        assert max(frame["when"].filter(fold.learnt)) < min(frame["when"].filter(fold.judged))


def test_seconds_with_fractions_are_times_also_as_texts() -> None:
    seconds = pl.Series("at", [9.5, 100.0, 1_700_000_000.25])
    assert as_moments(seconds.cast(pl.String)).tolist() == as_moments(seconds).tolist() == seconds.to_list()


@pytest.mark.parametrize("dtype", [pl.Int64, pl.String])
def test_nanoseconds_lose_nothing(dtype: type[pl.DataType]) -> None:
    start = 1_700_000_000_000_000_000
    frame = rows(600).with_columns(at=(start + pl.int_range(pl.len())).cast(dtype))
    for fold in folds(frame, "kind", Split(time="at"), 2):
        assert max(frame["at"].filter(fold.learnt)) < min(frame["at"].filter(fold.judged))


def test_columns_that_cannot_split_are_named() -> None:
    frame = split_rows()
    with pytest.raises(InputError, match="campaign: there is no such column to split by"):
        folds(frame, "kind", Split(group="campaign"), 3)
    with pytest.raises(InputError, match="capture: there are 7 groups for 9 parts"):
        folds(frame, "kind", Split(group="capture"), 9)
    with pytest.raises(InputError, match="capture: row 0 holds 'capture 0', not a time"):
        folds(frame, "kind", Split(time="capture"), 3)
    with pytest.raises(InputError, match="day: has too few different times for 4 parts"):
        folds(frame.with_columns(day=pl.lit(1)), "kind", Split(time="day"), 3)
    with pytest.raises(InputError, match="day: row 3 has no value to split by"):
        holed = frame.with_columns(day=pl.when(pl.col("day") != 3).then("day"))
        folds(holed, "kind", Split(time="day"), 3)
