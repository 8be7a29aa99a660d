"""Hosts: which there are, how they stand, and what one of them did beside its days before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import numpy as np
import polars as pl

from infraspectre.intel.assets import Assets
from infraspectre.ports import RecordStore, Stored, TableStore, every
from infraspectre.records import Asset
from infraspectre.records.address import is_inside, parse_address
from infraspectre.records.detection import Severity
from infraspectre.records.queries import MOST_ROWS, Collection, Filter, Order, Query
from infraspectre.records.times import LATEST, UNITS, rfc3339

HOUR, DAY = UNITS["h"], UNITS["d"]
ASSET_FIELDS = ("network", "name", "owner", "criticality", "roles")
UNDECIDED = ("new", "open")
"""Statuses of incidents that count."""
MOST_HOSTS = 10_000
"""Hosts with the most bytes that are listed, beside those that take part in incidents."""
MOST_INCIDENTS = 5_000
"""Open incidents that count, those with the highest scores."""
DAYS = 14
"""Days of one host that are looked at."""
MOST_FLOWS = 120_000
"""Flows of one host after which no earlier ones are looked at."""
MOST_PEERS, MOST_NAMES = 20, 10
BAND = (5.0, 50.0, 95.0)
"""Percentiles of a baseline: the ends of its 90% band around the median."""
COLUMNS = (
    "flow_id", "orig_ip", "resp_ip", "resp_port", "protocol", "app_protocol", "started_at", "orig_bytes", "resp_bytes",
    "tls_server_name", "http_hosts",
)  # fmt: skip
"""Columns of flows that are looked at."""


class ToldAsset(msgspec.Struct, frozen=True):
    """Is what an incident tells of a host that takes part in it."""

    name: str | None = None
    criticality: Severity | None = None
    roles: list[str] = []
    seen_name: str | None = None
    seen_roles: list[str] = []


class ToldIncident(msgspec.Struct, frozen=True):
    """Is the part of an incident that tells of hosts."""

    assets: dict[str, ToldAsset] = {}


class HostIncident(msgspec.Struct, frozen=True):
    """Is the part of the record of an incident by which hosts are judged."""

    entities: list[str]
    level: Severity
    value: float
    first_seen: int
    last_seen: int
    incident: ToldIncident


class Host(msgspec.Struct, kw_only=True):
    """Is a host with its incidents and its traffic in a span of time; times are nanoseconds since the epoch."""

    address: str
    name: str = ""
    roles: list[str] = []
    criticality: Severity | None = None
    inside: bool = False
    incidents: int = 0
    level: Severity | None = None
    value: float | None = None
    first_seen: int = LATEST
    last_seen: int = 0
    flows: int = 0
    bytes_in: int = 0
    bytes_out: int = 0

    @property
    def bytes(self) -> int:
        """Return the bytes in both directions."""
        return self.bytes_in + self.bytes_out

    def take_part(self, found: HostIncident) -> None:
        """Count an incident; those with higher scores come first."""
        self.incidents += 1
        if self.value is None:
            self.level, self.value = found.level, found.value
        self.seen(found.first_seen, found.last_seen)

    def seen(self, first: int, last: int) -> None:
        """Note when the host was seen."""
        self.first_seen, self.last_seen = min(self.first_seen, first), max(self.last_seen, last)

    def called(self, told: ToldAsset) -> None:
        """Take over what an incident tells, where nothing is known yet."""
        self.name = self.name or told.name or told.seen_name or ""
        self.criticality = self.criticality or told.criticality
        self.roles = self.roles or sorted({*told.roles, *told.seen_roles})

    def own(self, asset: Asset | None) -> None:
        """Take over what the owner says, which counts before what incidents tell."""
        if asset is not None:
            self.name, self.criticality = asset.name or self.name, asset.criticality or self.criticality
            self.roles = asset.roles or self.roles


class KnownAssets(NamedTuple):
    """Holds what is known about addresses: the records of a tenant, and the site file."""

    records: Assets
    site: Assets

    def find(self, address: str) -> Asset | None:
        """Return the most specific asset of the records, else of the site file; None where neither knows one."""
        return self.records.find(address) or self.site.find(address)


def known_assets(records: RecordStore, tenant: str, assets: Collection, site: Assets) -> KnownAssets:
    """Return the assets of a tenant beside those of the site file."""
    return KnownAssets(Assets([asset_in(row) for row in every(records, tenant, assets)]), site)


def asset_in(stored: Stored) -> Asset:
    """Return the asset of a record, which may hold more about it."""
    content = msgspec.json.decode(stored.body)
    return msgspec.convert({name: content[name] for name in ASSET_FIELDS if content.get(name)}, Asset)


class Directory(NamedTuple):
    """Holds the hosts of a span, and over what they were counted."""

    start: int
    end: int
    hosts: list[Host]
    incidents: int
    """Open incidents that were counted, those with the highest scores."""
    is_whole: bool
    """Whether all hosts of the span and all open incidents were counted."""


def directory(
    records: RecordStore, tables: TableStore, tenant: str, incidents: Collection, assets: KnownAssets, now: int
) -> Directory:
    """Return the hosts of the last day of data with their open incidents; the work is bounded."""
    end = newest(tables, tenant, now)
    found: dict[str, Host] = {}
    traffic = tables.hosts(tenant, "flows", end - DAY, end, MOST_HOSTS)
    for address, flows, sent, received, first, last in traffic.iter_rows():
        host = found[address] = host_of(address)
        host.flows, host.bytes_out, host.bytes_in = flows, int(sent), int(received)
        host.seen(first, last)
    counted = 0
    for row in open_incidents(records, tenant, incidents):
        join(found, msgspec.json.decode(row.body, type=HostIncident))
        counted += 1
    for host in found.values():
        host.own(assets.find(host.address))
    is_whole = len(traffic) < MOST_HOSTS and counted < MOST_INCIDENTS
    return Directory(end - DAY, end, list(found.values()), counted, is_whole)


def host_of(address: str) -> Host:
    """Return a host of which no more than its address is known."""
    return Host(address=address, inside=is_inside(address))


def newest(tables: TableStore, tenant: str, now: int) -> int:
    """Return the time behind the newest flow, now where there is none."""
    at = first_at(tables, tenant, Query((), Order("started_at", descending=True), 1))
    return now if at is None else at + 1


def oldest(tables: TableStore, tenant: str, start: int, end: int) -> int:
    """Return the time of the oldest flow since a time, the end where there is none."""
    at = first_at(tables, tenant, Query((Filter("started_at", ">=", (start,)),), Order("started_at"), 1))
    return end if at is None else at


def first_at(tables: TableStore, tenant: str, query: Query) -> int | None:
    """Return when the first flow began that answers a question."""
    rows, _ = tables.page(tenant, "flows", query, ("started_at",))
    return int(rows[0]["started_at"]) if rows else None


def open_incidents(records: RecordStore, tenant: str, incidents: Collection) -> Iterator[Stored]:
    """Yield the open incidents with the highest scores, the highest first."""
    asked, after, left = (Filter("status", "=", UNDECIDED),), None, MOST_INCIDENTS
    while left > 0:
        query = Query(asked, Order("value", descending=True), min(left, MOST_ROWS), after)
        page = records.page(tenant, incidents, query)
        yield from page.rows
        left, after = left - len(page.rows), page.next
        if after is None:
            return


def join(found: dict[str, Host], incident: HostIncident) -> None:
    """Count an incident for each host that takes part in it; domains do so, too, and are none."""
    for name in incident.entities:
        if parse_address(name) is None:
            continue
        if name not in found:
            found[name] = host_of(name)
        found[name].take_part(incident)
        if name in incident.incident.assets:
            found[name].called(incident.incident.assets[name])


class HourOfHost(msgspec.Struct, frozen=True):
    """Is what a host did in an hour."""

    start: str
    flows: int
    bytes_in: int
    bytes_out: int


class Band(msgspec.Struct, frozen=True):
    """Is what is usual: the median, and the ends of the 90% band around it."""

    low: float
    median: float
    high: float


class UsualHour(msgspec.Struct, frozen=True):
    """Is what is usual for a host in an hour of the day (UTC)."""

    hour: int
    days: int
    """From how many days before the last one that is known."""
    flows: Band
    bytes_in: Band
    bytes_out: Band


class HostPeer(msgspec.Struct, frozen=True):
    """Is another host that it talked to."""

    address: str
    name: str
    """By which it was called last, in TLS or HTTP; empty where none is known."""
    flows: int
    bytes: int
    first_seen: str
    """Within the span that was looked at."""
    is_new: bool
    """Whether it was talked to in the last day for the first time; false where no earlier day is known."""


class HostService(msgspec.Struct, frozen=True):
    """Is an application protocol, or a port, that a host used or offered."""

    name: str
    offered: bool
    flows: int
    bytes: int


class HostName(msgspec.Struct, frozen=True):
    """Is a name by which others called a host, in TLS or HTTP."""

    name: str
    flows: int


class Activity(msgspec.Struct, frozen=True, kw_only=True):
    """Is what a host did in a span of time."""

    start: str
    """At most 14 days ago: as far back as there are flows of any host, and as this one has not too many."""
    end: str
    flows: int
    hours: list[HourOfHost]
    """Every hour of the span, the first one first."""
    baseline: list[UsualHour]
    """For each hour of the day; empty where no whole day before the last one is known."""
    peers: list[HostPeer]
    """The 20 with the most bytes."""
    protocols: list[HostService]
    """The 10 application protocols with the most flows."""
    ports: list[HostService]
    """The 10 ports with the most flows."""
    names: list[HostName]
    """The 10 names by which it was called most."""


class Past(NamedTuple):
    """Holds the flows of a host in a span."""

    start: int
    end: int
    flows: pl.DataFrame


def past(tables: TableStore, tenant: str, address: str, end: int, days: int = DAYS) -> Past:
    """Return the flows of a host in the last days for which there are any; in fewer where these are many.

    Steps back in time grow, so that a busy host costs no more than a quiet one.
    """
    frames, rows, start, step = list[pl.DataFrame](), 0, end, 6 * HOUR
    first = oldest(tables, tenant, max(end - days * DAY, 0), end)
    while start > first and rows < MOST_FLOWS:
        begin = max(start - step, first)
        part = list(tables.scan(tenant, "flows", begin, start, COLUMNS, address))
        frames += part
        rows += sum(each.height for each in part)
        start, step = begin, min(2 * step, DAY)
    known = pl.concat(frames, how="vertical_relaxed") if frames else nothing()
    return Past(start, end, known)


def nothing() -> pl.DataFrame:
    """Return no flows."""
    texts = pl.List(pl.String)
    kinds = {name: pl.Int64 if "bytes" in name or name in ("flow_id", "started_at") else pl.String for name in COLUMNS}
    return pl.DataFrame(schema=kinds | {"http_hosts": texts})


def activity(known: Past, address: str) -> Activity:
    """Return what a host did, as its flows tell."""
    seen = seen_from(address, known.flows)
    hours = by_hour(seen, known.start, known.end)
    return Activity(
        start=rfc3339(known.start),
        end=rfc3339(known.end),
        flows=seen.height,
        hours=[HourOfHost(rfc3339(at), *map(int, sums)) for at, *sums in hours.iter_rows()],
        baseline=baseline(hours, known.end - DAY),
        peers=peers_of(seen, known.start, known.end - DAY),
        protocols=services_of(seen.drop_nulls("protocol"), "protocol"),
        ports=services_of(seen, "port"),
        names=names_of(seen),
    )


def seen_from(address: str, flows: pl.DataFrame) -> pl.DataFrame:
    """Return the flows of a host as it sees them."""
    acted = pl.col("orig_ip").cast(pl.String) == address
    sent, received = (pl.col(name).fill_null(0).cast(pl.Int64) for name in ("orig_bytes", "resp_bytes"))
    transport = pl.col("protocol").cast(pl.String).fill_null("-")
    return flows.select(
        at="started_at",
        acted=acted,
        peer=pl.when(acted).then("resp_ip").otherwise("orig_ip").cast(pl.String),
        protocol=pl.col("app_protocol").cast(pl.String),
        port=pl.concat_str(transport, pl.lit("/"), pl.col("resp_port").cast(pl.String).fill_null("-")),
        bytes_in=pl.when(acted).then(received).otherwise(sent),
        bytes_out=pl.when(acted).then(sent).otherwise(received),
        name=pl.coalesce(pl.col("tls_server_name").cast(pl.String), pl.col("http_hosts").list.first()),
    )


def by_hour(seen: pl.DataFrame, start: int, end: int) -> pl.DataFrame:
    """Return flows and bytes of each hour of a span, also of those without any."""
    hours = pl.DataFrame({"hour": np.arange(start // HOUR, -(-end // HOUR), dtype=np.int64) * HOUR})
    sums = seen.group_by(hour=pl.col("at") // HOUR * HOUR).agg(
        flows=pl.len().cast(pl.Int64), bytes_in=pl.col("bytes_in").sum(), bytes_out=pl.col("bytes_out").sum()
    )
    return hours.join(sums, "hour", how="left", maintain_order="left").fill_null(0)


def baseline(hours: pl.DataFrame, end: int) -> list[UsualHour]:
    """Return what is usual in each hour of the day, as whole days before a time tell."""
    before = hours.filter(pl.col("hour") + HOUR <= end)
    days = before.height // 24
    if not days:
        return []
    last = before.tail(days * 24)
    first_hour = int(last["hour"][0]) // HOUR % 24
    figures = [last[name].to_numpy().reshape(days, 24) for name in ("flows", "bytes_in", "bytes_out")]
    bands = [np.percentile(each, BAND, axis=0).round(3).T.tolist() for each in figures]
    usual = [UsualHour((first_hour + place) % 24, days, *(Band(*each[place]) for each in bands)) for place in range(24)]
    return sorted(usual, key=lambda each: each.hour)


def peers_of(seen: pl.DataFrame, start: int, recent: int) -> list[HostPeer]:
    """Return the hosts talked to, those with the most bytes first; new are those not known before a time."""
    acted_name = pl.col("name").filter(pl.col("acted")).drop_nulls().last().fill_null("")
    size = (pl.col("bytes_in") + pl.col("bytes_out")).sum()
    sums = (
        seen.drop_nulls("peer").group_by("peer").agg(acted_name, flows=pl.len(), bytes=size, first=pl.col("at").min())
    )
    rows = sums.sort("bytes", "flows", "peer", descending=[True, True, False]).head(MOST_PEERS)
    return [
        HostPeer(peer, name or "", flows, size, rfc3339(first), start < recent <= first)
        for peer, name, flows, size, first in rows.iter_rows()
    ]


def services_of(seen: pl.DataFrame, kind: str) -> list[HostService]:
    """Return protocols or ports, those with the most flows first."""
    size = (pl.col("bytes_in") + pl.col("bytes_out")).sum()
    sums = seen.group_by(kind, offered=~pl.col("acted")).agg(flows=pl.len(), bytes=size)
    rows = sums.sort("flows", "bytes", kind, "offered", descending=[True, True, False, False]).head(MOST_NAMES)
    return [HostService(*row) for row in rows.iter_rows()]


def names_of(seen: pl.DataFrame) -> list[HostName]:
    """Return the names by which others called a host, the most frequent first."""
    called = seen.filter(~pl.col("acted")).drop_nulls("name").group_by("name").agg(flows=pl.len())
    return [
        HostName(*row) for row in called.sort("flows", "name", descending=[True, False]).head(MOST_NAMES).iter_rows()
    ]
