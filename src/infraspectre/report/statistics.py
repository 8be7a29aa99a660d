"""Statistics of all flows of a run, gathered batch by batch in bounded memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
import polars as pl

MOST_HOSTS = 8192
MOST_PAIRS = 16_384
MOST_PROTOCOLS = 256
MOST_BINS = 240
MOST_SERVICES = 8
SHORTEST_BIN_NS = 125_000_000


class Traffic(msgspec.Struct):
    """Sums the flows of one host, pair or protocol."""

    flows: int = 0
    packets: int = 0
    bytes: int = 0


class Host(msgspec.Struct):
    """Sums what one host sent and received, and which services it answered."""

    flows_begun: int = 0
    flows_answered: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    services: list[str] = []

    @property
    def bytes(self) -> int:
        """Return all bytes, both ways."""
        return self.bytes_sent + self.bytes_received


Volume = TypeVar("Volume", Traffic, Host)
Key = TypeVar("Key", str, tuple[str, str])


class FlowStatistics(msgspec.Struct):
    """Counts hosts, pairs, protocols and volume over time; of too many, the smallest are forgotten and counted."""

    total: Traffic = msgspec.field(default_factory=Traffic)
    first_ns: int | None = None
    last_ns: int | None = None
    hosts: dict[str, Host] = {}
    pairs: dict[tuple[str, str], Traffic] = {}
    protocols: dict[tuple[str, str], Traffic] = {}
    """By transport and application protocol; the latter is empty if unknown."""
    bin_ns: int = SHORTEST_BIN_NS
    bins: dict[int, int] = {}
    """Bytes of the flows that began in each bin of `bin_ns`, by number of the bin since the epoch."""
    forgotten_hosts: int = 0
    forgotten_pairs: int = 0

    def add(self, frame: pl.DataFrame) -> None:
        """Take in the flows of a frame; columns that an import lacks count as zero."""
        if frame.is_empty():
            return
        flows = _selected(frame)
        self._add_times(flows)
        self._add_hosts(flows)
        pairs, forgotten = _fitting(_sums(flows, "orig_ip", "resp_ip"), 2, self.pairs, MOST_PAIRS)
        self.forgotten_pairs += forgotten
        for orig, resp, *sums in pairs.iter_rows():
            _add(self.pairs, (orig, resp), sums)
        for transport, application, *sums in _sums(flows, "protocol", "app_protocol").iter_rows():
            _add(self.protocols, (transport, application), sums)
        self._forget()

    def _add_times(self, flows: pl.DataFrame) -> None:
        self.total.flows += len(flows)
        self.total.packets += int(flows["packets"].sum())
        self.total.bytes += int(flows["bytes"].sum())
        self.first_ns = min(_known(self.first_ns, flows["started_at"].min()), default=None)
        self.last_ns = max(_known(self.last_ns, flows["ended_at"].max()), default=None)
        binned = flows.drop_nulls("started_at").group_by(pl.col("started_at") // self.bin_ns).agg(pl.col("bytes").sum())
        for number, volume in binned.sort("started_at").iter_rows():
            self.bins[number] = self.bins.get(number, 0) + volume
        while len(self.bins) > MOST_BINS:
            self._widen()

    def _widen(self) -> None:
        wider: dict[int, int] = {}
        for number, volume in self.bins.items():
            wider[number // 2] = wider.get(number // 2, 0) + volume
        self.bins, self.bin_ns = wider, self.bin_ns * 2

    def _add_hosts(self, flows: pl.DataFrame) -> None:
        hosts, forgotten = _fitting(_ends(flows), 1, self.hosts, MOST_HOSTS)
        self.forgotten_hosts += forgotten
        for ip, begun, _, sent, received in hosts.iter_rows():
            host = self.hosts.setdefault(ip, Host())
            host.flows_begun += begun
            host.bytes_sent += sent
            host.bytes_received += received
        self._add_services(flows.filter(pl.col("resp_bytes") > 0))

    def _add_services(self, answered: pl.DataFrame) -> None:
        for ip, service, flows, *_ in _sums(answered, "resp_ip", "app_protocol").iter_rows():
            host = self.hosts.get(ip)
            if host is None:
                continue
            host.flows_answered += flows
            if service and service not in host.services and len(host.services) < MOST_SERVICES:
                host.services = [*host.services, service]

    def _forget(self) -> None:
        self.forgotten_hosts += _shrink(self.hosts, MOST_HOSTS)
        self.forgotten_pairs += _shrink(self.pairs, MOST_PAIRS)
        _shrink(self.protocols, MOST_PROTOCOLS)


def _selected(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the columns needed, with zeros and empty texts for what is not known."""
    lacking = [name for name in (*_NUMBERS, *_TEXTS, *_TIMES) if name not in frame.columns]
    whole = frame.with_columns(pl.lit(None).alias(name) for name in lacking)
    return whole.select(
        *(pl.col(name).cast(pl.Int64, strict=False).fill_null(0) for name in _NUMBERS),
        *(pl.col(name).cast(pl.String).fill_null("") for name in _TEXTS),
        *(pl.col(name).cast(pl.Int64, strict=False) for name in _TIMES),
    ).with_columns(
        bytes=pl.col("orig_bytes") + pl.col("resp_bytes"),
        packets=pl.col("orig_packets") + pl.col("resp_packets"),
    )


