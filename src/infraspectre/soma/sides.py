"""Who is inside and who outside: talk between the two, whoever of them is taken for its originator."""

from __future__ import annotations

import polars as pl

SIDED = ("payload_bytes", "data_packets", "ip", "port")


def outward(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the TCP flows between an inside host and one outside, with the inside host as orig.

    What a timeout cuts from a long connection, and a capture that begins in its middle, may begin with a server's
    packet; a connection whose opening from outside was seen is left out.
    """
    is_unopened = pl.col("tcp_state") == "OTH"
    if "orig_syn_packets" in frame.columns:
        is_unopened |= pl.col("orig_syn_packets") == 0
    is_outward = pl.col("orig_inside") & ~pl.col("resp_inside") & ~pl.col("resp_group")
    is_turned = ~pl.col("orig_inside") & pl.col("resp_inside") & is_unopened
    talk = frame.filter((pl.col("protocol") == "tcp") & (is_outward | is_turned))
    turned = {
        f"{side}_{name}": pl.when("orig_inside").then(f"{side}_{name}").otherwise(f"{other}_{name}")
        for side, other in (("orig", "resp"), ("resp", "orig"))
        for name in SIDED
        if f"{side}_{name}" in talk.columns
    }
    return talk.with_columns(**turned)
