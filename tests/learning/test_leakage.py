"""What gives the answer away is named, and what merely helps is not."""

from __future__ import annotations

import numpy as np
import polars as pl

from infraspectre.learning.leakage import leaks, overlap
from infraspectre.learning.splitting import held_out
from model_fakes import rows


def found(frame: pl.DataFrame) -> set[tuple[str, str | None]]:
    return {(leak.kind, leak.column) for leak in leaks(frame, "kind")}


def test_a_feature_that_helps_is_no_leak() -> None:
    assert found(rows(2_000)) == set()


def test_another_way_of_writing_the_label_is_named() -> None:
    frame = rows(2_000).with_columns(code=pl.col("kind").replace_strict({"benign": 3, "attack": 8}))
    frame = frame.with_columns(measure=pl.col("code") + pl.col("y"))
    assert found(frame) == {("shortcut", "code"), ("shortcut", "measure")}


def test_a_count_of_hosts_is_no_host() -> None:
    frame = rows(500).with_columns(dst_host_count=pl.int_range(pl.len()) % 7, is_host_login=pl.int_range(pl.len()) % 2)
    assert found(frame) == set()


def test_identities_are_named() -> None:
    frame = (
        rows(500)
        .with_row_index("row")
        .with_columns(
            pl.format("10.0.0.{}", pl.int_range(pl.len()) % 9).alias("src_ip"),
            pl.format("session {}", pl.int_range(pl.len())).alias("session"),
        )
    )
    assert found(frame) == {("identity", "row"), ("identity", "src_ip"), ("identity", "session")}


def test_moments_are_named_as_the_table_names_them() -> None:
    frame = rows(500).with_columns(
        started_at=pl.int_range(pl.len()) * 3.5, ts=1_700_000_000_000_000_000 + pl.int_range(pl.len()) * 977 % 500
    )
    assert found(frame) == {("identity", "started_at"), ("identity", "ts")}


def test_rows_that_repeat_are_counted_whatever_their_number() -> None:
    once = rows(300)
    other = once[:10].with_columns(kind=pl.lit("other"))
    texts = {leak.kind: leak.text for leak in leaks(pl.concat([once, once[:50], other]).with_row_index("id"), "kind")}
    assert texts["duplicate"].startswith("60 rows (16.7%)")
    assert texts["contradiction"].startswith("30 rows")


def test_equal_rows_are_on_one_side() -> None:
    once = rows(1_000)
    both = pl.concat([once, once.with_columns(kind=pl.lit("other"))])
    aside = held_out(both, "kind")
    assert np.array_equal(aside[:1_000], aside[1_000:])
    assert 0.15 < aside.mean() < 0.25


def test_overlap_is_seen_through_types_and_roundings() -> None:
    learnt = rows(100).with_columns(n=pl.int_range(100))
    judged = pl.concat([learnt[:7], rows(50, seed=1).with_columns(n=pl.int_range(1_000, 1_050))])
    judged = judged.with_columns(pl.col("n").cast(pl.Float64), pl.col("kind").replace("attack", "benign"))
    near = learnt[10:14].with_columns(pl.col("x").round_sig_figs(3), pl.col("n").cast(pl.Float64))
    counted = overlap(learnt, pl.concat([judged, near]), "kind")
    assert (counted.exact, counted.of) == (7, 61)
    assert 7 < counted.near <= 11


def test_lists_are_compared_as_wholes_and_are_no_shortcuts() -> None:
    frame = pl.DataFrame({"sizes": [[1, 2]] * 150 + [[3]] * 150, "kind": ["benign"] * 150 + ["attack"] * 150})
    assert found(frame) == {("duplicate", None)}
    counted = overlap(frame, frame.head(7), "kind")
    assert (counted.exact, counted.of) == (7, 7)
