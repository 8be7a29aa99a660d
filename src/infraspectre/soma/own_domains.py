"""Own domains: what a site calls its machines by, below which monitoring may ask for names that no other host asks."""

from __future__ import annotations

import polars as pl

from infraspectre.intel.domains import registered
from infraspectre.ml.bounded import BoundedTable

CAPACITY = 4_096
USERS = 3
"""Hosts that must use a domain inside: an intruder could give its own a host here, but hardly three that call it."""
OPTIONAL: dict[str, pl.DataType] = {
    "kerberos_clients": pl.List(pl.String),
    "tls_server_name": pl.String(),
    "http_hosts": pl.List(pl.String),
}
"""Columns that tell own domains: the realm of accounts (RFC 4120), and names under which hosts inside are called."""


class OwnDomains:
    """Remembers the registered domains by which hosts call hosts inside."""

    def __init__(self) -> None:
        """Start knowing none."""
        self._users: BoundedTable[str, dict[str, None]] = BoundedTable(CAPACITY, dict)

    def learn(self, frame: pl.DataFrame) -> None:
        """Remember which hosts call others inside by a domain, as far as needed."""
        name = pl.coalesce(
            pl.col("kerberos_clients").list.first().str.extract("@(.+)$"),
            "tls_server_name",
            pl.col("http_hosts").list.first(),
        )
        inside = frame.filter("orig_inside", "resp_inside").select("orig_ip", domain=registered(name))
        for host, domain in inside.drop_nulls().unique(maintain_order=True).iter_rows():
            users = self._users[domain]
            if len(users) < USERS:
                users[host] = None

    def __contains__(self, domain: str) -> bool:
        users = self._users.get(domain)
        return users is not None and len(users) >= USERS
