"""Ticket theft: Kerberos asked for tickets that can be cracked, or in the way of someone who holds only a hash."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import polars as pl

from infraspectre.ml.bounded import DistinctCounter, text_hashes
from infraspectre.ml.robust import log_ramp
from infraspectre.records import Detection
from infraspectre.soma.detector import SECOND, Case, Casebook, Finding, Row, gathered, in_seconds
from infraspectre.soma.techniques import ASREP_ROASTING, KERBEROASTING, PASS_THE_HASH

RC4 = (23, 24)
"""Encryption types whose key is the NT hash: rc4-hmac and rc4-hmac-exp (RFC 4757)."""
AES = (17, 18, 19, 20)
"""Encryption types with AES keys (RFC 3962, RFC 8009); Windows offers them since Vista."""
MACHINE_SERVICE = (
    r"(?i)^(?:krbtgt|kadmin|cifs|host|ldap|gc|dns|rpc|rpcss|termsrv|wsman|restrictedkrbhost|dfsr-[^/]*|e3514235-[^/]*)(?:/|$)"
    r"|\$(?:@|$)"
)
"""Services that run under a machine's account, whose long random password nobody cracks (Metcalf's list of SPNs)."""
PRINCIPAL = r"^([^/@.:]+(?:/[^/@.:]+)?)"
"""A service without its domain, port and realm: a program asks for several spellings of one (RFC 4120, 6.2)."""
BURST_S = 600
"""Length of the spans in which tickets under AES are counted: a tool asks in a row, people use what they need."""
TICKET_GRANTING = "krbtgt"
"""Service of the tickets that get tickets (RFC 4120); its cipher is the domain's affair."""


class TicketSettings(msgspec.Struct, frozen=True):
    """Sets the thresholds of ticket theft."""

    services: int = 5
    """Services for which weak tickets were given: a user of old servers meets one or two."""
    clients: int = 5
    """Accounts for which one host asked with RC4 alone: very old systems serve one or two people."""
    burst: int = 6
    """Services of people's accounts asked for in ten minutes, under any cipher: a morning's work needs two or
    three."""
    burst_score: float = 0.52
    """Score of such a burst at its threshold."""
    full_services: int = 50
    """Services, or accounts, at which the score is full: a tool asks for all that it finds."""
    legacy_score: float = 0.45
    """Score of a logon that offers RC4 without AES: a hash serves as key then, but so do very old systems."""
    capacity: int = 8_192
    """Cases kept."""


class Scope(NamedTuple):
    """Identifies who asks which key distribution centre, and what for."""

    orig: str
    resp: str
    kind: str
    bucket: int = 0


class TicketCase(Case):
    """Counts the services or clients asked for."""

    def __init__(self) -> None:
        """Start with no request."""
        super().__init__()
        self.names = DistinctCounter(512)


