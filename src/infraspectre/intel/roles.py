"""Roles of hosts as traffic shows them: what a host serves to how many others."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from infraspectre.ml.bounded import BoundedTable
from infraspectre.records.address import is_inside

MOST_HOSTS = 65_536


class Service(NamedTuple):
    """Says that a host has a role once so many hosts of the site used some ports of it and were answered."""

    role: str
    protocol: str
    ports: tuple[int, ...]
    clients: int


SERVICES = (
    Service("dns-server", "udp", (53,), 3),
    Service("ntp-server", "udp", (123,), 3),
    Service("domain-controller", "tcp", (88,), 2),
    Service("domain-controller", "udp", (88,), 2),
    Service("file-server", "tcp", (445, 2049), 3),
    Service("web-server", "tcp", (80, 443, 8080, 8443), 3),
    Service("mail-server", "tcp", (25, 110, 143, 465, 587, 993, 995), 3),
    Service("database-server", "tcp", (1433, 1521, 3306, 5432), 2),
    Service("printer", "tcp", (515, 631, 9100), 2),
)
"""Well-known ports (IANA); two or three clients, for an attack by one host makes no role."""
MONITORING = Service("monitoring", "udp", (161,), 5)
"""Who asks so many hosts by SNMP, and is answered, watches them."""
DHCP = "dhcp-server"
USED = ("known_at", "protocol", "orig_ip", "resp_ip", "resp_port", "resp_payload_bytes")


class Evidence:
    """Counts those who used a role of a host, until there are enough."""

    def __init__(self) -> None:
        """Begin with none."""
        self.clients: set[str] = set()
        self.known_at: int | None = None

    def add(self, client: str, needed: int, known_at: int) -> None:
        """Note a client; the role is known when it is the last one needed."""
        if self.known_at is None:
            self.clients.add(client)
            if len(self.clients) >= needed:
                self.known_at, self.clients = known_at, set()


class Roles:
    """Learns the roles of hosts from flows, in bounded memory; the same however flows are cut into batches."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._hosts: BoundedTable[str, dict[str, Evidence]] = BoundedTable(MOST_HOSTS, dict)

    def of(self, address: str, at: int) -> list[str]:
        """Return the roles that were known of an address at a time."""
        known = self._hosts.get(address) or {}
        return sorted(role for role, each in known.items() if each.known_at is not None and each.known_at <= at)

    def learn(self, flows: pl.DataFrame) -> None:
        """Take in flows that have, besides their own columns, `known_at`: the clock when they were seen."""
        if set(USED) <= set(flows.columns):
            answered = flows.filter(pl.col("resp_payload_bytes") > 0).select(USED)
            for service in SERVICES:
                self._learn(answered, service, "resp_ip", "orig_ip")
            self._learn(answered, MONITORING, "orig_ip", "resp_ip")
        if {"dhcp_server", "dhcp_message_types"} <= set(flows.columns):
            self._learn_leasing(flows)

    def _learn(self, answered: pl.DataFrame, service: Service, host: str, client: str) -> None:
        used = answered.filter(
            pl.col("protocol").str.to_lowercase() == service.protocol, pl.col("resp_port").is_in(service.ports)
        )
        pairs = used.group_by(host, client, maintain_order=True).agg(pl.col("known_at").min())
        for address, other, known_at in pairs.iter_rows():
            if is_inside(address) and is_inside(other):
                self._note(address, service.role).add(other, service.clients, known_at)

    def _learn_leasing(self, flows: pl.DataFrame) -> None:
        """Note who leases addresses: whoever acknowledges them."""
        given = flows.filter(pl.col("dhcp_server").is_not_null(), pl.col("dhcp_message_types").list.contains("ACK"))
        pairs = given.group_by("dhcp_server", maintain_order=True).agg(pl.col("known_at").min())
        for address, known_at in pairs.iter_rows():
            self._note(address, DHCP).add(address, 1, known_at)

    def _note(self, address: str, role: str) -> Evidence:
        return self._hosts[address].setdefault(role, Evidence())
