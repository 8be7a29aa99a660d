"""Mining of cryptocurrencies: hosts that work for a pool, known by what is said, by its name, or by its shape."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import polars as pl

from infraspectre.ml.robust import log_ramp
from infraspectre.records import Detection
from infraspectre.records.words import plural
from infraspectre.soma.callers import Callers
from infraspectre.soma.detector import SECOND, Case, Casebook, Finding, Row, gathered, host_of, in_seconds
from infraspectre.soma.sides import outward
from infraspectre.soma.techniques import COMPUTE_HIJACKING, RESOURCE_HIJACKING

POOL_PORTS = (
    3_032,
    3_333,
    3_334,
    4_444,
    5_555,
    6_666,
    7_777,
    8_333,
    8_888,
    9_999,
    10_128,
    14_433,
    14_444,
    20_535,
    45_560,
    45_700,
)
"""Ports that the documentation of pools gives for miners (XMRig, Nanopool, SupportXMR, MoneroOcean, Ethermine)."""
PUSH_PORTS = (1_883, 5_222, 5_223, 5_228, 8_883)
"""Ports of push services, chat and things, whose connections last, too (MQTT, XMPP, APNs, FCM)."""
POOL_NAME = (
    r"(?i)(?:^|[.-])(?:stratum\d*|xmr\d*|xmrpool|monero\w*|minexmr|supportxmr|nanopool|ethermine|etherpool|f2pool|nicehash|"
    r"hashvault|2miners|viabtc|antpool|slushpool|braiins|poolin|unmineable|minergate|coinhive|coin-hive|cryptonight|"
    r"c3pool|herominers|zergpool|miningpoolhub|prohashing|kryptex|flexpool|sparkpool|dwarfpool|woolypooly|"
    r"\w*pool\d*|miner|mining)(?:[.-]|$)"
)
"""Names of known pools, and words that pools put into their names; alone they prove nothing."""


class MiningSettings(msgspec.Struct, frozen=True):
    """Sets the thresholds of mining detection."""

    duration_s: float = 600.0
    """Least time connected: a miner stays for hours, and with less chance makes any shape."""
    longest_gap_s: float = 300.0
    """Longest mean time between messages of either side: pools give new work every minute or so."""
    shortest_gap_s: float = 1.0
    """Shortest such time: pools set the difficulty for a share every 5 to 30 s."""
    least_message_bytes: float = 40.0
    """Least mean message of the miner: keepalives are shorter."""
    most_message_bytes: float = 700.0
    """Greatest mean message of the miner: a share has some 100 to 400 bytes."""
    most_answer_bytes: float = 1_200.0
    """Greatest mean segment of the pool: full ones are a transfer."""
    most_answers: int = 12
    """Most messages of the pool for each of the miner: new work comes as often as shares, or some times as often."""
    message_spread: float = 0.6
    """Deviation of the miner's messages over their mean: all shares are alike."""
    callers: int = 3
    """Hosts that may talk to the same address or domain: what more talk to is a service of the site."""
    port_score: float = 0.6
    """Score of the shape on a port of pools."""
    named_score: float = 0.65
    """Score of the shape with a pool's name."""
    shape_score: float = 0.3
    """Score of the shape alone, if it is busy: chat, push services and things come near it."""
    busy_gap_s: float = 60.0
    """Longest mean time between messages of a busy miner: pools send work every minute at least."""
    busy_messages: int = 60
    """Least messages of a busy miner."""
    steady_score: float = 0.5
    """Score of a busy shape that is that of shares and of nothing else in wide use."""
    steady_s: float = 1_800.0
    """Least time connected of such."""
    steady_spread: float = 0.4
    """Deviation of its messages over their mean: shares differ in a few digits, talk of people and things in size."""
    share_bytes: float = 100.0
    """Least mean message: a share holds a job's name, a nonce and a digest, with TLS or without; heartbeats do not."""
    spoken_score: float = 0.85
    """Score of the protocol itself."""
    full_duration_s: float = 36_000.0
    """Time connected at which the score is full."""
    capacity: int = 8_192
    """Cases kept."""


class Scope(NamedTuple):
    """Identifies who works for whom."""

    miner: str
    pool: str
    port: int


