"""Floods: so much of one kind against one host at a time that it can only mean to exhaust it."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import polars as pl

from infraspectre.ml.bounded import DistinctCounter
from infraspectre.ml.robust import log_ramp
from infraspectre.records import Detection, Technique
from infraspectre.records.words import plural
from infraspectre.soma.detector import SECOND, Case, Casebook, Finding, Row, gathered, in_bytes
from infraspectre.soma.techniques import APPLICATION_EXHAUSTION, DIRECT_FLOOD, OS_EXHAUSTION, REFLECTION, SERVICE_FLOOD

BUCKET_S = 10
"""Length of the buckets in which rates are taken: long enough to even out bursts of a page load."""
REQUEST_BUCKET_S = 60
"""The same for requests: readers ask for much in a moment, and then read."""
SLOW_BUCKET_S = 600
"""Length of the buckets in which slow connections are counted: each lasts for minutes."""
BUCKETS_KEPT = 4
"""Latest buckets of a case that can still grow; flows end at most a few buckets out of order."""
EPISODE_S = 1_800
"""Length of the spans that are told apart: what comes against one server hours later is another flood."""
MOST_NAMED = 256
"""Senders up to which one is named: more of them are made up, since anyone can write any sender on a packet."""
SENDERS_KEPT = 32
"""Senders of which it is counted how much each sent, about those that sent most."""
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
WEB_PORTS = (80, 443, 8_000, 8_080, 8_443, 8_888)
"""Usual ports of web servers (IANA port numbers)."""
ERROR_TYPES = {"icmp": (3, 4, 5, 11, 12), "icmp6": (1, 2, 3, 4)}
"""ICMP messages that answer other packets and follow a scan or flood the other way (RFC 792, RFC 4443)."""


class Least(NamedTuple):
    """Holds how much is a flood where it comes from outside, and where an inside host sends it."""

    inbound: float
    other: float


class FloodSettings(msgspec.Struct, frozen=True):
    """Sets how much in ten seconds is a flood."""

    half_open: Least = Least(60.0, 600.0)
    """SYN packets without a completed handshake to one port: strangers knock a few times a minute. When a server fails,
    all the hosts of a site call it again and again."""
    udp_packets: Least = Least(150.0, 20_000.0)
    """Unanswered UDP packets: media streams one way stay below 1,000 per second, and none come from outside unasked."""
    udp_burst: Least = Least(150.0, 3_000.0)
    """The same in flows of a moment with large datagrams: a stream is one flow, and datagrams of scans are small."""
    icmp_packets: Least = Least(150.0, 1_000.0)
    """ICMP packets: ping sends one per second, the fastest monitors ten, and few ping from outside."""
    requests: Least = Least(300.0, 12_000.0)
    """HTTP requests, or TLS connections, to one server in a minute: a reader's pages ask for some hundred different
    things, servers ask one another for thousands."""
    same_requests: float = 10.0
    """Requests for each path from outside: readers ask for each thing once or a few times."""
    slow: Least = Least(20.0, 20.0)
    """Connections within ten minutes that dripped without a pause, of all outside hosts or of one inside host: a
    browser keeps one or two such open for messages."""
    amplified_bytes: Least = Least(1e6, 1e6)
    """Bytes of answers from amplifying services to one host: a busy resolver's client gets a tenth of it."""
    reflected_bytes: Least = Least(1e4, 2e5)
    """Bytes of answers never asked for: a late answer or a lost question leaves a few hundred. Inside, devices answer
    to questions that went to a group."""
    burst_ms: float = 1_000.0
    """Longest flow of a burst."""
    burst_bytes: int = 128
    """Least mean IP payload of its datagrams: the probes of UDP scans are empty or of some dozen bytes."""
    slow_ms: float = 20_000.0
    """Shortest slow connection, and the longest pause in it: servers wait that long for a request (Apache's
    RequestReadTimeout)."""
    slow_pauses: float = 2.0
    """Least parts into which its longest pause divides it: an idle connection is one long pause."""
    slow_bytes_per_s: float = 100.0
    """Most payload of both sides: who reads or writes a hundred bytes a second does not want to be done."""
    answer_bytes: int = 200
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
    techniques: tuple[Technique, ...]
    least: Least
    keys: tuple[str, ...] = ()
    """Columns beside the victim that tell floods of this kind apart: the port of the service, or the sender."""
    victim: str = "resp_ip"
    sender: str = "orig_ip"
    bucket_s: int = BUCKET_S


