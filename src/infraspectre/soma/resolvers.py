"""Resolvers: hosts that ask on behalf of others, whose questions are not their own."""

from __future__ import annotations

import polars as pl

from infraspectre.ml.bounded import BoundedTable

CAPACITY = 4_096
DNS_PORT = 53


class Resolvers:
    """Remembers who answers questions of several hosts."""

    def __init__(self) -> None:
        """Start knowing none."""
        self._known: BoundedTable[str, dict[str, None]] = BoundedTable(CAPACITY, dict)
        self._askers: BoundedTable[str, bool] = BoundedTable(CAPACITY, bool)

    def learn(self, questions: pl.DataFrame) -> None:
        """Remember who was asked in these flows, and by whom, up to two hosts."""
        asked = questions.select("resp_ip", "orig_ip").unique(maintain_order=True)
        for resolver, host in asked.iter_rows():
            self._askers[host]
            clients = self._known[resolver]
            if len(clients) < 2:
                clients[host] = None

    def forwarders(self) -> int:
        """Count those that ask others in turn: each repeats what its clients ask."""
        return sum(host in self and host in self._askers for host, _ in self._known.items())

    def __contains__(self, host: str) -> bool:
        clients = self._known.get(host)
        return clients is not None and len(clients) > 1
