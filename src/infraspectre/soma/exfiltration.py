"""Theft of data: a host that sends far more than usual to a rare destination outside, or data in pings."""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec
import numpy as np
import polars as pl

from infraspectre.ml.bounded import BoundedTable, DistinctCounter
from infraspectre.ml.robust import Vector, centre_and_spread, log_ramp, relative_spread
from infraspectre.records import Detection, Technique
from infraspectre.soma.detector import (
    Case,
    Casebook,
    Finding,
    Row,
    completed,
    few_hosts,
    gathered,
    in_bytes,
    in_seconds,
)
from infraspectre.soma.servers import Servers
from infraspectre.soma.techniques import (
    ALTERNATIVE_PROTOCOL,
    CLOUD_STORAGE,
    ENCRYPTED_ALTERNATIVE,
    NON_APPLICATION_PROTOCOL,
    OVER_C2_CHANNEL,
    SIZE_LIMITS,
    UNENCRYPTED_ALTERNATIVE,
    WEB_SERVICE,
)

ECHO_TYPES = {"icmp": (8, 0), "icmp6": (128, 129)}
"""Message types of echo requests and replies (RFC 792, RFC 4443); errors quote packets, and so vary by nature."""


OWN_HOSTS = 1
"""Hosts that show a program which is nobody else's; early in a capture two may be all that are known of many."""
PIECES = 64
"""Sizes of pieces that a case keeps."""
OPTIONAL: dict[str, pl.DataType] = {
    "flow_segment_bytes_std": pl.Float32(),
    "orig_port": pl.UInt16(),
    "orig_packets": pl.UInt32(),
    "tls_server_name": pl.String(),
    "http_hosts": pl.List(pl.String),
    "domain_orig_hosts": pl.Float32(),
    "software_orig_hosts": pl.Float32(),
}
"""Columns that are null where a source or an analysis does not tell them."""
STORAGE = re.compile(
    r"(?:^|[.-])(?:storage|drive|dropbox|dropboxapi|onedrive|sharepoint|box|mega|s3|blob|backblazeb2|pcloud|"
    r"mediafire|wetransfer|transfer|share|gofile|anonfiles|file|upload|icloud|googleapis)(?:[.-]|$)|\.mega\.|sharefile"
)
"""Names of services that keep files for everybody (techniques of MITRE ATT&CK T1567.002, procedure examples)."""


class ExfiltrationSettings(msgspec.Struct, frozen=True):
    """Sets the thresholds of suspicious transfers."""

    sent_bytes: float = 5e5
    """Bytes sent to one destination in all: forms and photos are smaller, archives larger."""
    slow_bytes: float = 1e5
    """The same for data that flows on and on to one place: a few bytes a second for the hours of a working day."""
    slow: float = 0.06
    """Off the score for less than `sent_bytes`: programs report to their makers, too."""
    piece_bytes: float = 1_500.0
    """Mean bytes of a connection that hands over a piece; a hello in TLS or a request with its cookies has fewer."""
    flow_bytes: int = 1_000
    """Bytes a flow must send to count: thousands of smaller ones would be needed for a theft."""
    sent_ratio: float = 4.0
    """Bytes sent per byte received: use of a service receives more than it sends, calls are even."""
    greeting_bytes: int = 4_000
    """Bytes that a server sends before it answers: a TLS handshake's certificates, a banner and its replies."""
    deviations: float = 3.0
    """Robust deviations of log10 bytes above the sums that this site sends to destinations outside."""
    population: int = 8
    """Destinations needed to know what is usual; with fewer the finding weighs less."""
    senders: int = 2
    """Hosts that may send to the destination: a backup service is used by many."""
    full_scale: int = 200
    """Multiple of the threshold at which the score is full."""
    base: float = 0.42
    """Score of a transfer of `sent_bytes` to what no other host sends to."""
    size_weight: float = 0.35
    """What its size adds at most."""
    unknown_site: float = 0.1
    """Off the score where too little is known of what is usual."""
    shared: float = 0.06
    """Off the score for every further host that sends there."""
    popular: float = 0.12
    """Off the score for a domain that many hosts use, if only to read: people now and then give it something, too."""
    popular_hosts: int = 4
    """Hosts that make a domain popular."""
    unnamed: float = 0.06
    """For a destination of the web without a name; other protocols do not say any."""
    clear: float = 0.08
    """For HTTP in the clear: services that take files encrypt by now."""
    copied: float = 0.08
    """For file transfer or remote shells to the outside, which people seldom use."""
    pieces: int = 3
    """Pieces of one size from which it is cut up on purpose."""
    piece_spread: float = 0.1
    """Robust spread of their sizes over the median: what is split has equal pieces and a smaller last one."""
    by_hand: float = 0.16
    """Off the score for what neither flows on and on nor was cut up: people upload films and give partners files."""
    clear_by_hand: float = 0.08
    """The same for FTP, which gives name, password and files away: partners got their files so long ago."""
    few_usual: float = 0.3
    """The same for one or two connections of a program that others here use, too: of a browser, size is no proof."""
    own_software: float = 0.1
    """For a TLS fingerprint or user agent that at most two hosts here show: people upload with browsers."""
    steady: float = 0.08
    """For data that flows on and on to one place: somebody is patient."""
    pair_spread: float = 0.02
    """The same of two pieces, which chance makes alike more easily."""
    pair_s: float = 3_600.0
    """Longest time for which two pieces take: halves of one thing follow each other."""
    cut_up: float = 0.08
    """For data that was cut up: somebody avoids being seen."""
    stored_bytes: float = 1e6
    """Bytes that a host takes in at once if it is its business to keep data."""
    store: float = 0.25
    """Off the score for a host that takes in as much from several others: backups go outside from there."""
    channel_s: float = 1_800.0
    """Time for which data flows to one place through many connections before the place is called a control channel."""
    channel_flows: int = 12
    """How many connections."""
    echo_bytes: float = 20_000.0
    """Bytes of echo payloads that vary in size: ping repeats one size."""
    echo_packet_std: float = 16.0
    """Standard deviation of echo payload sizes in bytes that ping never has."""
    echo_packet_bytes: int = 192
    """Size of echo payloads that ping never has unless told to."""
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
        self.pieces: list[int] = []
        self.domain_hosts = 0.0
        self.software_hosts: float | None = None
        self.name: str | None = None

    @property
    def is_web(self) -> bool:
        """Tell whether the web's protocols carried it."""
        return bool(self.apps.keys() & {"tls", "quic", "http"})

    @property
    def is_own_software(self) -> bool:
        """Tell whether at most two hosts here show the program of the web that sent it; few hosts use any other."""
        return self.is_web and self.software_hosts is not None and self.software_hosts <= OWN_HOSTS

    @property
    def is_usual(self) -> bool:
        """Tell whether a program that others use, too, sent it, and encrypted as browsers do by now."""
        return "http" not in self.apps and self.is_web and (self.software_hosts or 0) > OWN_HOSTS

    @property
    def piece_spread(self) -> float:
        """Return the robust spread of the sizes of pieces over their median."""
        return float(relative_spread(np.asarray(self.pieces, dtype=np.float64)))


