"""What intelligence knows of addresses and names, asked once for each distinct one; without any, it is unknown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from infraspectre.axon.window import Columns
from infraspectre.intel.indicators.index import IndicatorIndex, Space

DAY_NS = 86_400 * 1_000_000_000


class HostFacts(NamedTuple):
    """Holds what is known of an address; None is unknown. Reputations are from 0 (good) to 1 (bad)."""

    reputation: float | None = None
    asn: int | None = None
    asn_reputation: float | None = None
    is_tor: bool | None = None
    first_seen_at: int | None = None
    """Nanoseconds since the epoch."""


class DomainFacts(NamedTuple):
    """Holds what is known of a name; None is unknown."""

    reputation: float | None = None
    registered_at: int | None = None
    """Nanoseconds since the epoch."""


class Intelligence(Protocol):
    """Knows addresses and names."""

    def hosts(self, addresses: Sequence[str]) -> Sequence[HostFacts]:
        """Return what is known of each address."""
        ...

    def domains(self, names: Sequence[str]) -> Sequence[DomainFacts]:
        """Return what is known of each name."""
        ...


class IndicatorFacts:
    """Knows what indicators say; an address or name that none names stays unknown, for silence is no praise."""

    def __init__(self, index: IndicatorIndex) -> None:
        """Take the index of indicators."""
        self._index = index

    def hosts(self, addresses: Sequence[str]) -> Sequence[HostFacts]:
        """Return what indicators say of each address."""
        rows = self._rows("address", addresses)
        return [HostFacts() if row is None else self._host(row) for row in map(rows.get, addresses)]

    def domains(self, names: Sequence[str]) -> Sequence[DomainFacts]:
        """Return what indicators say of each name."""
        rows = self._rows("domain", names)
        return [DomainFacts() if row is None else DomainFacts(self._worth(row)) for row in map(rows.get, names)]

    def _rows(self, space: Space, values: Sequence[str]) -> dict[str, int]:
        found = self._index.match(space, pl.Series(values, dtype=pl.String))
        return dict(found.select("value", "indicator").iter_rows())

    def _host(self, row: int) -> HostFacts:
        about = self._index.indicators[row].about
        is_tor = any(word.startswith("tor") for label in about.labels for word in label.lower().split())
        return HostFacts(self._worth(row), is_tor=is_tor or None, first_seen_at=about.first_seen)

    def _worth(self, row: int) -> float:
        """Return how much an indicator is worth when its sources last spoke: a table has no one time to age it to."""
        about = self._index.indicators[row].about
        return self._index.confidence(row, about.last_seen or about.first_seen or 0)


Facts = HostFacts | DomainFacts
Ask = Callable[[Sequence[str]], Sequence[Facts]]
FEATURES = (
    "orig_reputation",
    "resp_reputation",
    "resp_asn_reputation",
    "orig_is_tor",
    "resp_is_tor",
    "resp_first_seen_days",
    "domain_reputation",
    "domain_age_days",
)


class Known(NamedTuple):
    """Holds the intelligence features of each row, and of which network its destination is, else NaN."""

    columns: Columns
    resp_asn: NDArray[np.float64]


def known(frame: pl.DataFrame, source: Intelligence | None) -> Known:
    """Ask for the hosts and the name of each row."""
    nothing = np.full(len(frame), np.nan)
    if source is None:
        return Known(dict.fromkeys(FEATURES, nothing), nothing)
    orig, resp = (_facts(frame[f"{side}_ip"], source.hosts, HostFacts()) for side in ("orig", "resp"))
    domain = _facts(frame.select(name_of()).to_series(), source.domains, DomainFacts())
    now = frame["started_at"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    columns: Columns = {
        "orig_reputation": orig["reputation"],
        "resp_reputation": resp["reputation"],
        "resp_asn_reputation": resp["asn_reputation"],
        "orig_is_tor": orig["is_tor"],
        "resp_is_tor": resp["is_tor"],
        "resp_first_seen_days": np.maximum(now - resp["first_seen_at"], 0.0) / DAY_NS,
        "domain_reputation": domain["reputation"],
        "domain_age_days": np.maximum(now - domain["registered_at"], 0.0) / DAY_NS,
    }
    return Known(columns, resp["asn"])


def name_of() -> pl.Expr:
    """Return the name that a flow is about: that of the TLS handshake, else of the first HTTP request or question."""
    names = (pl.col(name).list.first() for name in ("http_hosts", "dns_queries"))
    return pl.coalesce("tls_server_name", *names)


def _facts(column: pl.Series, ask: Ask, unknown: Facts) -> dict[str, NDArray[np.float64]]:
    """Return what is known of each row's value, by the names of the facts."""
    distinct = column.drop_nulls().unique(maintain_order=True)
    facts = [*ask(distinct.to_list()), unknown]
    places = column.replace_strict(distinct, range(len(distinct)), default=len(distinct), return_dtype=pl.Int64)
    table = np.array(facts, dtype=np.float64).reshape(len(facts), len(unknown))
    return dict(zip(unknown._fields, table[places.to_numpy()].T, strict=True))
