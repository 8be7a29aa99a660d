"""Behaviour of one host in a span of time, beside its own behaviour in the span before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import polars as pl

from infraspectre.records.times import UNITS, rfc3339

COLUMNS = (
    "flow_id", "orig_ip", "resp_ip", "resp_port", "protocol", "app_protocol", "started_at", "orig_bytes", "resp_bytes",
)  # fmt: skip
"""Columns of flows that are looked at."""
HOUR = UNITS["h"]
MOST_NAMED = 20
"""Peers and services that are named."""
REMARKABLE = 3.0
"""A measure that became so many times as large, or as small, is a change worth telling."""
LEAST_FLOWS = 20
"""Flows in the span before, below which nothing can be called usual."""


class Peer(msgspec.Struct, frozen=True):
    """Is a host that it talked to."""

    address: str
    flows: int
    bytes: int
    is_new: bool
    """Whether it did not talk to it in the span before."""


class Service(msgspec.Struct, frozen=True):
    """Is a service that it used or offered."""

    name: str
    """Application protocol where it is known, else transport protocol and port."""
    flows: int
    is_new: bool


class Measures(msgspec.Struct, frozen=True):
    """Sums up a span."""

    flows: int
    sent_bytes: int
    received_bytes: int
    peers: int
    used_services: int
    offered_services: int
    active_hours: int


class BehaviourChange(msgspec.Struct, frozen=True):
    """Says which measure is otherwise than before."""

    measure: str
    before: int
    now: int


class Behaviour(msgspec.Struct, frozen=True):
    """Says what a host did, and what of it is new."""

    entity: str
    start: str
    end: str
    now: Measures
    before: Measures
    """The span of equal length before."""
    changes: list[BehaviourChange]
    """Measures that became at least three times as large or as small; none where there is too little before."""
    peers: list[Peer]
    """Those with the most bytes first."""
    used: list[Service]
    offered: list[Service]
    hours: dict[str, int]
    """Flows by hour, RFC 3339."""


def behaviour(entity: str, frames: Iterable[pl.DataFrame], start: int, end: int) -> Behaviour:
    """Sum up the flows of a host in a span and in the span of equal length before it; frames have `COLUMNS`."""
    known = [frame.select(COLUMNS) for frame in frames]
    flows = _of(entity, pl.concat(known) if known else pl.DataFrame(schema=dict.fromkeys(COLUMNS, pl.Int64)))
    now = flows.filter(pl.col("started_at").is_between(start, end, closed="left"))
    before = flows.filter(pl.col("started_at").is_between(2 * start - end, start, closed="left"))
    measures = measured(now), measured(before)
    return Behaviour(
        entity=entity,
        start=rfc3339(start),
        end=rfc3339(end),
        now=measures[0],
        before=measures[1],
        changes=changed(*measures),
        peers=peers_of(now, before),
        used=services_of(now, before, acted=True),
        offered=services_of(now, before, acted=False),
        hours=by_hour(now),
    )


def _of(entity: str, flows: pl.DataFrame) -> pl.DataFrame:
    """Return the flows of a host, each once, seen from it."""
    acted = pl.col("orig_ip").cast(pl.String) == entity
    own = flows.filter(acted | (pl.col("resp_ip").cast(pl.String) == entity)).unique("flow_id", maintain_order=True)
    port = pl.col("protocol").cast(pl.String) + "/" + pl.col("resp_port").cast(pl.String).fill_null("-")
    return own.select(
        "started_at",
        acted=acted,
        peer=pl.when(acted).then("resp_ip").otherwise("orig_ip").cast(pl.String),
        service=pl.coalesce(pl.col("app_protocol").cast(pl.String), port).fill_null("unknown"),
        sent=pl.when(acted).then("orig_bytes").otherwise("resp_bytes").fill_null(0).cast(pl.Int64),
        received=pl.when(acted).then("resp_bytes").otherwise("orig_bytes").fill_null(0).cast(pl.Int64),
    )


def measured(flows: pl.DataFrame) -> Measures:
    """Sum up flows."""
    services = {acted: flows.filter(pl.col("acted") == acted)["service"].n_unique() for acted in (True, False)}
    return Measures(
        flows=len(flows),
        sent_bytes=int(flows["sent"].sum()),
        received_bytes=int(flows["received"].sum()),
        peers=flows["peer"].n_unique(),
        used_services=services[True],
        offered_services=services[False],
        active_hours=(flows["started_at"] // HOUR).n_unique(),
    )


def changed(now: Measures, before: Measures) -> list[BehaviourChange]:
    """Return the measures that are remarkably otherwise than before."""
    if before.flows < LEAST_FLOWS:
        return []
    pairs: Mapping[str, tuple[int, int]] = {
        name: (getattr(before, name), getattr(now, name)) for name in Measures.__struct_fields__
    }
    remarkable = {name: both for name, both in pairs.items() if _is_remarkable(*both)}
    return [BehaviourChange(name, *both) for name, both in remarkable.items()]


def _is_remarkable(before: int, now: int) -> bool:
    small, large = sorted((before, now))
    return large >= REMARKABLE * max(small, 1) and large - small > 1


def peers_of(now: pl.DataFrame, before: pl.DataFrame) -> list[Peer]:
    """Return the hosts talked to, those with the most bytes first."""
    known = set(before["peer"].to_list())
    sums = now.group_by("peer").agg(flows=pl.len(), bytes=(pl.col("sent") + pl.col("received")).sum())
    rows = sums.sort(["bytes", "peer"], descending=[True, False]).head(MOST_NAMED).iter_rows()
    return [Peer(peer, flows, count, peer not in known) for peer, flows, count in rows]


def services_of(now: pl.DataFrame, before: pl.DataFrame, *, acted: bool) -> list[Service]:
    """Return the services used, or those offered, the busiest first."""
    mine, earlier = (each.filter(pl.col("acted") == acted) for each in (now, before))
    known: set[Any] = set(earlier["service"].to_list())
    sums = mine.group_by("service").agg(flows=pl.len()).sort(["flows", "service"], descending=[True, False])
    return [Service(name, flows, name not in known) for name, flows in sums.head(MOST_NAMED).iter_rows()]


def by_hour(flows: pl.DataFrame) -> dict[str, int]:
    """Count flows by the hour in which they began."""
    counts = flows.group_by(hour=pl.col("started_at") // HOUR).agg(flows=pl.len()).sort("hour")
    return {rfc3339(hour * HOUR): count for hour, count in counts.iter_rows()}