class Scope(NamedTuple):
    """Identifies a flood: its kind, the victim, whether it comes from outside and what tells it apart."""

    kind: str
    victim: str
    inbound: bool
    episode: int
    rest: tuple[int | str, ...]


class FloodCase(Case):
    """Sums amounts per bucket and counts the senders."""

    def __init__(self) -> None:
        """Start with no traffic."""
        super().__init__()
        self.buckets: dict[int, float] = {}
        self.peak = 0.0
        self.senders = DistinctCounter()
        self.paths = DistinctCounter(256)
        self.shares: dict[str, float] = {}

    def add(self, bucket: int, amount: float) -> None:
        """Add an amount to its bucket and forget buckets long past."""
        self.buckets[bucket] = self.buckets.get(bucket, 0.0) + amount
        self.peak = max(self.peak, self.buckets[bucket])
        while len(self.buckets) > BUCKETS_KEPT:
            del self.buckets[min(self.buckets)]

    def count(self, sender: str, amount: float) -> None:
        """Add to what a sender sent; a new one takes the place of whoever sent least, if that was less."""
        if sender not in self.shares and len(self.shares) >= SENDERS_KEPT:
            least = min(self.shares, key=self.shares.__getitem__)
            if self.shares[least] >= amount:
                return
            del self.shares[least]
        self.shares[sender] = self.shares.get(sender, 0.0) + amount

    @property
    def sender(self) -> str:
        """Return who sent most."""
        return max(self.shares, key=self.shares.__getitem__)


