"""The state of the network in a span of time: what it carried, who talked most, and what was found on the way."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import polars as pl

from infraspectre.records.times import rfc3339

COLUMNS = (
    "orig_ip", "resp_ip", "resp_port", "protocol", "app_protocol", "started_at", "orig_bytes", "resp_bytes",
    "orig_packets", "resp_packets",
)  # fmt: skip
"""Columns of flows that are looked at."""
MOST_NAMED = 20
BUCKETS = 48
"""Parts into which a span is cut for its rates."""


class TrafficShare(msgspec.Struct, frozen=True):
    """Is what one host or protocol had of the traffic."""

    name: str
    flows: int
    bytes: int


class Rate(msgspec.Struct, frozen=True):
    """Is the traffic of one part of the span."""

    start: str
    flows_per_s: float
    bytes_per_s: float


class Network(msgspec.Struct, frozen=True):
    """Sums up what a network carried."""

    start: str
    end: str
    flows: int
    packets: int
    bytes: int
    hosts: int
    protocols: list[TrafficShare]
    services: list[TrafficShare]
    senders: list[TrafficShare]
    receivers: list[TrafficShare]
    rates: list[Rate]


class Tally:
    """Adds up flows as they come, in memory that depends on the hosts alone."""

    def __init__(self, start: int, end: int) -> None:
        """Begin a span, in nanoseconds since the epoch."""
        self._start, self._end = start, end
        self._every = max(1, (end - start) // BUCKETS)
        self._parts: dict[str, pl.DataFrame] = {}
        self._packets = 0

    def add(self, flows: pl.DataFrame) -> None:
        """Add flows with `COLUMNS`."""
        size = (pl.col("orig_bytes").fill_null(0) + pl.col("resp_bytes").fill_null(0)).cast(pl.Int64)
        port = pl.col("protocol").cast(pl.String) + "/" + pl.col("resp_port").cast(pl.String).fill_null("-")
        kinds = {
            "protocols": pl.col("protocol").cast(pl.String),
            "services": pl.coalesce(pl.col("app_protocol").cast(pl.String), port),
            "senders": pl.col("orig_ip").cast(pl.String),
            "receivers": pl.col("resp_ip").cast(pl.String),
            "rates": ((pl.col("started_at") - self._start) // self._every).cast(pl.String),
        }
        for kind, name in kinds.items():
            self._sum(
                kind,
                flows.group_by(name=name.fill_null("unknown")).agg(flows=pl.len().cast(pl.Int64), bytes=size.sum()),
            )
        counts = flows.select(pl.col("orig_packets").fill_null(0).sum(), pl.col("resp_packets").fill_null(0).sum())
        self._packets += int(sum(counts.row(0)))

    def _sum(self, kind: str, part: pl.DataFrame) -> None:
        joined = pl.concat([self._parts[kind], part]) if kind in self._parts else part
        self._parts[kind] = joined.group_by("name").agg(pl.col("flows", "bytes").sum())

    def network(self) -> Network:
        """Return the sums."""
        protocols = self._parts.get("protocols")
        hosts = {name for kind in ("senders", "receivers") if kind in self._parts for name in self._parts[kind]["name"]}
        shares = {kind: self._shares(kind) for kind in ("protocols", "services", "senders", "receivers")}
        return Network(
            start=rfc3339(self._start),
            end=rfc3339(self._end),
            flows=0 if protocols is None else int(protocols["flows"].sum()),
            packets=self._packets,
            bytes=0 if protocols is None else int(protocols["bytes"].sum()),
            hosts=len(hosts - {"unknown"}),
            rates=self._rates(),
            **shares,
        )

    def _shares(self, kind: str) -> list[TrafficShare]:
        if kind not in self._parts:
            return []
        ranked = self._parts[kind].sort(["bytes", "flows", "name"], descending=[True, True, False])
        return [TrafficShare(*row) for row in ranked.head(MOST_NAMED).iter_rows()]

    def _rates(self) -> list[Rate]:
        seconds = self._every / 1e9
        known = {} if "rates" not in self._parts else {row[0]: row[1:] for row in self._parts["rates"].iter_rows()}
        parts = -(-(self._end - self._start) // self._every)
        sums = [(place, *known.get(str(place), (0, 0))) for place in range(parts)]
        return [
            Rate(rfc3339(self._start + place * self._every), round(flows / seconds, 3), round(size / seconds, 3))
            for place, flows, size in sums
        ]


def network(frames: Iterable[pl.DataFrame], start: int, end: int) -> Network:
    """Sum up the flows of a span."""
    tally = Tally(start, end)
    for frame in frames:
        tally.add(frame)
    return tally.network()
