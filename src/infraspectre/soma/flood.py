"""Floods: so much of one kind of traffic against one host in ten seconds that it can only mean to exhaust it."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import polars as pl

from infraspectre.ml.bounded import DistinctCounter
from infraspectre.ml.robust import log_ramp
from infraspectre.records import Detection, Technique
from infraspectre.records.words import plural
from infraspectre.soma.detector import SECOND, Case, Casebook, Finding, Row, gathered, in_bytes
from infraspectre.soma.techniques import DIRECT_FLOOD, REFLECTION, SERVICE_FLOOD

BUCKET_S = 10
"""Length of the buckets in which rates are taken: long enough to even out bursts of a page load."""
BUCKETS_KEPT = 4
"""Latest buckets of a case that can still grow; flows end at most a few buckets out of order."""
AMPLIFIERS = {
    17: "qotd",
    19: "chargen",
    53: "dns",
    123: "ntp",
    161: "snmp",
    389: "cldap",
    1_900: "ssdp",
    3_702: "ws-discovery",
    11_211: "memcached",
}
"""UDP services known to answer with much more than they are asked (US-CERT TA14-017A)."""


class FloodSettings(msgspec.Struct, frozen=True):
    """Sets how much in ten seconds is a flood."""

    half_open: float = 1_000.0
    """SYN packets without a completed handshake to one port: a scan of one host seldom repeats a port."""
    udp_packets: float = 20_000.0
    """Unanswered UDP packets: media streams one way stay below 1,000 per second."""
    icmp_packets: float = 1_000.0
    """ICMP packets: ping sends one per second, the fastest monitors ten."""
    requests: float = 2_000.0
    """HTTP requests to one host: the heaviest pages ask for a few hundred."""
    amplified_bytes: float = 2e6
    """Bytes of answers from amplifying services to one host: a busy resolver's client gets a tenth of it."""
    reflected_bytes: float = 2e5
    """Bytes of answers never asked for: a late answer or a lost question leaves a few hundred."""
    answer_bytes: int = 300
    """Mean bytes of such an answer: attackers choose questions with large answers."""
    amplification: float = 10.0
    """Answer bytes per request byte: ordinary DNS answers are two to five times the question."""
    counted_share: float = 0.005
    """Share of the threshold below which a victim's part of a block is not counted, so that scans cost little."""
    full_scale: int = 100
    """Multiple of the threshold at which the score is full."""
    capacity: int = 8_192
    """Cases kept."""


class Kind(NamedTuple):
    """Describes one kind of flood."""

    category: str
    unit: str
    technique: Technique
    least: float
    port: str | None = None
    """Column of the service's port, if the kind goes through one."""
    victim: str = "resp_ip"
    sender: str = "orig_ip"


class Scope(NamedTuple):
    """Identifies a flood: its kind, the victim and the service it goes through."""

    kind: str
    victim: str
    port: int


class FloodCase(Case):
    """Sums amounts per bucket and counts the senders."""

    def __init__(self) -> None:
        """Start with no traffic."""
        super().__init__()
        self.buckets: dict[int, float] = {}
        self.peak = 0.0
        self.senders = DistinctCounter()
        self.sender = ""

    def add(self, bucket: int, amount: float) -> None:
        """Add an amount to its bucket and forget buckets long past."""
        self.buckets[bucket] = self.buckets.get(bucket, 0.0) + amount
        self.peak = max(self.peak, self.buckets[bucket])
        while len(self.buckets) > BUCKETS_KEPT:
            del self.buckets[min(self.buckets)]


