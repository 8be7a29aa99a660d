"""What kind of host somebody is, by what the site's traffic shows: who serves, who reads the web, who makes rounds."""

from __future__ import annotations

from collections import Counter

import polars as pl

from infraspectre.ml.bounded import BoundedTable, DistinctCounter
from infraspectre.soma.detector import SECOND

SERVERS_CLIENTS = 5
"""Inside hosts that a server serves at least: a colleague's machine or a shared printer serves fewer."""
READERS_SITES = 8
"""Web sites outside that somebody at a machine reaches at least: servers fetch updates from two or three."""
VISITED_SITES = 5
"""The same for the machine that is visited, of which little may have been seen yet."""
WEB_PORTS = (80, 443)
"""Ports of web sites (IANA port numbers)."""
MOST_SERVICE_PORT = 5_000
"""Ports beyond are given out for a moment, or used by programs that share updates among clients."""
NEIGHBOURS = 3
"""Servers, or machines at which somebody reads, that make a network one of theirs, if they are that many times as many
as the others."""
ROUND_PAUSE_S = 3_600
"""Pause between two rounds of an administrator."""
ROUND_HOSTS = 3
"""Hosts of a round: somebody who works with one or two servers makes none."""


class Standing:
    """Remembers of inside hosts, within fixed bounds, whom they serve and how much of the Internet they reach."""

    def __init__(self, capacity: int) -> None:
        """Know nobody yet; remember at most `capacity` hosts in each role."""
        self._clients: BoundedTable[str, DistinctCounter] = BoundedTable(capacity, lambda: DistinctCounter(16))
        self._sites: BoundedTable[str, DistinctCounter] = BoundedTable(capacity, lambda: DistinctCounter(32))
        self._hosts = DistinctCounter()
        self._networks: dict[str, tuple[int, int]] | None = None

    def learn(self, frame: pl.DataFrame) -> None:
        """Take in flows with `orig_payload_bytes` and `resp_payload_bytes`."""
        answered = frame.filter(
            "orig_inside",
            ~pl.col("resp_group"),
            pl.col("resp_payload_bytes") > 0,
            pl.col("protocol").is_in(["tcp", "udp"]),
        )
        within = answered.filter("resp_inside", pl.col("resp_port") <= MOST_SERVICE_PORT)
        _add(self._clients, within, "resp_ip", "orig_ip")
        outward = answered.filter(~pl.col("resp_inside"), pl.col("resp_port").is_in(WEB_PORTS))
        _add(self._sites, outward, "orig_ip", "resp_ip")
        self._networks = None
        self._hosts.update(answered["orig_ip"].unique(maintain_order=True).hash())

    def hosts(self) -> int:
        """Return how many inside hosts act."""
        return self._hosts.count()

    def is_server(self, host: str) -> bool:
        """Tell whether several inside hosts use a host."""
        return _count(self._clients, host) >= SERVERS_CLIENTS

    def is_read_at(self, host: str) -> bool:
        """Tell whether somebody sits at a host and reads the web."""
        return _count(self._sites, host) >= READERS_SITES

    def is_workstation(self, host: str) -> bool:
        """Tell whether a host reaches the web and serves hardly anybody."""
        return _count(self._sites, host) >= VISITED_SITES and not self.is_server(host)

    def is_among_servers(self, host: str) -> bool:
        """Tell whether a host is plugged in where servers are, and hardly anybody reads."""
        servers, readers = self._neighbours(host)
        return servers >= max(NEIGHBOURS, NEIGHBOURS * readers)

    def is_among_workstations(self, host: str) -> bool:
        """Tell whether a host that is no server is plugged in where people read the web; today its own may not."""
        servers, readers = self._neighbours(host)
        return not self.is_server(host) and readers >= max(NEIGHBOURS, NEIGHBOURS * servers)

    def _neighbours(self, host: str) -> tuple[int, int]:
        """Return how many servers, and how many workstations, there are in the network of a host."""
        if self._networks is None:
            servers = Counter(network(each) for each, _ in self._clients.items() if self.is_server(each))
            readers = Counter(network(each) for each, _ in self._sites.items() if self.is_workstation(each))
            self._networks = {each: (servers[each], readers[each]) for each in servers | readers}
        return self._networks.get(network(host), (0, 0))


def network(host: str) -> str:
    """Return the network of a host: the first 24 bits of IPv4, the first 64 of IPv6, as sites are mostly divided."""
    return ":".join(host.split(":")[:4]) if ":" in host else host.rpartition(".")[0]


class Rounds:
    """Counts the rounds that a host made over others, with long pauses in between."""

    __slots__ = ("_hosts", "_last", "earlier")

    def __init__(self) -> None:
        """Start before the first round."""
        self.earlier = 0
        self._last = 0
        self._hosts: set[str] = set()

    def visit(self, host: str, at: int) -> None:
        """Note a visit at a time in nanoseconds."""
        if at > self._last + ROUND_PAUSE_S * SECOND:
            self.earlier += len(self._hosts) >= ROUND_HOSTS
            self._hosts = set()
        self._last = max(self._last, at)
        if len(self._hosts) < ROUND_HOSTS:
            self._hosts.add(host)


def _add(table: BoundedTable[str, DistinctCounter], flows: pl.DataFrame, key: str, other: str) -> None:
    grouped = flows.group_by(key, maintain_order=True).agg(pl.col(other).unique(maintain_order=True).hash())
    for host, hashes in grouped.iter_rows():
        table[host].update(hashes)


def _count(table: BoundedTable[str, DistinctCounter], host: str) -> int:
    counter = table.get(host)
    return 0 if counter is None else counter.count()
