"""Identity over time: how hosts called themselves when, from DHCP, NTLM, Kerberos and DNS."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import polars as pl

from infraspectre.ml.bounded import BoundedTable
from infraspectre.records.address import is_inside

MOST_ADDRESSES = 65_536
MOST_NAMES = 8
"""Names kept of an address and a source; an address with as many is a shared one, and none of them names it."""
MOST_LEASES = 64
"""Changes of the owner of an address that are kept, the last ones."""
LONGEST_NAME = 64
SOURCES = ("NTLM", "Kerberos", "reverse DNS", "DNS")
"""Who tells names besides DHCP, the most trusted first: what a host says of itself before what others say of it."""
REVERSE = ".in-addr.arpa"


class Lease(NamedTuple):
    """Says that from a time on an address belongs to a client, which may have told its name."""

    known_at: int
    client: str
    name: str | None


class Named(NamedTuple):
    """Says when a source first told a name."""

    known_at: int
    name: str


class Past:
    """Holds what is known of an address, in the order in which it became known."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.leases: list[Lease] = []
        self.names: dict[str, list[Named]] = {}

    def lease(self, known_at: int, client: str, name: str | None) -> None:
        """Note a lease, unless the same client goes on under the same name."""
        last = self.leases[-1] if self.leases else None
        is_same = last is not None and last.client == client and name in (None, last.name)
        if not is_same:
            self.leases = [*self.leases, Lease(known_at, client, name)][-MOST_LEASES:]

    def call(self, known_at: int, source: str, name: str) -> None:
        """Note a name that is new from its source."""
        known = self.names.setdefault(source, [])
        if len(known) < MOST_NAMES and all(each.name != name for each in known):
            known.append(Named(known_at, name))

    def name(self, at: int) -> str | None:
        """Return the name as of a time; an older owner's names do not count."""
        lease = next((each for each in reversed(self.leases) if each.known_at <= at), None)
        if lease is not None and lease.name:
            return lease.name
        since = lease.known_at if lease is not None else 0
        for source in SOURCES:
            known = [each for each in self.names.get(source, ()) if since <= each.known_at <= at]
            if 0 < len(known) < MOST_NAMES:
                return known[-1].name
        return None


class Identities:
    """Learns the names of hosts from flows, in bounded memory; the same however flows are cut into batches."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._pasts: BoundedTable[str, Past] = BoundedTable(MOST_ADDRESSES, Past)

    def name(self, address: str, at: int) -> str | None:
        """Return the name of the host that had an address at a time; None where nothing told it until then."""
        past = self._pasts.get(address)
        return None if past is None else past.name(at)

    def learn(self, flows: pl.DataFrame) -> None:
        """Take in flows that have, besides their own columns, `known_at`: the clock when they were seen."""
        known = set(flows.columns)
        if {"dhcp_address", "dhcp_message_types", "dhcp_host_name", "dhcp_client_mac"} <= known:
            self._learn_leases(flows)
        for source, (columns, read) in TOLD.items():
            if columns <= known:
                self._learn_names(source, read(flows))

    def _learn_leases(self, flows: pl.DataFrame) -> None:
        rows = flows.filter(pl.col("dhcp_address").is_not_null(), pl.col("dhcp_message_types").list.len() > 0)
        columns = ("known_at", "dhcp_address", "dhcp_message_types", "dhcp_client_mac", "dhcp_host_name")
        for known_at, address, kinds, client, name in rows.select(columns).iter_rows():
            if "RELEASE" in kinds or "DECLINE" in kinds:
                self._pasts[address].lease(known_at, "", None)
            elif "ACK" in kinds:
                self._pasts[address].lease(known_at, client or "", plain(name))

    def _learn_names(self, source: str, told: pl.DataFrame) -> None:
        """Note addresses and names, each pair once at its first time."""
        pairs = told.drop_nulls().group_by("address", "name", maintain_order=True).agg(pl.col("known_at").min())
        for address, text, known_at in pairs.iter_rows():
            name = plain(text)
            if name and is_inside(address):
                self._pasts[address].call(known_at, source, name)


def plain(name: str | None) -> str | None:
    """Return a name as it is shown, without what terminals could take for orders; None for an empty one."""
    text = "".join(letter for letter in name or "" if letter.isprintable()).strip(" .")[:LONGEST_NAME]
    return text or None


def _of_ntlm(flows: pl.DataFrame) -> pl.DataFrame:
    """Return how clients of SMB call themselves, where a flow tells of one alone."""
    alone = flows.filter(pl.col("smb_hosts").list.len() == 1)
    return alone.select("known_at", address="orig_ip", name=pl.col("smb_hosts").list.first())


def _of_kerberos(flows: pl.DataFrame) -> pl.DataFrame:
    """Return the accounts of machines, which end with a dollar sign."""
    asked = flows.filter(pl.col("kerberos_clients").list.len() > 0).explode("kerberos_clients")
    machine = pl.col("kerberos_clients").str.extract(r"^([^$@/]+)\$@")
    return asked.select("known_at", address="orig_ip", name=machine)


def _answered(flows: pl.DataFrame, kinds: tuple[str, ...]) -> pl.DataFrame:
    """Return a row for each answer of some kinds, where a flow asks for one name alone: which answer is whose."""
    sound = pl.col("dns_answers").list.len() == pl.col("dns_answer_types").list.len()
    alone = flows.filter(sound, pl.col("dns_queries").list.n_unique() == 1)
    rows = alone.select("known_at", "dns_answers", "dns_answer_types", asked=pl.col("dns_queries").list.first())
    return rows.explode("dns_answers", "dns_answer_types").filter(pl.col("dns_answer_types").is_in(kinds))


def _of_dns(flows: pl.DataFrame) -> pl.DataFrame:
    """Return names whose addresses were asked for."""
    return _answered(flows, ("A", "AAAA")).select("known_at", address="dns_answers", name="asked")


def _of_reverse_dns(flows: pl.DataFrame) -> pl.DataFrame:
    """Return names that were asked for by address (RFC 1035, 3.5)."""
    rows = _answered(flows, ("PTR",)).filter(pl.col("asked").str.ends_with(REVERSE))
    octets = pl.col("asked").str.strip_suffix(REVERSE).str.split(".").list.reverse().list.join(".")
    return rows.select("known_at", address=octets, name="dns_answers")


TOLD: dict[str, tuple[frozenset[str], Callable[[pl.DataFrame], pl.DataFrame]]] = {
    "NTLM": (frozenset({"smb_hosts"}), _of_ntlm),
    "Kerberos": (frozenset({"kerberos_clients"}), _of_kerberos),
    "reverse DNS": (frozenset({"dns_queries", "dns_answers", "dns_answer_types"}), _of_reverse_dns),
    "DNS": (frozenset({"dns_queries", "dns_answers", "dns_answer_types"}), _of_dns),
}
"""From which columns each source is read, and how: `known_at`, address and name."""