class Flood:
    """Finds SYN, UDP, ICMP and HTTP floods and amplification, by the most that came in ten seconds."""

    name = "flood"
    columns = frozenset(
        {
            "tcp_state",
            "duration_ms",
            "orig_port",
            "orig_packets",
            "resp_packets",
            "orig_bytes",
            "resp_bytes",
            "http_request_count",
        }
    )
    helpful = frozenset[str]()

    def __init__(self, settings: FloodSettings | None = None) -> None:
        """Start with no case."""
        self._settings = settings = settings or FloodSettings()
        self._kinds = {
            "syn": Kind("syn_flood", "half-open connection attempts", DIRECT_FLOOD, settings.half_open, "resp_port"),
            "udp": Kind("udp_flood", "unanswered UDP packets", DIRECT_FLOOD, settings.udp_packets),
            "icmp": Kind("icmp_flood", "ICMP packets", DIRECT_FLOOD, settings.icmp_packets),
            "http": Kind("http_flood", "HTTP requests", SERVICE_FLOOD, settings.requests, "resp_port"),
            "amplified": Kind(
                "amplification",
                "of amplified answers",
                REFLECTION,
                settings.amplified_bytes,
                "resp_port",
                "orig_ip",
                "resp_ip",
            ),
            "reflected": Kind(
                "amplification", "of answers never asked for", REFLECTION, settings.reflected_bytes, "orig_port"
            ),
        }
        self._book: Casebook[Scope, FloodCase] = Casebook(self.name, settings.capacity, FloodCase, self._judge)

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        """Return floods that passed their thresholds or grew tenfold."""
        flows = frame.filter(~pl.col("resp_group")).with_columns(
            bucket=pl.col("ended_at") // (BUCKET_S * SECOND),
            share=BUCKET_S * 1e3 / pl.max_horizontal(pl.col("duration_ms").fill_null(0.0), BUCKET_S * 1e3),
        )
        return self._book.review([scope for kind in self._kinds for scope in self._gather(flows, kind)])

    def finish(self) -> list[Detection]:
        """Return floods that grew since their last report."""
        return self._book.close()

    def _gather(self, flows: pl.DataFrame, kind: str) -> list[Scope]:
        _, _, _, _, port, victim, sender = self._kinds[kind]
        amounts = flows.with_columns(amount=self._amount(kind) * pl.col("share")).filter(pl.col("amount") > 0)
        keys = [victim, "bucket", *([port] if port else [])]
        share = pl.col("amount").sum().over(keys) / self._kinds[kind].least
        rows = gathered(
            amounts.filter(share >= self._settings.counted_share),
            keys,
            amount=pl.col("amount").sum(),
            senders=pl.col(sender).unique(maintain_order=True).hash(),
            sender=pl.col(sender).first(),
        )
        return [self._absorb(Scope(kind, row[victim], row[port] if port else 0), row) for row in rows]

    def _amount(self, kind: str) -> pl.Expr:
        is_unanswered = pl.col("resp_packets") * 20 < pl.col("orig_packets")
        is_reflected = pl.col("resp_port").is_in(list(AMPLIFIERS)) & (
            pl.col("resp_bytes") >= self._settings.amplification * pl.col("orig_bytes")
        )
        is_large = pl.col("orig_port").is_in(list(AMPLIFIERS)) & (
            pl.col("orig_bytes") >= self._settings.answer_bytes * pl.col("orig_packets")
        )
        is_half_open = pl.col("tcp_state").is_in(["S0", "SH", "RSTOS0"])
        amounts = {
            "syn": pl.when(is_half_open).then(pl.col("orig_packets")),
            "udp": pl.when((pl.col("protocol") == "udp") & is_unanswered).then(pl.col("orig_packets")),
            "icmp": pl.when(pl.col("protocol").is_in(["icmp", "icmp6"])).then(pl.col("orig_packets")),
            "http": pl.col("http_request_count"),
            "reflected": pl.when((pl.col("protocol") == "udp") & is_unanswered & is_large).then(pl.col("orig_bytes")),
            "amplified": pl.when((pl.col("protocol") == "udp") & is_reflected).then(pl.col("resp_bytes")),
        }
        return amounts[kind].cast(pl.Float64)

    def _absorb(self, scope: Scope, row: Row) -> Scope:
        case = self._book[scope]
        case.absorb(row)
        case.add(row["bucket"], row["amount"])
        case.senders.update(row["senders"])
        case.sender = row["sender"]
        case.show([row["sender"]])
        return scope

    def _judge(self, scope: Scope, case: FloodCase) -> Finding | None:
        kind = self._kinds[scope.kind]
        if case.peak < kind.least:
            return None
        senders, is_amplified = case.senders.count(), kind.technique is REFLECTION
        amount = in_bytes(case.peak) if is_amplified else f"{case.peak:,.0f}"
        service = f" port {scope.port}" if scope.port else ""
        if is_amplified:
            service = f" through {AMPLIFIERS[scope.port]}"
        return Finding(
            category=kind.category,
            techniques=(kind.technique,),
            score=0.65 + 0.3 * log_ramp(case.peak, kind.least, kind.least * self._settings.full_scale),
            orig=case.sender if senders == 1 else None,
            resp=scope.victim,
            summary=f"{scope.victim}{service} got {amount} {kind.unit} within {BUCKET_S} s "
            f"from {plural(senders, 'host')}",
            size=case.peak,
            measures={"peak_in_10_s": case.peak, "senders": senders, "duration_s": case.duration_s},
            thresholds={"peak_in_10_s": kind.least},
        )
