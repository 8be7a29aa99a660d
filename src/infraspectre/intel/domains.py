"""Domains: the part of a name that somebody registered, under which they may make as many names as they like."""

from __future__ import annotations

import polars as pl

REGISTERED = r"((?:[^.]+\.)?(?:com?|net|org|gov|edu|ac|gob|nom|or|ne|go)\.[a-z]{2}|[^.]+\.[^.]+)$"
"""Registered domain of a name: the last two labels, or three below such second levels as co.uk; a rule of thumb."""
REVERSED = r"^(?:\d{1,3}\.){3}\d{1,3}(?:\.|$)|^(?:[0-9a-f]\.){16}"
"""Names that begin with an address written backwards, as block lists of any domain are asked (RFC 5782)."""
NUMBERS = r"^[0-9.]+$|:"
"""Names that are addresses."""


def registered(names: pl.Expr) -> pl.Expr:
    """Return the registered domain of names in small letters; null for addresses and for names of one label."""
    plain = names.str.to_lowercase().str.strip_suffix(".").str.replace(r":\d{1,5}$", "")
    return pl.when(~plain.str.contains(NUMBERS)).then(plain.str.extract(REGISTERED))