class WorkCase(Case):
    """Sums up the talk of a miner with a pool."""

    def __init__(self) -> None:
        """Start with nothing said."""
        super().__init__()
        self.connected_ns = 0
        self.orig_messages = 0
        self.resp_messages = 0
        self.orig_bytes = 0
        self.resp_bytes = 0
        self.varied = 0.0
        self.methods = 0
        self.worker: str | None = None
        self.agent: str | None = None
        self.pool_name: str | None = None
        self.domain_callers = 0.0

    @property
    def connected_s(self) -> float:
        """Return the time connected, summed over connections, in seconds."""
        return self.connected_ns / SECOND

    @property
    def gap_s(self) -> float:
        """Return the mean time between messages of the side that says less."""
        return self.connected_s / max(1, min(self.orig_messages, self.resp_messages))

    @property
    def message_bytes(self) -> float:
        """Return the mean message of the miner."""
        return self.orig_bytes / max(1, self.orig_messages)

    @property
    def answer_bytes(self) -> float:
        """Return the mean message of the pool."""
        return self.resp_bytes / max(1, self.resp_messages)

    @property
    def spread(self) -> float:
        """Return the deviation of the miner's messages over their mean, averaged over connections by messages."""
        return self.varied / max(1, self.orig_messages)


class Mining:
    """Finds hosts that mine for a pool outside."""

    name = "mining"
    columns = frozenset(
        {"app_protocol", "tcp_state", "orig_port", "orig_payload_bytes", "resp_payload_bytes"}
        | {"orig_data_packets", "resp_data_packets"}
    )
    helpful = frozenset(
        {"stratum_methods", "stratum_worker", "stratum_agent", "tls_server_name", "http_hosts"}
        | {"orig_segment_bytes_mean", "orig_segment_bytes_std", "orig_packets", "orig_syn_packets", "domain_orig_hosts"}
    )

    def __init__(self, settings: MiningSettings | None = None) -> None:
        """Start with no case."""
        self._settings = settings or MiningSettings()
        self._book: Casebook[Scope, WorkCase] = Casebook(self.name, self._settings.capacity, WorkCase, self._judge)
        self._callers = Callers(self._settings.callers, self._settings.capacity)

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        """Return mining that became certain."""
        rows = gathered(_talk(frame, self._settings), ["orig_ip", "resp_ip", "resp_port"], **_sums(frame.columns))
        return self._book.review([self._absorb(row) for row in rows])

    def finish(self) -> list[Detection]:
        """Return mining that grew since its last report."""
        return self._book.close()

    def _absorb(self, row: Row) -> Scope:
        scope = Scope(row["orig_ip"], row["resp_ip"], row["resp_port"])
        case = self._book[scope]
        case.absorb(row)
        case.sum_up(row, "connected_ns", "orig_messages", "resp_messages", "orig_bytes", "resp_bytes")
        case.sum_up(row, "varied", "methods")
        case.worker, case.agent = case.worker or row["worker"], case.agent or row["agent"]
        case.pool_name = case.pool_name or row["pool_name"]
        case.domain_callers = max(case.domain_callers, row["domain_callers"] or 0.0)
        case.show([row["pool_name"], row["agent"], *row["said"]])
        self._callers.note(scope.pool, scope.miner)
        return scope

    def _judge(self, scope: Scope, case: WorkCase) -> Finding | None:
        score = self._score(scope, case)
        if score is None:
            return None
        settings = self._settings
        how = f" in Stratum ({', '.join(list(case.examples)[:4])})" if case.methods else ""
        worker = f" for {case.worker[:24]}" if case.worker else ""
        return Finding(
            category="crypto_mining",
            techniques=(RESOURCE_HIJACKING, COMPUTE_HIJACKING),
            score=score,
            orig=scope.miner,
            resp=scope.pool,
            summary=f"{scope.miner} talked{how}{worker} with {case.pool_name or ''}"
            f"{' at ' if case.pool_name else ''}{host_of(scope.pool, scope.port)} for {in_seconds(case.connected_s)}, "
            f"{plural(case.orig_messages, 'message')} of {case.message_bytes:.0f} bytes one way and "
            f"{plural(case.resp_messages, 'message')} of {case.answer_bytes:.0f} the other, as miners do with a pool",
            size=max(case.connected_s, 1.0),
            measures={
                "connected_s": case.connected_s,
                "gap_s": case.gap_s,
                "message_bytes": case.message_bytes,
                "answer_bytes": case.answer_bytes,
                "message_spread": case.spread,
                "stratum_methods": case.methods,
            },
            thresholds={"connected_s": settings.duration_s, "gap_s": settings.longest_gap_s},
        )

    def _score(self, scope: Scope, case: WorkCase) -> float | None:
        settings = self._settings
        lasting = 0.1 * log_ramp(case.connected_s, settings.duration_s, settings.full_duration_s)
        if case.methods:
            return settings.spoken_score + lasting
        if not self._is_shaped(case):
            return None
        if case.pool_name:
            return settings.named_score + lasting
        if not self._callers.are_few(scope.pool) or case.domain_callers > settings.callers:
            return None
        if scope.port in POOL_PORTS:
            return settings.port_score + lasting
        is_busy = case.gap_s <= settings.busy_gap_s and case.orig_messages >= settings.busy_messages
        if not is_busy or scope.port in PUSH_PORTS:
            return None
        return settings.steady_score if self._is_steady(case) else settings.shape_score

    def _is_steady(self, case: WorkCase) -> bool:
        """Tell whether messages are as alike as shares, and answers, each to a share or with new work, are more."""
        settings = self._settings
        return (
            case.connected_s >= settings.steady_s
            and case.spread <= settings.steady_spread
            and case.message_bytes >= settings.share_bytes
            and case.resp_messages > case.orig_messages
        )

    def _is_shaped(self, case: WorkCase) -> bool:
        settings = self._settings
        return (
            case.connected_s >= settings.duration_s
            and settings.shortest_gap_s <= case.gap_s <= settings.longest_gap_s
            and settings.least_message_bytes <= case.message_bytes <= settings.most_message_bytes
            and settings.least_message_bytes <= case.answer_bytes <= settings.most_answer_bytes
            and case.resp_messages <= settings.most_answers * case.orig_messages
            and case.spread <= settings.message_spread
        )


