"""New services: inside hosts that begin to serve others on a port on which nobody of the site served before."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import polars as pl

from infraspectre.ml.bounded import BoundedTable
from infraspectre.records import Detection
from infraspectre.records.words import plural
from infraspectre.soma.detector import SECOND, Case, Casebook, Finding, Row, gathered, host_of, in_seconds
from infraspectre.soma.scan import EPHEMERAL, PEER_PORTS
from infraspectre.soma.techniques import NON_STANDARD_PORT

BACKDOOR_PORTS = (1_234, 1_337, 2_323, 4_444, 4_445, 5_554, 5_555, 6_666, 7_777, 9_001, 9_999, 12_345, 13_337, 31_337)
"""Ports that shells of penetration testing tools and worms listen on by default or custom (Metasploit, netcat)."""

USUAL_PORTS = (22, 135, 139, 445, 3_389, 5_985, 5_986, *PEER_PORTS)
"""Ports that hosts offer from the start, for management and for peers; what is new is that somebody calls."""


class NewServiceSettings(msgspec.Struct, frozen=True):
    """Sets when the services of a site are known."""

    known_s: float = 1_800.0
    """Time for which the site was watched before a service is new: most services are used within half an hour."""
    known_services: int = 3
    """Ports served before: with fewer, little of the site is seen."""
    known_flows: int = 200
    """Served flows before it: a site that is hardly seen has many services that were not."""
    new_score: float = 0.2
    """Score of a new port: administrators install things."""
    client_score: float = 0.15
    """What a host adds that had called others and never served: workstations do not serve."""
    backdoor_score: float = 0.2
    """What a port of backdoors, without a protocol that is known, adds."""
    outside_score: float = 0.15
    """What it adds if a stranger outside is answered there: routers and firewalls let nobody in to workstations."""
    used_score: float = 0.15
    """What it adds if others use it again and again, no other host serves it, and no protocol is known."""
    used_clients: int = 2
    used_flows: int = 10
    """Hosts that use it, and their connections: more than one program's listener is asked by chance."""
    reports: int = 4
    """New ports reported for a host: a program that serves on many is peer-to-peer."""
    capacity: int = 8_192
    """Cases and hosts kept."""
    ports: int = 65_536
    """Ports remembered."""


class Scope(NamedTuple):
    """Identifies a service."""

    server: str
    port: int


class ServiceCase(Case):
    """Remembers who used a service, and what was known when it began."""

    def __init__(self) -> None:
        """Start with nobody."""
        super().__init__()
        self.clients: dict[str, None] = {}
        self.app: str | None = None
        self.is_new = False
        self.was_client = False
        self.from_outside = False