class TicketTheft:
    """Finds many tickets or logons under RC4 (roasting), and single logons that offer RC4 alone (overpass the hash)."""

    name = "ticket_theft"
    columns = frozenset({"kerberos_messages", "kerberos_services", "kerberos_clients", "kerberos_ciphers"})
    helpful = frozenset({"kerberos_ticket_cipher"})

    def __init__(self, settings: TicketSettings | None = None) -> None:
        """Start with no case."""
        self._settings = settings or TicketSettings()
        self._book: Casebook[Scope, TicketCase] = Casebook(self.name, self._settings.capacity, TicketCase, self._judge)

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        """Return theft that passed its thresholds or grew tenfold."""
        asked = frame.filter(pl.col("kerberos_messages").list.len() > 0)
        logons = asked.filter(_holds("kerberos_messages", "AS-REP") & _offers(RC4) & ~_offers(AES))
        touched = self._gather(logons, "logon", pl.col("kerberos_clients"))
        is_asking = _holds("kerberos_messages", "AS-REQ") & _offers(RC4) & ~_offers(AES)
        touched += self._gather(asked.filter(is_asking), "accounts", pl.col("kerberos_clients"))
        if "kerberos_ticket_cipher" in frame.columns:
            is_weak = _holds("kerberos_messages", "TGS-REP") & pl.col("kerberos_ticket_cipher").is_in(RC4)
            touched += self._gather(asked.filter(is_weak), "service", pl.col("kerberos_services"))
        touched += self._bursts(asked.filter(_holds("kerberos_messages", "TGS-REP")))
        return self._book.review(touched)

    def finish(self) -> list[Detection]:
        """Return theft that grew since its last report."""
        return self._book.close()

    def _gather(self, flows: pl.DataFrame, kind: str, names: pl.Expr) -> list[Scope]:
        flat = names.explode().drop_nulls()
        told = flat.filter(~flat.str.starts_with(TICKET_GRANTING)).unique(maintain_order=True)
        rows = gathered(flows, ["orig_ip", "resp_ip"], names=told)
        return [self._absorb(Scope(row["orig_ip"], row["resp_ip"], kind), row) for row in rows]

    def _bursts(self, flows: pl.DataFrame) -> list[Scope]:
        flat = pl.col("kerberos_services").explode().drop_nulls()
        one_name = flat.str.to_lowercase().str.extract(PRINCIPAL)
        told = one_name.filter(~flat.str.contains(MACHINE_SERVICE)).drop_nulls().unique(maintain_order=True)
        in_spans = flows.with_columns(bucket=pl.col("started_at") // (BURST_S * SECOND))
        rows = gathered(in_spans, ["orig_ip", "resp_ip", "bucket"], names=told)
        named = [row for row in rows if row["names"]]
        return [self._absorb(Scope(row["orig_ip"], row["resp_ip"], "burst", row["bucket"]), row) for row in named]

    def _absorb(self, scope: Scope, row: Row) -> Scope:
        case = self._book.opened(scope, row)
        case.absorb(row)
        case.names.update(text_hashes(row["names"]))
        case.show(row["names"])
        return scope

    def _judge(self, scope: Scope, case: TicketCase) -> Finding | None:
        judge = {
            "service": self._roasting, "burst": self._bursting, "accounts": self._roasting_logons, "logon": self._logon
        }  # fmt: skip
        return judge[scope.kind](scope, case)

    def _roasting(self, scope: Scope, case: TicketCase) -> Finding | None:
        services, least = case.names.count(), self._settings.services
        if services < least:
            return None
        return Finding(
            category="kerberoasting",
            techniques=(KERBEROASTING,),
            score=0.6 + 0.25 * log_ramp(services, least, self._settings.full_services),
            orig=scope.orig,
            resp=scope.resp,
            summary=f"{scope.orig} got tickets for {services:,} services from {scope.resp} under RC4, which can be "
            f"cracked offline, in {in_seconds(case.duration_s)}",
            size=services,
            measures={"distinct_services": services, "duration_s": case.duration_s},
            thresholds={"distinct_services": least},
        )

    def _bursting(self, scope: Scope, case: TicketCase) -> Finding | None:
        services, least, settings = case.names.count(), self._settings.burst, self._settings
        weak = self._book.cases.get(Scope(scope.orig, scope.resp, "service"))
        if services < least or (weak is not None and weak.names.count() >= settings.services):
            return None
        return Finding(
            category="kerberoasting",
            techniques=(KERBEROASTING,),
            score=settings.burst_score + 0.25 * log_ramp(services, least, settings.full_services),
            orig=scope.orig,
            resp=scope.resp,
            summary=f"{scope.orig} got tickets for {services:,} services of people's accounts from {scope.resp} in "
            f"{in_seconds(case.duration_s)}; weak passwords of such accounts can be guessed offline",
            size=services,
            measures={"distinct_services": services, "duration_s": case.duration_s},
            thresholds={"distinct_services": least},
        )

    def _roasting_logons(self, scope: Scope, case: TicketCase) -> Finding | None:
        clients, least = case.names.count(), self._settings.clients
        if clients < least:
            return None
        return Finding(
            category="asrep_roasting",
            techniques=(ASREP_ROASTING,),
            score=0.6 + 0.25 * log_ramp(clients, least, self._settings.full_services),
            orig=scope.orig,
            resp=scope.resp,
            summary=f"{scope.orig} asked {scope.resp} for logons of {clients:,} accounts under RC4, whose answers can "
            f"be cracked offline, in {in_seconds(case.duration_s)}",
            size=clients,
            measures={"distinct_accounts": clients, "duration_s": case.duration_s},
            thresholds={"distinct_accounts": least},
        )

    def _logon(self, scope: Scope, case: TicketCase) -> Finding:
        who = next(iter(case.examples), "someone")
        return Finding(
            category="overpass_the_hash",
            techniques=(PASS_THE_HASH,),
            score=self._settings.legacy_score,
            orig=scope.orig,
            resp=scope.resp,
            summary=f"{scope.orig} logged on at {scope.resp} as {who} offering RC4 without AES, as with a stolen hash",
            size=case.flows,
            measures={},
            thresholds={"flows": 1},
        )


def _holds(column: str, value: str) -> pl.Expr:
    return pl.col(column).list.contains(value)


def _offers(ciphers: tuple[int, ...]) -> pl.Expr:
    """Tell whether requests offered any of these encryption types."""
    return pl.any_horizontal(pl.col("kerberos_ciphers").list.contains(cipher) for cipher in ciphers)
