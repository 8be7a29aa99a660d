"""Statistics of all flows of a run, gathered batch by batch in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable
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
        for orig, resp, *sums in _sums(flows, "orig_ip", "resp_ip"):
            _add(self.pairs, (orig, resp), sums)
        for transport, application, *sums in _sums(flows, "protocol", "app_protocol"):
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
        for ip, begun, _, _, sent, received in _sums(flows, "orig_ip"):
            host = self._host(ip)
            host.flows_begun += begun
            host.bytes_sent += sent
            host.bytes_received += received
        for ip, _, _, _, received, sent in _sums(flows, "resp_ip"):
            host = self._host(ip)
            host.bytes_sent += sent
            host.bytes_received += received
        self._add_services(flows.filter(pl.col("resp_bytes") > 0))

    def _add_services(self, answered: pl.DataFrame) -> None:
        for ip, service, flows, *_ in _sums(answered, "resp_ip", "app_protocol"):
            host = self._host(ip)
            host.flows_answered += flows
            if service and service not in host.services and len(host.services) < MOST_SERVICES:
                host.services = [*host.services, service]

    def _host(self, ip: str) -> Host:
        known = self.hosts.get(ip)
        if known is None:
            known = self.hosts[ip] = Host()
        return known

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


def _sums(flows: pl.DataFrame, *keys: str) -> Iterable[tuple[Any, ...]]:
    """Yield each key with its flows, packets, bytes, and bytes of either side."""
    sums = [pl.len(), pl.col("packets", "bytes", "orig_bytes", "resp_bytes").sum()]
    return flows.group_by(keys, maintain_order=True).agg(sums).iter_rows()


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
    """Forget the smaller half of a table that has grown beyond its bound; return how many were forgotten."""
    if len(table) <= most:
        return 0
    ranked = sorted(table, key=lambda key: (-table[key].bytes, key))
    for key in ranked[most // 2 :]:
        del table[key]
    return len(ranked) - most // 2