_NUMBERS = ("orig_packets", "resp_packets", "orig_bytes", "resp_bytes")
_TEXTS = ("orig_ip", "resp_ip", "protocol", "app_protocol")
_TIMES = ("started_at", "ended_at")


def _sums(flows: pl.DataFrame, *keys: str) -> pl.DataFrame:
    """Return each key with its flows, packets and bytes."""
    return flows.group_by(keys, maintain_order=True).agg(pl.len(), pl.col("packets", "bytes").sum())


def _ends(flows: pl.DataFrame) -> pl.DataFrame:
    """Return each host with the flows it began, and its bytes: all, sent and received."""
    sides = [
        flows.select(ip=end, begun=pl.lit(begun), bytes="bytes", sent=f"{side}_bytes", received=f"{other}_bytes")
        for end, begun, side, other in (("orig_ip", 1, "orig", "resp"), ("resp_ip", 0, "resp", "orig"))
    ]
    return pl.concat(sides).group_by("ip", maintain_order=True).agg(pl.all().sum())


def _fitting(sums: pl.DataFrame, keys: int, table: Mapping[Any, Volume], most: int) -> tuple[pl.DataFrame, int]:
    """Leave out the smallest new keys (the first columns) for which a table has no room; return how many they are."""
    room = max(most - len(table), most // 16, 1)
    if len(sums) <= room:
        return sums, 0
    names = sums.columns[:keys]
    rows = sums[names[0]] if keys == 1 else sums.select(names).iter_rows()
    is_known = pl.Series([row in table for row in rows], dtype=pl.Boolean)
    new = sums.filter(~is_known)
    kept = new.sort("bytes", *names, descending=[True] + [False] * keys).head(room)
    return pl.concat([sums.filter(is_known), kept]), len(new) - len(kept)


def _add(table: dict[tuple[str, str], Traffic], key: tuple[str, str], sums: list[int]) -> None:
    known = table.get(key)
    if known is None:
        known = table[key] = Traffic()
    known.flows += sums[0]
    known.packets += sums[1]
    known.bytes += sums[2]


def _known(*times: Any) -> list[int]:
    return [int(time) for time in times if time is not None]


def _shrink(table: dict[Key, Volume], most: int) -> int:
    """Forget the smallest of a table that has grown beyond its bound, an eighth at least; return how many they are."""
    if len(table) <= most:
        return 0
    kept = most - most // 8
    forgotten = sorted(table, key=lambda key: (-table[key].bytes, key))[kept:]
    for key in forgotten:
        del table[key]
    return len(forgotten)