class Flood:
    """Finds SYN, UDP, ICMP and HTTP floods, slow connections and amplification, by the most that came at a time."""

    name = "flood"
    columns = frozenset(
        {
            "app_protocol",
            "tcp_state",
            "duration_ms",
            "orig_port",
            "orig_packets",
            "resp_packets",
            "orig_bytes",
            "resp_bytes",
            "orig_payload_bytes",
            "resp_payload_bytes",
            "http_request_count",
        }
    )
    helpful = frozenset({"flow_gap_ms_max", "http_uris"})

    def __init__(self, settings: FloodSettings | None = None) -> None:
        """Start with no case."""
        self._settings = settings = settings or FloodSettings()
        through_port = ("resp_port",)
        self._kinds = {
            "syn": Kind(
                "syn_flood",
                "half-open connection attempts",
                (DIRECT_FLOOD, OS_EXHAUSTION),
                settings.half_open,
                through_port,
            ),
            "udp": Kind("udp_flood", "unanswered UDP packets", (DIRECT_FLOOD,), settings.udp_packets),
            "burst": Kind("udp_flood", "unanswered UDP packets", (DIRECT_FLOOD,), settings.udp_burst),
            "icmp": Kind("icmp_flood", "ICMP packets", (DIRECT_FLOOD,), settings.icmp_packets),
            "http": Kind(
                "http_flood",
                "requests",
                (SERVICE_FLOOD,),
                settings.requests,
                through_port,
                bucket_s=REQUEST_BUCKET_S,
            ),
            "slow": Kind(
                "slow_http_flood",
                "connections left open and almost silent",
                (SERVICE_FLOOD, APPLICATION_EXHAUSTION),
                settings.slow,
                ("resp_port", "client"),
                bucket_s=SLOW_BUCKET_S,
            ),
            "amplified": Kind(
                "amplification",
                "of amplified answers",
                (REFLECTION,),
                settings.amplified_bytes,
                through_port,
                "orig_ip",
                "resp_ip",
            ),
            "reflected": Kind(
                "amplification", "of answers never asked for", (REFLECTION,), settings.reflected_bytes, ("orig_port",)
            ),
        }
        self._amounts = [self._amount(kind, *chosen).alias(kind) for kind, chosen in self._chosen().items()]
        self._book: Casebook[Scope, FloodCase] = Casebook(self.name, settings.capacity, FloodCase, self._judge)

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        """Return floods that passed their thresholds or grew tenfold."""
        gap = pl.col("flow_gap_ms_max") if "flow_gap_ms_max" in frame.columns else pl.lit(None, pl.Float64)
        flows = (
            frame.filter(~pl.col("resp_group"))
            .with_columns(
                inbound=~pl.col("orig_inside"),
                client=pl.when("orig_inside").then("orig_ip").otherwise(pl.lit("")),
                gap=gap,
            )
            .with_columns(self._amounts)
        )
        return self._book.review([scope for kind in self._kinds for scope in self._gather(flows, kind)])

    def finish(self) -> list[Detection]:
        """Return floods that grew since their last report."""
        return self._book.close()

    def _gather(self, flows: pl.DataFrame, name: str) -> list[Scope]:
        kind = self._kinds[name]
        amounts = flows.filter(pl.col(name) > 0)
        if amounts.is_empty():
            return []
        bucketed = amounts.with_columns(bucket=pl.col("ended_at") // (kind.bucket_s * SECOND), amount=name)
        keys = [kind.victim, "inbound", "bucket", *kind.keys]
        share = pl.col("amount").sum().over(keys) / kind.least.inbound
        counted = bucketed.filter(share >= self._settings.counted_share)
        each = counted.with_columns(sent=pl.col("amount").sum().over([*keys, kind.sender]))
        measures = {
            "amount": pl.col("amount").sum(),
            "senders": pl.col(kind.sender).unique(maintain_order=True).hash(),
            "named": _most_active(kind.sender),
        } | (_PATHS if name == "http" and "http_uris" in flows.columns else {})
        rows = gathered(each, keys, **measures)
        return [self._absorb(name, row) for row in rows]

    def _amount(self, kind: str, is_chosen: pl.Expr, amount: pl.Expr) -> pl.Expr:
        """Return how much of a kind each flow brought; of what lasted, the part of one bucket."""
        bucket_ms = self._kinds[kind].bucket_s * 1e3
        lasting = pl.max_horizontal(pl.col("duration_ms").fill_null(0.0), bucket_ms)
        share = pl.lit(1.0) if kind == "slow" else bucket_ms / lasting
        return pl.when(is_chosen.fill_null(value=False)).then(amount.cast(pl.Float64) * share)

    def _chosen(self) -> dict[str, tuple[pl.Expr, pl.Expr]]:
        """Return for each kind which flows belong to it, and what is counted of them."""
        settings, packets = self._settings, pl.col("orig_packets")
        is_alone = (pl.col("protocol") == "udp") & (pl.col("resp_packets") * 20 < packets)
        is_brief = (pl.col("duration_ms").fill_null(0.0) <= settings.burst_ms) & (
            pl.col("orig_bytes") >= settings.burst_bytes * packets
        )
        is_reflected = pl.col("resp_port").is_in(list(AMPLIFIERS)) & (
            pl.col("resp_bytes") >= settings.amplification * pl.col("orig_bytes")
        )
        is_answer = pl.col("orig_port").is_in(list(AMPLIFIERS)) & (
            pl.col("orig_bytes") >= settings.answer_bytes * packets
        )
        is_error = pl.any_horizontal(
            (pl.col("protocol") == protocol) & pl.col("orig_port").is_in(types)
            for protocol, types in ERROR_TYPES.items()
        )
        requests = pl.max_horizontal(pl.col("http_request_count").fill_null(0), pl.col("app_protocol") == "tls")
        return {
            "syn": (pl.col("tcp_state").is_in(["S0", "SH", "RSTOS0"]), packets),
            "udp": (is_alone & ~is_answer, packets),
            "burst": (is_alone & is_brief & ~is_answer, packets),
            "icmp": (pl.col("protocol").is_in(list(ERROR_TYPES)) & ~is_error, packets),
            "http": (pl.col("resp_port").is_not_null(), requests),
            "slow": (self._is_slow(), pl.lit(1.0)),
            "reflected": (is_alone & is_answer, pl.col("orig_bytes")),
            "amplified": ((pl.col("protocol") == "udp") & is_reflected, pl.col("resp_bytes")),
        }

    def _is_slow(self) -> pl.Expr:
        """Tell whether a connection to a web server was kept alive with hardly a byte, drop by drop."""
        settings, duration = self._settings, pl.col("duration_ms")
        payload = pl.col("orig_payload_bytes") + pl.col("resp_payload_bytes")
        is_dripping = (pl.col("gap") <= settings.slow_ms) & (pl.col("gap") * settings.slow_pauses <= duration)
        is_open = (pl.col("orig_payload_bytes") > 0) & (duration >= settings.slow_ms)
        is_little = payload * 1e3 <= settings.slow_bytes_per_s * duration
        return (pl.col("protocol") == "tcp") & pl.col("resp_port").is_in(WEB_PORTS) & is_open & is_dripping & is_little

    def _absorb(self, name: str, row: Row) -> Scope:
        kind = self._kinds[name]
        episode = row["bucket"] * kind.bucket_s // EPISODE_S
        scope = Scope(name, row[kind.victim], row["inbound"], episode, tuple(row[key] for key in kind.keys))
        case = self._book[scope]
        case.absorb(row)
        case.add(row["bucket"], row["amount"])
        case.senders.update(row["senders"])
        for each in row["named"]:
            case.count(each[kind.sender], each["sent"])
        case.paths.update(row.get("paths", ()))
        case.show([each[kind.sender] for each in row["named"]])
        return scope

    def _is_reading(self, case: FloodCase) -> bool:
        """Tell whether requests are for many different things, and no more than inside hosts may ask."""
        is_varied = case.peak < self._settings.same_requests * case.paths.count()
        return is_varied and case.peak < self._settings.requests.other

    def _judge(self, scope: Scope, case: FloodCase) -> Finding | None:
        kind = self._kinds[scope.kind]
        least = kind.least.inbound if scope.inbound else kind.least.other
        if case.peak < least or (scope.kind == "http" and scope.inbound and self._is_reading(case)):
            return None
        senders, is_amplified = case.senders.count(), REFLECTION in kind.techniques
        amount = in_bytes(case.peak) if is_amplified else f"{case.peak:,.0f}"
        through = f" through {AMPLIFIERS[int(scope.rest[0])]}" if is_amplified else ""
        service = f" port {scope.rest[0]}" if scope.rest and not is_amplified else ""
        return Finding(
            category=kind.category,
            techniques=kind.techniques,
            score=0.65 + 0.3 * log_ramp(case.peak, least, least * self._settings.full_scale),
            orig=case.sender if senders <= MOST_NAMED else None,
            resp=scope.victim,
            summary=f"{scope.victim}{service or through} got {amount} {kind.unit} within {kind.bucket_s} s "
            f"from {plural(senders, 'host')}" + (f", such as {case.sender}" if 1 < senders <= MOST_NAMED else ""),
            size=case.peak,
            measures={f"peak_in_{kind.bucket_s}_s": case.peak, "senders": senders, "duration_s": case.duration_s},
            thresholds={f"peak_in_{kind.bucket_s}_s": least},
        )


def _most_active(sender: str) -> pl.Expr:
    """Return the senders that sent most, each with how much."""
    pairs = pl.struct(sender, "sent").sort_by("sent", descending=True, maintain_order=True)
    return pairs.unique(maintain_order=True).head(SENDERS_KEPT)


_PATHS = {
    "paths": pl.col("http_uris")
    .list.eval(pl.element().str.split("?").list.first())
    .explode()
    .drop_nulls()
    .hash()
    .unique(maintain_order=True)
}
"""What was asked for over HTTP, without its parameters."""