def _talk(frame: pl.DataFrame, settings: MiningSettings) -> pl.DataFrame:
    """Keep flows that say what they are or where they go, and long ones of few small messages both ways."""
    named = [pl.col(name).str.contains(POOL_NAME) for name in ("tls_server_name",) if name in frame.columns]
    hosted = [
        pl.col(name).list.eval(pl.element().str.contains(POOL_NAME)).list.any()
        for name in ("http_hosts",)
        if name in frame.columns
    ]
    seconds = (pl.col("ended_at") - pl.col("started_at")) / SECOND
    messages = pl.min_horizontal("orig_data_packets", "resp_data_packets")
    is_slow = (messages >= 2) & (seconds >= settings.shortest_gap_s * messages) & (seconds >= settings.duration_s / 10)
    is_known = pl.col("app_protocol").is_null() | pl.col("app_protocol").is_in(["tls", "stratum"])
    is_mining = pl.col("app_protocol").eq("stratum").fill_null(value=False)
    is_named = pl.any_horizontal(*named, *hosted, pl.lit(value=False)).fill_null(value=False)
    return outward(frame).filter(is_mining | is_named | (is_slow & is_known))


def _sums(columns: list[str]) -> dict[str, pl.Expr]:
    def known(name: str, value: pl.Expr, otherwise: pl.Expr) -> pl.Expr:
        return value if name in columns else otherwise

    nothing, never = pl.lit(None, dtype=pl.String), pl.lit(0)
    name = pl.coalesce(
        known("tls_server_name", pl.col("tls_server_name"), nothing),
        known("http_hosts", pl.col("http_hosts").list.first(), nothing),
    )
    spread = known("orig_segment_bytes_std", _message_spread(), pl.lit(0.0))
    methods = known("stratum_methods", pl.col("stratum_methods").list.len().sum(), never)
    return {
        "connected_ns": (pl.col("ended_at") - pl.col("started_at")).sum(),
        "orig_messages": pl.col("orig_data_packets").sum(),
        "resp_messages": pl.col("resp_data_packets").sum(),
        "orig_bytes": pl.col("orig_payload_bytes").sum(),
        "resp_bytes": pl.col("resp_payload_bytes").sum(),
        "varied": (spread.fill_nan(None).fill_null(0.0) * pl.col("orig_data_packets")).sum(),
        "methods": methods,
        "said": known(
            "stratum_methods",
            pl.col("stratum_methods").explode().drop_nulls().unique(maintain_order=True).head(4),
            pl.lit([], dtype=pl.List(pl.String)),
        ),
        "worker": known("stratum_worker", pl.col("stratum_worker").drop_nulls().first(), nothing),
        "agent": known("stratum_agent", pl.col("stratum_agent").drop_nulls().first(), nothing),
        "domain_callers": known("domain_orig_hosts", pl.col("domain_orig_hosts").max(), pl.lit(0.0)),
        "pool_name": name.filter(name.str.contains(POOL_NAME)).drop_nulls().first(),
    }


def _message_spread() -> pl.Expr:
    """Return the deviation over the mean of orig's segments that carry data, from moments of all of its segments."""
    count, messages = pl.col("orig_packets"), pl.col("orig_data_packets")
    mean, deviation = pl.col("orig_segment_bytes_mean"), pl.col("orig_segment_bytes_std")
    squares = (count - 1) * deviation**2 + count * mean**2
    message_bytes = pl.col("orig_payload_bytes") / messages
    return (squares / messages - message_bytes**2).clip(0.0).sqrt() / message_bytes
