"""How widely this site uses what a flow is about: the domain it names, and the software that speaks."""

from __future__ import annotations

from collections import OrderedDict

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from infraspectre.axon.features import Feature
from infraspectre.axon.rows import Rows
from infraspectre.axon.window import Columns
from infraspectre.intel.domains import registered
from infraspectre.ml.bounded import RecentSet, trim
from infraspectre.ml.grouping import Counts, Groups, Hashes, mix

MAX_PAIRS = 262_144
"""Pairs of host and domain, host and software, domain and software remembered; a forgotten one counts as new again."""
MAX_COUNTS = 65_536
"""Domains, programs and hosts counted; the first seen are dropped when exceeded."""

PREVALENCE = (
    Feature("domain_orig_hosts", "hosts", "distinct hosts that named the flow's registered domain so far"),
    Feature("software_orig_hosts", "hosts", "distinct hosts seen with the client's fingerprint or user agent so far"),
    Feature("software_domains", "domains", "distinct far ends that this software was used with so far, by domain"),
    Feature("orig_host_resp_hosts", "hosts", "distinct hosts that the orig host began to talk to so far"),
    Feature("orig_host_age_s", "s", "time since the orig host began to talk, first or after half an hour of silence"),
)
"""Features beside FEATURES that only detectors read; null where a flow names no domain or shows no software."""

NAMES = ("tls_server_name", "http_hosts", "dns_queries")
"""Columns that name what a flow is about, the best first."""
SOFTWARE = ("tls_ja4", "tls_ja3", "ssh_hassh", "http_user_agents")
"""Columns that tell client software apart, the best first."""

SILENCE_S = 1_800
"""Time without a flow after which a host begins anew: it slept or was switched off, and its programs start with it."""

Past = OrderedDict[int, list[int]]


class PrevalenceState(msgspec.Struct):
    """Holds what was seen so far as plain data."""

    pairs: list[int]
    counts: dict[int, list[int]]


class Prevalence:
    """Counts over the whole past which hosts named which domains and used which software."""

    def __init__(self) -> None:
        """Start with no past."""
        self.load(PrevalenceState([], {}))

    def extract(self, frame: pl.DataFrame, rows: Rows) -> Columns:
        """Return the prevalence features of each row; NaN where there is nothing to count."""
        names, software = _domains(frame), _software(frame)
        far_end = np.where(names == 0, rows.resp, names)
        return {
            "domain_orig_hosts": self._distinct(1, names, rows.orig),
            "software_orig_hosts": self._distinct(2, software, rows.orig),
            "software_domains": self._distinct(3, software, far_end),
            "orig_host_resp_hosts": self._distinct(4, rows.orig, rows.resp),
            "orig_host_age_s": self._age(rows),
        }

    def save(self) -> PrevalenceState:
        """Return everything remembered."""
        return PrevalenceState(self._pairs.members(), dict(self._counts))

    def load(self, state: PrevalenceState) -> None:
        """Go on from a saved state."""
        self._pairs = RecentSet(MAX_PAIRS, state.pairs)
        self._counts: Past = OrderedDict(state.counts)

    def _distinct(self, kind: int, things: Hashes, others: Hashes) -> NDArray[np.float64]:
        """Return how many distinct others each thing was seen with so far; NaN where there is no thing (0)."""
        told = things != 0
        counts = np.full(len(things), np.nan)
        if told.any():
            groups = Groups(_of_kind(kind, things[told]))
            pairs = Groups(_of_kind(kind, mix(things[told], others[told])))
            new = pairs.flag_first(self._pairs.add_new(pairs.keys))[:, None]
            before = self._read(groups.keys, [0])
            self._write(groups.keys, groups.totals(new, before))
            counts[told] = groups.running(new, before)[:, 0]
        return counts

    def _age(self, rows: Rows) -> Counts:
        """Return the seconds since each row's orig began to talk."""
        groups = Groups(_of_kind(5, rows.orig))
        begun, latest = self._read(groups.keys, [0, -SILENCE_S - 1]).T
        is_anew = rows.clock_s - groups.previous(rows.clock_s, latest) > SILENCE_S
        since = groups.highest(np.where(is_anew, rows.clock_s, 0), begun)
        self._write(groups.keys, np.column_stack([groups.last(since), groups.last(rows.clock_s)]))
        return np.asarray(rows.clock_s - since)

    def _read(self, keys: list[int], nothing: list[int]) -> Counts:
        return np.array([self._counts.get(key, nothing) for key in keys], dtype=np.int64).reshape(-1, len(nothing))

    def _write(self, keys: list[int], values: Counts) -> None:
        self._counts.update(zip(keys, values.tolist(), strict=True))
        trim(self._counts, MAX_COUNTS)


def _of_kind(kind: int, things: Hashes) -> Hashes:
    return mix(np.full(len(things), kind, dtype=np.uint64), things)


def _domains(frame: pl.DataFrame) -> Hashes:
    """Return a hash of the domain that each flow names; 0 for none. A name looked up is told from one called."""
    domains = [
        pl.lit("?" if name == "dns_queries" else "") + registered(_first(frame, name))
        for name in NAMES
        if name in frame.columns
    ]
    return _hashes(frame, domains)


def _software(frame: pl.DataFrame) -> Hashes:
    """Return a hash of the software that began each flow, as far as it shows; 0 for none."""
    return _hashes(frame, [_first(frame, name) for name in SOFTWARE if name in frame.columns])


def _first(frame: pl.DataFrame, name: str) -> pl.Expr:
    """Return a column, of a list its first element; empty texts are unknown."""
    is_list = isinstance(frame.schema[name], pl.List)
    column = pl.col(name).list.first() if is_list else pl.col(name)
    return pl.when(column != "").then(column)


def _hashes(frame: pl.DataFrame, texts: list[pl.Expr]) -> Hashes:
    if not texts:
        return np.zeros(len(frame), dtype=np.uint64)
    text = pl.coalesce(texts)
    return (
        frame.select(pl.when(text.is_null()).then(pl.lit(0, pl.UInt64)).otherwise(text.hash())).to_series().to_numpy()
    )
