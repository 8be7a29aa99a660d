"""The few numbers of each flow that context is made of."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from infraspectre.ml.grouping import Counts, Hashes

SECOND = 1_000_000_000
FAILED_STATES = ("S0", "REJ", "RSTOS0", "RSTRH", "SH", "SHR")
"""Zeek connection states of attempts that were refused or never answered (Zeek manual, conn.log)."""

SIDES = ("orig", "resp")
MOST_BYTES = 1 << 48
"""Bytes of a flow that are counted: no flow has more, whatever a log says, and sums of thousands fit into 64 bits."""


class Rows(NamedTuple):
    """Holds columns of a batch: the clock, hosts and ports as 64-bit hashes, and counts."""

    clock_s: Counts
    orig: Hashes
    resp: Hashes
    port: Hashes
    failed: Counts
    orig_bytes: Counts
    resp_bytes: Counts

    @classmethod
    def read(cls, frame: pl.DataFrame, clock_s: int) -> Rows:
        """Reduce a batch to numbers; unknown values count as nothing."""
        columns = frame.select(
            pl.col("ended_at").fill_null(0).cum_max() // SECOND,
            pl.col("orig_ip").hash(),
            pl.col("resp_ip").hash(),
            pl.struct("protocol", "resp_port").hash(),
            pl.col("tcp_state").is_in(FAILED_STATES).fill_null(value=False).cast(pl.Int64),
            *(
                pl.col(f"{side}_payload_bytes").clip(upper_bound=MOST_BYTES).cast(pl.Int64).fill_null(0)
                for side in SIDES
            ),
        )
        clock, *others = (column.to_numpy() for column in columns)
        return cls(np.maximum(clock, clock_s), *others)