class NewService:
    """Finds services that are the first of their port at the site, once the site is known."""

    name = "new_service"
    columns = frozenset({"app_protocol", "tcp_state", "orig_payload_bytes", "resp_payload_bytes"})
    helpful = frozenset[str]()

    def __init__(self, settings: NewServiceSettings | None = None) -> None:
        """Start with no service known."""
        self._settings = settings or NewServiceSettings()
        self._book: Casebook[Scope, ServiceCase] = Casebook(
            self.name, self._settings.capacity, ServiceCase, self._judge
        )
        self._ports: BoundedTable[int, dict[str, None]] = BoundedTable(self._settings.ports, dict)
        self._clients: BoundedTable[str, list[int]] = BoundedTable(self._settings.capacity, list)
        self._offered: BoundedTable[str, dict[int, None]] = BoundedTable(self._settings.capacity, dict)
        self._new: BoundedTable[str, list[int]] = BoundedTable(self._settings.capacity, list)
        self._began: int | None = None
        self._served = 0

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        """Return services that are new."""
        served = frame.filter(
            (pl.col("protocol") == "tcp")
            & (pl.col("orig_inside") | pl.col("resp_inside"))
            & pl.col("tcp_state").is_in(["SF", "S1", "S2", "S3", "RSTO", "RSTR"])
            & (pl.col("orig_payload_bytes") > 0)
            & (pl.col("resp_payload_bytes") > 0)
        )
        self._note_clients(served.filter("orig_inside"))
        inside = served.filter(pl.col("resp_inside") & (pl.col("resp_port") < EPHEMERAL))
        rows = gathered(
            inside.sort("started_at", maintain_order=True),
            ["resp_ip", "resp_port"],
            clients=pl.col("orig_ip").unique(maintain_order=True).head(4),
            app=pl.col("app_protocol").drop_nulls().first(),
            from_outside=(~pl.col("orig_inside")).any(),
        )
        found = self._book.review([self._absorb(row) for row in rows])
        self._served += len(served)
        return found

    def finish(self) -> list[Detection]:
        """Return what grew since its last report."""
        return self._book.close()

    def _note_clients(self, served: pl.DataFrame) -> None:
        first = served.group_by("orig_ip", maintain_order=True).agg(pl.col("started_at").min())
        for host, at in first.iter_rows():
            self._began = at if self._began is None else min(self._began, at)
            seen = self._clients[host]
            if not seen:
                seen.append(at)

    def _absorb(self, row: Row) -> Scope:
        scope = Scope(row["resp_ip"], row["resp_port"])
        if scope not in self._book:
            self._begin(scope, row["first_seen"])
        case = self._book[scope]
        case.absorb(row)
        case.app = case.app or row["app"]
        case.from_outside |= row["from_outside"]
        case.show(row["clients"])
        if len(case.clients) < 64:
            case.clients |= dict.fromkeys(row["clients"])
        return scope

    def _begin(self, scope: Scope, at: int) -> None:
        """Judge whether a service is new, by what was known before it."""
        settings, case, servers = self._settings, self._book[scope], self._ports[scope.port]
        is_known = self._began is not None and at - self._began >= settings.known_s * SECOND
        is_known &= len(self._ports) > settings.known_services and self._served >= settings.known_flows
        case.is_new = is_known and not servers
        if len(servers) < 2:
            servers[scope.server] = None
        called = self._clients.get(scope.server)
        offered = self._offered[scope.server]
        has_served = any(port != scope.port for port in offered)
        if len(offered) < 2:
            offered[scope.port] = None
        case.was_client = bool(called) and called is not None and called[0] < at and not has_served
        if case.is_new:
            self._new[scope.server].append(scope.port)

    def _judge(self, scope: Scope, case: ServiceCase) -> Finding | None:
        settings = self._settings
        new = self._new.get(scope.server) or []
        if not case.is_new or len(new) > settings.reports:
            return None
        score = settings.new_score + (self._oddity(scope, case) if scope.port not in USUAL_PORTS else 0.0)
        return Finding(
            category="new_service",
            techniques=(NON_STANDARD_PORT,),
            score=score,
            orig=next(iter(case.clients), None),
            resp=scope.server,
            summary=f"{host_of(scope.server, scope.port)} began to serve "
            f"{case.app.upper() if case.app else 'an unknown protocol'} to {plural(len(case.clients), 'host')}; nobody "
            f"of the site had served on that port{', and the host had served nothing' if case.was_client else ''} in "
            f"{in_seconds((case.first_seen - (self._began or case.first_seen)) / SECOND)}",
            size=len(case.clients),
            measures={"clients": len(case.clients), "was_client": float(case.was_client)},
            thresholds={"known_s": settings.known_s},
        )

    def _oddity(self, scope: Scope, case: ServiceCase) -> float:
        """Return what the kind of host, the port and its use add to the score of a new service."""
        settings, is_alone = self._settings, len(self._ports[scope.port]) < 2
        is_used = len(case.clients) >= settings.used_clients and case.flows >= settings.used_flows and is_alone
        return (
            settings.client_score * case.was_client
            + settings.backdoor_score * (scope.port in BACKDOOR_PORTS and case.app is None)
            + settings.outside_score * (case.from_outside and case.was_client)
            + settings.used_score * (is_used and case.was_client and case.app is None)
        )