class Exfiltration:
    """Finds suspicious transfers outward and channels in ICMP echo payloads."""

    name = "exfiltration"
    columns = frozenset({"app_protocol", "orig_payload_bytes", "resp_payload_bytes"})
    helpful = frozenset(OPTIONAL)

    def __init__(self, settings: ExfiltrationSettings | None = None) -> None:
        """Start with no case."""
        self._settings = settings or ExfiltrationSettings()
        self._book: Casebook[Scope, SentCase] = Casebook(self.name, self._settings.capacity, SentCase, self._judge)
        self._sums: Vector = np.empty(0)
        self._stores = Servers()
        self._senders: BoundedTable[str, DistinctCounter] = BoundedTable(self._settings.capacity, few_hosts)

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        """Return transfers that passed their thresholds or grew tenfold."""
        frame = completed(frame, OPTIONAL)
        self._stores.learn(frame.filter(pl.col("orig_payload_bytes") >= self._settings.stored_bytes))
        is_outward = pl.col("orig_inside") & ~pl.col("resp_inside") & ~pl.col("resp_group")
        is_icmp = pl.col("protocol").is_in(list(ECHO_TYPES))
        is_much = (pl.col("orig_payload_bytes") >= self._settings.flow_bytes) | (pl.col("app_protocol") == "ftp")
        touched = self._gather(frame.filter(is_outward & ~is_icmp & is_much), "transfer")
        is_varied = pl.col("flow_segment_bytes_std") >= self._settings.echo_packet_std
        is_large = pl.col("orig_payload_bytes") >= self._settings.echo_packet_bytes * pl.col("orig_packets")
        touched += self._gather(frame.filter(_is_echo() & (is_varied | is_large)), "echo")
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
            pieces=pl.col("orig_payload_bytes")
            .filter(pl.col("orig_payload_bytes") >= self._settings.flow_bytes)
            .head(PIECES),
            software_hosts=pl.col("software_orig_hosts").last(),
            domain_hosts=pl.col("domain_orig_hosts").max(),
            name=pl.coalesce("tls_server_name", pl.col("http_hosts").list.first()).drop_nulls().first(),
        )
        return [self._absorb(Scope(row["orig_ip"], row["resp_ip"], kind), row) for row in rows]

    def _absorb(self, scope: Scope, row: Row) -> Scope:
        case = self._book[scope]
        case.absorb(row)
        case.sent += row["sent"]
        case.received += row["received"]
        case.apps |= dict.fromkeys(row["apps"])
        case.pieces += row["pieces"][: PIECES - len(case.pieces)]
        case.domain_hosts = max(case.domain_hosts, row["domain_hosts"] or 0.0)
        case.software_hosts = row["software_hosts"] or case.software_hosts
        case.name = case.name or row["name"]
        self._senders[scope.resp].update([row["orig_hash"]])
        return scope

    def _judge(self, scope: Scope, case: SentCase) -> Finding | None:
        return self._echo(scope, case) if scope.kind == "echo" else self._transfer(scope, case)

    def _transfer(self, scope: Scope, case: SentCase) -> Finding | None:
        settings = self._settings
        ratio = case.sent / max(1, case.received - settings.greeting_bytes * case.flows)
        senders = self._senders[scope.resp].count()
        is_slow = case.sent < settings.sent_bytes and self._is_slow(case)
        if not (is_slow or case.sent >= settings.sent_bytes):
            return None
        if ratio < settings.sent_ratio or senders > settings.senders:
            return None
        deviations, population = self._outlying(case)
        is_known = population >= settings.population
        if is_known and deviations < settings.deviations and not is_slow:
            return None
        usual = f", {deviations:.1f} robust deviations above what this site sends elsewhere" if is_known else ""
        parts = self._oddities(scope, case, senders, is_known)
        return Finding(
            category="exfiltration",
            techniques=self._techniques(case),
            score=settings.base + sum(parts.values()),
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
            }
            | parts,
            thresholds={
                "sent_bytes": settings.sent_bytes,
                "sent_ratio": settings.sent_ratio,
                "deviations": settings.deviations,
            },
        )

    def _oddities(self, scope: Scope, case: SentCase, senders: int, is_known: bool) -> dict[str, float]:
        """Return what speaks for and against theft, as parts of the score."""
        settings = self._settings
        parts = {
            "size": settings.size_weight
            * log_ramp(case.sent, settings.sent_bytes, settings.sent_bytes * settings.full_scale),
            "unknown_site": -settings.unknown_site * (not is_known),
            "slow": -settings.slow * (case.sent < settings.sent_bytes),
            "shared": -settings.shared * (senders - 1),
            "popular": -settings.popular * (case.domain_hosts >= settings.popular_hosts),
            "unnamed": settings.unnamed * (case.is_web and case.name is None),
            "clear": settings.clear * ("http" in case.apps),
            "copied": settings.copied * bool(case.apps.keys() & {"ftp", "ssh"}),
            "by_hand": -self._by_hand(case),
            "own_software": settings.own_software * case.is_own_software,
            "steady": settings.steady * self._is_channel(case),
            "cut_up": settings.cut_up * self._is_cut_up(case),
            "store": -settings.store * (scope.orig in self._stores),
        }
        return {name: float(part) for name, part in parts.items() if part}

    def _is_cut_up(self, case: SentCase) -> bool:
        """Tell whether it went in pieces of one size."""
        settings = self._settings
        if len(case.pieces) < settings.pieces:
            is_pair = len(case.pieces) > 1 and case.duration_s <= settings.pair_s
            return is_pair and case.piece_spread <= settings.pair_spread
        return case.piece_spread <= settings.piece_spread

    def _by_hand(self, case: SentCase) -> float:
        """Return what goes off the score of what a person may have sent."""
        settings = self._settings
        if self._is_cut_up(case) or self._is_channel(case):
            return 0.0
        if "ftp" in case.apps:
            return settings.clear_by_hand
        return settings.few_usual if case.is_usual and len(case.pieces) < settings.pieces else settings.by_hand

    def _techniques(self, case: SentCase) -> tuple[Technique, ...]:
        """Return the techniques that protocol, name and course tell."""
        settings = self._settings
        named = [_technique(case)]
        if case.is_web and case.name is not None:
            is_storage = case.domain_hosts >= settings.popular_hosts or STORAGE.search(case.name) is not None
            named.append(CLOUD_STORAGE if is_storage else WEB_SERVICE)
        if self._is_channel(case):
            named.append(OVER_C2_CHANNEL)
        if self._is_cut_up(case):
            named.append(SIZE_LIMITS)
        return tuple(named)

    def _is_slow(self, case: SentCase) -> bool:
        """Tell whether data flows on and on in pieces, however little."""
        settings = self._settings
        is_enough = case.sent >= max(settings.slow_bytes, settings.piece_bytes * case.flows)
        return is_enough and self._is_channel(case)

    def _is_channel(self, case: SentCase) -> bool:
        return case.flows >= self._settings.channel_flows and case.duration_s >= self._settings.channel_s

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
    if case.apps.keys() & {"tls", "quic", "ssh"}:
        return ENCRYPTED_ALTERNATIVE
    return UNENCRYPTED_ALTERNATIVE if case.apps.keys() & {"http", "ftp", "smtp"} else ALTERNATIVE_PROTOCOL


def _is_echo() -> pl.Expr:
    """Tell whether a flow is a ping and its answer."""
    return pl.any_horizontal(
        (pl.col("protocol") == protocol) & pl.col("orig_port").is_in(types) for protocol, types in ECHO_TYPES.items()
    )
