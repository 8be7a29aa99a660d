"""Theft of data: a host that sends far more than usual to a rare destination outside, or data in pings."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
import polars as pl

from infraspectre.ml.bounded import BoundedTable, DistinctCounter
from infraspectre.ml.robust import Vector, centre_and_spread, log_ramp
from infraspectre.records import Detection, Technique
from infraspectre.soma.detector import Case, Casebook, Finding, Row, gathered, in_bytes, in_seconds
from infraspectre.soma.techniques import (
    ALTERNATIVE_PROTOCOL,
    ENCRYPTED_ALTERNATIVE,
    NON_APPLICATION_PROTOCOL,
    UNENCRYPTED_ALTERNATIVE,
)

ECHO_TYPES = {"icmp": (8, 0), "icmp6": (128, 129)}
"""Message types of echo requests and replies (RFC 792, RFC 4443); errors quote packets, and so vary by nature."""


class ExfiltrationSettings(msgspec.Struct, frozen=True):
    """Sets the thresholds of suspicious transfers."""

    sent_bytes: float = 5e6
    """Bytes sent to one destination: photos and mails are smaller, archives larger."""
    flow_bytes: int = 1_000
    """Bytes a flow must send to count: thousands of smaller ones would be needed for a theft."""
    sent_ratio: float = 4.0
    """Bytes sent per byte received: use of a service receives more than it sends, calls are even."""
    deviations: float = 3.0
    """Robust deviations of log10 bytes above the sums that this site sends to destinations outside."""
    population: int = 8
    """Destinations needed to know what is usual; with fewer the finding weighs less."""
    senders: int = 2
    """Hosts that may send to the destination: a backup service is used by many."""
    full_scale: int = 200
    """Multiple of the threshold at which the score is full."""
    echo_bytes: float = 20_000.0
    """Bytes of echo payloads that vary in size: ping repeats one size."""
    echo_packet_std: float = 16.0
    """Standard deviation of echo payload sizes in bytes that ping never has."""
    capacity: int = 16_384
    """Pairs of host and destination kept."""


class Scope(NamedTuple):
    """Identifies who sends where, and whether in pings."""

    orig: str
    resp: str
    kind: str


class SentCase(Case):
    """Sums bytes in both directions."""

    def __init__(self) -> None:
        """Start with nothing sent."""
        super().__init__()
        self.sent = 0
        self.received = 0
        self.apps: dict[str, None] = {}


class Exfiltration:
    """Finds suspicious transfers outward and channels in ICMP echo payloads."""

    name = "exfiltration"
    columns = frozenset({"app_protocol", "orig_payload_bytes", "resp_payload_bytes"})
    helpful = frozenset({"flow_segment_bytes_std", "orig_port"})

    def __init__(self, settings: ExfiltrationSettings | None = None) -> None:
        """Start with no case."""
        self._settings = settings or ExfiltrationSettings()
        self._book: Casebook[Scope, SentCase] = Casebook(self.name, self._settings.capacity, SentCase, self._judge)
        self._sums: Vector = np.empty(0)
        self._senders: BoundedTable[str, DistinctCounter] = BoundedTable(self._settings.capacity, DistinctCounter)

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        """Return transfers that passed their thresholds or grew tenfold."""
        is_outward = pl.col("orig_inside") & ~pl.col("resp_inside") & ~pl.col("resp_group")
        is_icmp = pl.col("protocol").is_in(list(ECHO_TYPES))
        touched = self._gather(
            frame.filter(is_outward & ~is_icmp & (pl.col("orig_payload_bytes") >= self._settings.flow_bytes)),
            "transfer",
        )
        if {"flow_segment_bytes_std", "orig_port"} <= set(frame.columns):
            is_varied = pl.col("flow_segment_bytes_std") >= self._settings.echo_packet_std
            touched += self._gather(frame.filter(_is_echo() & is_varied), "echo")
        self._sums = self._measured()
        return self._book.review(touched)

    def finish(self) -> list[Detection]:
        """Return transfers that grew since their last report, or stand out only now."""
        self._sums = self._measured()
        return self._book.close()

    def _gather(self, flows: pl.DataFrame, kind: str) -> list[Scope]:
        rows = gathered(
            flows,
            ["orig_ip", "resp_ip"],
            orig_hash=pl.col("orig_ip").hash().first(),
            sent=pl.col("orig_payload_bytes").sum(),
            received=pl.col("resp_payload_bytes").sum(),
            apps=pl.col("app_protocol").drop_nulls().unique(maintain_order=True),
        )
        return [self._absorb(Scope(row["orig_ip"], row["resp_ip"], kind), row) for row in rows]

    def _absorb(self, scope: Scope, row: Row) -> Scope:
        case = self._book[scope]
        case.absorb(row)
        case.sent += row["sent"]
        case.received += row["received"]
        case.apps |= dict.fromkeys(row["apps"])
        self._senders[scope.resp].update([row["orig_hash"]])
        return scope

    def _judge(self, scope: Scope, case: SentCase) -> Finding | None:
        return self._echo(scope, case) if scope.kind == "echo" else self._transfer(scope, case)

    def _transfer(self, scope: Scope, case: SentCase) -> Finding | None:
        settings, ratio = self._settings, case.sent / max(1, case.received)
        senders = self._senders.get(scope.resp)
        if case.sent < settings.sent_bytes or ratio < settings.sent_ratio:
            return None
        if senders is not None and senders.count() > settings.senders:
            return None
        deviations, population = self._outlying(case)
        if population >= settings.population and deviations < settings.deviations:
            return None
        known = population >= settings.population
        usual = f", {deviations:.1f} robust deviations above what this site sends elsewhere" if known else ""
        return Finding(
            category="exfiltration",
            techniques=(_technique(case),),
            score=(0.55 if known else 0.4)
            + 0.3 * log_ramp(case.sent, settings.sent_bytes, settings.sent_bytes * settings.full_scale),
            orig=scope.orig,
            resp=scope.resp,
            summary=f"{scope.orig} sent {in_bytes(case.sent)} to {scope.resp} in {in_seconds(case.duration_s)} and got "
            f"{in_bytes(case.received)} back{usual}",
            size=case.sent,
            measures={
                "sent_bytes": case.sent,
                "received_bytes": case.received,
                "sent_ratio": ratio,
                "deviations": deviations,
                "destinations": population,
            },
            thresholds={
                "sent_bytes": settings.sent_bytes,
                "sent_ratio": settings.sent_ratio,
                "deviations": settings.deviations,
            },
        )

    def _measured(self) -> Vector:
        """Return the sums sent, each to one destination, as sorted log10 bytes."""
        transfers = [case.sent for scope, case in self._book.cases.items() if scope.kind == "transfer"]
        return np.sort(np.log10(1.0 + np.asarray(transfers, dtype=np.float64)))

    def _outlying(self, case: SentCase) -> tuple[float, int]:
        """Return robust deviations of this sum above all others, in log10 bytes, and how many others there are."""
        own = float(np.log10(1.0 + case.sent))
        others = np.delete(self._sums, min(int(np.searchsorted(self._sums, own)), len(self._sums) - 1))
        if not len(others):
            return 0.0, 0
        centre, spread = centre_and_spread(others)
        return float((own - centre) / max(0.25, float(spread))), len(others)

    def _echo(self, scope: Scope, case: SentCase) -> Finding | None:
        least, carried = self._settings.echo_bytes, case.sent + case.received
        if carried < least:
            return None
        return Finding(
            category="icmp_tunnel",
            techniques=(NON_APPLICATION_PROTOCOL, UNENCRYPTED_ALTERNATIVE),
            score=0.65 + 0.25 * log_ramp(carried, least, least * self._settings.full_scale),
            orig=scope.orig,
            resp=scope.resp,
            summary=f"{scope.orig} and {scope.resp} exchanged {in_bytes(carried)} in pings of changing size in "
            f"{in_seconds(case.duration_s)}",
            size=carried,
            measures={"payload_bytes": carried, "duration_s": case.duration_s},
            thresholds={"payload_bytes": least, "packet_std_bytes": self._settings.echo_packet_std},
        )


def _technique(case: SentCase) -> Technique:
    """Return the technique that the protocols tell; whether the destination gave orders, too, they do not tell."""
    if case.apps.keys() & {"tls", "quic"}:
        return ENCRYPTED_ALTERNATIVE
    return UNENCRYPTED_ALTERNATIVE if case.apps.keys() & {"http", "ftp", "smtp"} else ALTERNATIVE_PROTOCOL


def _is_echo() -> pl.Expr:
    """Tell whether a flow is a ping and its answer."""
    return pl.any_horizontal(
        (pl.col("protocol") == protocol) & pl.col("orig_port").is_in(types) for protocol, types in ECHO_TYPES.items()
    )
