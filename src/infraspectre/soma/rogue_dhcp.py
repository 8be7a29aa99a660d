"""Rogue DHCP servers: hosts that begin to give leases where others gave them all the time."""

from __future__ import annotations

import msgspec
import polars as pl

from infraspectre.ml.bounded import BoundedTable
from infraspectre.records import Detection
from infraspectre.records.words import listed, plural
from infraspectre.soma.detector import SECOND, Case, Casebook, Finding, Row, gathered, in_seconds
from infraspectre.soma.standing import Standing
from infraspectre.soma.techniques import DHCP_SPOOFING

SERVER_PORT = 67
SERVER_MESSAGES = ("OFFER", "ACK", "NAK")
"""Messages that only servers send (RFC 2131, 3.1)."""


class RogueDhcpSettings(msgspec.Struct, frozen=True):
    """Sets when a server is known, and what is wrong with one that is new."""

    known_s: float = 1_800.0
    """Time for which another server was there alone: a pair that shares its work is seen within one lease renewal."""
    known_messages: int = 4
    """Messages of other servers before it: with fewer, nothing is known."""
    new_score: float = 0.5
    """Score of a new server: administrators bring one into service, seldom."""
    client_score: float = 0.15
    """What a server adds that had taken a lease itself: servers have fixed addresses."""
    race_score: float = 0.1
    """What a client adds whose lease both confirmed: of a pair, the one that gave it does (RFC 2131, 4.3.2)."""
    kept: int = 64
    """Clients remembered for a server."""
    capacity: int = 1_024
    """Servers remembered."""


class ServerCase(Case):
    """Remembers when a server gave leases, and to whom."""

    def __init__(self) -> None:
        """Start with no lease."""
        super().__init__()
        self.clients: dict[str, None] = {}
        """Those whose lease it confirmed."""
        self.offered: dict[str, None] = {}
        """Those to whom it offered one."""


class RogueDhcp:
    """Finds DHCP servers that appear beside the known ones."""

    name = "rogue_dhcp"
    columns = frozenset({"orig_port", "dhcp_message_types", "dhcp_server"})
    helpful = frozenset({"dhcp_client_mac", "dhcp_address", "orig_payload_bytes", "resp_payload_bytes"})

    def __init__(self, settings: RogueDhcpSettings | None = None) -> None:
        """Start with no server."""
        self._settings = settings or RogueDhcpSettings()
        self._book: Casebook[str, ServerCase] = Casebook(self.name, self._settings.capacity, ServerCase, self._judge)
        self._standing = Standing(self._settings.capacity)
        self._leased: BoundedTable[str, object] = BoundedTable(8 * self._settings.capacity, object)

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        """Return servers that are new."""
        if {"orig_payload_bytes", "resp_payload_bytes"} <= set(frame.columns):
            self._standing.learn(frame)
        given = pl.col("dhcp_message_types").list.eval(pl.element().is_in(SERVER_MESSAGES)).list.any()
        answers = frame.filter(given).with_columns(
            server=pl.when(pl.col("orig_port") == SERVER_PORT).then("orig_ip").otherwise("dhcp_server"),
            mac=pl.col("dhcp_client_mac") if "dhcp_client_mac" in frame.columns else pl.col("resp_ip"),
        )
        if "dhcp_address" in answers.columns:
            for address in answers["dhcp_address"].drop_nulls().unique(maintain_order=True):
                _ = self._leased[address]
        rows = gathered(
            answers.filter(pl.col("server").is_not_null()),
            ["server"],
            clients=pl.col("mac")
            .filter(pl.col("dhcp_message_types").list.contains("ACK"))
            .drop_nulls()
            .unique(maintain_order=True)
            .head(self._settings.kept),
            offered=pl.col("mac").drop_nulls().unique(maintain_order=True).head(self._settings.kept),
        )
        return self._book.review([self._absorb(row) for row in rows])

    def finish(self) -> list[Detection]:
        """Return what grew since its last report."""
        return self._book.close()

    def _absorb(self, row: Row) -> str:
        server: str = row["server"]
        case = self._book[server]
        case.absorb(row)
        for kept, told in ((case.clients, row["clients"]), (case.offered, row["offered"])):
            kept |= dict.fromkeys(told[: max(0, self._settings.kept - len(kept))])
        case.show(row["clients"])
        return server

    def _judge(self, server: str, case: ServerCase) -> Finding | None:
        settings = self._settings
        known = {
            other: each
            for other, each in self._book.cases.items()
            if other != server and each.flows >= settings.known_messages and each.first_seen < case.first_seen
        }
        raced = [mac for mac in case.clients if any(mac in each.clients for each in known.values())]
        alone_s = (case.first_seen - min((each.first_seen for each in known.values()), default=0)) / SECOND
        is_seat = self._standing.is_read_at(server) and not self._standing.is_server(server)
        rivals = self._rivals(server, case) if is_seat else {}
        if not rivals and (not known or (not raced and alone_s < settings.known_s)):
            return None
        was_client = is_seat or server in self._leased
        score = settings.new_score + settings.client_score * was_client + settings.race_score * bool(raced)
        return Finding(
            category="rogue_dhcp_server",
            techniques=(DHCP_SPOOFING,),
            score=score,
            orig=server,
            resp=None,
            summary=f"{server} began to give leases, to {plural(len(case.clients), 'client')}, "
            + (f"after {listed(list(known)[:3])} had done so alone for {in_seconds(alone_s)}" if known else "")
            + (f"{', and ' if known else ''}to clients of {listed(list(rivals)[:3])}" if rivals else "")
            + (", and somebody reads the web there" if is_seat else ", and had taken a lease itself" * was_client),
            size=case.flows,
            measures={"clients": len(case.clients), "clients_of_known": len(raced), "had_lease": float(was_client)},
            thresholds={"known_s": settings.known_s, "known_messages": settings.known_messages},
        )

    def _rivals(self, server: str, case: ServerCase) -> dict[str, ServerCase]:
        """Return the other servers that offered leases to the same clients."""
        others = self._book.cases.items()
        return {
            name: each for name, each in others if name != server and not case.offered.keys().isdisjoint(each.offered)
        }
