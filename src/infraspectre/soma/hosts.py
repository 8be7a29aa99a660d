"""Where hosts are: inside the site, outside it, or a group that nobody owns."""

from __future__ import annotations

import polars as pl

INSIDE = (
    r"^(?:10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|127\.|169\.254\.|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.|"
    r"(?i)f[cd][0-9a-f]{2}:|fe[89ab][0-9a-f]:|::1$)"
)
"""Private and local addresses: RFC 1918, RFC 1122, RFC 3927, RFC 6598, RFC 4193, RFC 4291."""
GROUP = r"^(?:22[4-9]\.|23\d\.|255\.255\.255\.255$|(?i)ff[0-9a-f]{2}:)|^\d+\.\d+\.\d+\.255$"
"""Multicast and broadcast addresses (RFC 5771, RFC 4291); .255 stands for the broadcast of the usual /24."""


def is_inside(column: str) -> pl.Expr:
    """Tell whether an address is private or local."""
    return pl.col(column).str.contains(INSIDE).fill_null(value=False)


def is_group(column: str) -> pl.Expr:
    """Tell whether an address is multicast or broadcast."""
    return pl.col(column).str.contains(GROUP).fill_null(value=False)


def located(frame: pl.DataFrame) -> pl.DataFrame:
    """Add orig_inside, resp_inside and resp_group."""
    return frame.with_columns(
        orig_inside=is_inside("orig_ip"),
        resp_inside=is_inside("resp_ip"),
        resp_group=is_group("resp_ip"),
    )
