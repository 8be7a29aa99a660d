"""Servers: hosts inside whom several others call, whatever for."""

from __future__ import annotations

import polars as pl

from infraspectre.ml.bounded import BoundedTable, DistinctCounter
from infraspectre.soma.detector import few_hosts

CAPACITY = 16_384
CLIENTS = 4
"""Hosts that a server has for clients; monitoring and an administrator or two call any device."""


class Servers:
    """Remembers who is called by how many hosts inside."""

    def __init__(self) -> None:
        """Start knowing none."""
        self._clients: BoundedTable[str, DistinctCounter] = BoundedTable(CAPACITY, few_hosts)

    def learn(self, flows: pl.DataFrame) -> None:
        """Remember who was called in these flows, and by whom inside."""
        inside = flows.filter("orig_inside", "resp_inside", ~pl.col("resp_group"))
        for server, clients in (
            inside.group_by("resp_ip", maintain_order=True).agg(pl.col("orig_ip").hash().unique()).iter_rows()
        ):
            self._clients[server].update(clients)

    def __contains__(self, host: str) -> bool:
        clients = self._clients.get(host)
        return clients is not None and clients.count() >= CLIENTS
