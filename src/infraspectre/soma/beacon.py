"""Beacons: a host that calls a destination of its own again and again by a timer, saying much the same."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
import polars as pl

from infraspectre.intel.domains import REVERSED, registered
from infraspectre.ml.bounded import BoundedTable, DistinctCounter
from infraspectre.ml.robust import log_ramp, relative_spread
from infraspectre.records import Detection, Technique
from infraspectre.records.words import plural
from infraspectre.soma.detector import (
    SECOND,
    Case,
    Casebook,
    Finding,
    Row,
    completed,
    few_hosts,
    gathered,
    host_of,
    in_seconds,
)
from infraspectre.soma.doorstep import Doorstep
from infraspectre.soma.own_domains import OPTIONAL as NAMING
from infraspectre.soma.own_domains import OwnDomains
from infraspectre.soma.resolvers import Resolvers
from infraspectre.soma.rhythm import Rhythm, rhythm_of
from infraspectre.soma.servers import Servers
from infraspectre.soma.techniques import (
    ASYMMETRIC_CRYPTOGRAPHY,
    DNS,
    ENCRYPTED_ALTERNATIVE,
    FILE_TRANSFER_PROTOCOLS,
    NON_APPLICATION_PROTOCOL,
    NON_STANDARD_PORT,
    OVER_C2_CHANNEL,
    UNENCRYPTED_ALTERNATIVE,
    WEB_PROTOCOLS,
)
from infraspectre.soma.unusual_port import USUAL_PORTS

CALLS_KEPT = 256
"""Latest calls of a case that are kept: enough for the statistics, 6 KiB each."""
GROWTH = 2
"""A case is judged when its calls have doubled, so that judging costs little per call."""


class BeaconSettings(msgspec.Struct, frozen=True):
    """Sets the thresholds of beacon detection; weights add to a score of which 0.5 is worth an analyst's time.

    What programs of a single user often show, such as a late beginning, is not worth it alone.
    """

    calls: int = 4
    """Calls needed: a period of 6 hours has no more in a day."""
    many_calls: int = 12
    """Calls from which regular gaps speak for themselves; fewer must repeat their sizes nearly to the byte."""
    patience_s: float = 3_600.0
    """Time for which a destination is watched first: who else calls it is known only after a while."""
    shortest_gap_s: float = 2.0
    """Calls closer than this are one activity: parallel connections and redirects."""
    longest_gap_s: float = 86_400.0
    """Longest period believed: one day."""
    shortest_rare_gap_s: float = 600.0
    """Shortest period believed of few calls: quicker ones would have given many."""
    size_spread: float = 0.3
    """Robust spread of the bytes sent over their median: polls repeat themselves, people's requests vary twofold."""
    rare_size_spread: float = 0.1
    """The same for few calls."""
    rare_answer_spread: float = 0.3
    """Robust spread of the bytes received over their median that few calls have at most."""
    rare_irregularity: float = 0.25
    """Irregularity of the gaps that few calls have at most: that of a period with 95% jitter."""
    callers: int = 4
    """Hosts that may call the destination or its domain: what many hosts call is a service of the site."""
    base: float = 0.42
    """Score of a timer that calls, in one size, what no other host calls: many harmless programs do."""
    shared: float = 0.04
    """Off the score for every further host that calls the same."""
    unnamed: float = 0.15
    """For a destination without a name: services have names, and programs look them up."""
    own_software: float = 0.07
    """For a TLS fingerprint or user agent that at most two hosts here show, and show to this destination alone."""
    outdated: float = 0.1
    """For a user agent that claims to be a browser of ten years ago: malware copies those, nobody uses them."""
    posing: float = 0.07
    """For a browser's user agent whose calls never come from a page: of a page, a browser fetches the rest, too."""
    unknown_protocol: float = 0.1
    """For calls outside over TCP in no known protocol."""
    self_signed: float = 0.15
    """For a certificate that its server issued to itself: public services have theirs signed."""
    odd_port: float = 0.1
    """For a protocol on a port where it is not at home."""
    shaken: float = 0.07
    """For gaps shaken on purpose: programs wait equal times, or give or take a tenth."""
    shaken_spread: float = 0.13
    """Robust spread of gaps from which they are shaken: uniform jitter of a sixth."""
    wild: float = 0.05
    """Beyond `shaken`, for gaps that only somebody who hides would shake so much."""
    wild_spread: float = 0.35
    """Robust spread of gaps from which they are: uniform jitter of a half."""
    late: float = 0.07
    """For calls that began long after the host was first seen: installed programs begin with their host."""
    late_s: float = 1_800.0
    """How long after, and longer than the period: a program calls within its first."""
    devoted: float = 0.12
    """Off the score for a host that hardly calls anybody else: a device that reports to its maker."""
    devoted_hosts: int = 8
    """Destinations that such a device has at most; a person's machine has dozens."""
    carried: float = 0.2
    """For data in questions for names or in pings, which carry none by themselves."""
    plain_ping: float = 0.2
    """Off the score for pings of a size that ping uses."""
    foreign: float = 0.12
    """Off the score for callers outside, of whom too little is seen."""
    inside: float = 0.2
    """Off the score for destinations inside, where monitors and agents poll."""
    one_socket: float = 0.1
    """Off the score for calls that all leave from one port: one association kept alive, rather than calls anew."""
    odd: float = 0.1
    """Oddity from which the number of calls counts too."""
    steady: float = 0.1
    """For calls that number `full_calls`, on a logarithmic scale."""
    full_calls: int = 1_000
    """Calls at which the count speaks fully."""
    capacity: int = 8_192
    """Cases kept."""


QUIET_PORTS = (
    53,
    67,
    68,
    88,
    111,
    123,
    135,
    137,
    138,
    139,
    161,
    162,
    389,
    445,
    500,
    514,
    546,
    547,
    636,
    853,
    1900,
    3702,
    4500,
    5353,
    5355,
)
"""Services periodic by design: names, time, leases, directories, key exchange, management and discovery (IANA)."""
DIRECTORY_PORTS = (88, 389, 464, 636)
"""Ports of Kerberos and LDAP, through which members of a domain log on; devices are hardly ever members."""
WEB_PORTS = (80, 443)
"""Ports at which web services are at home."""
DNS_PORT = 53
ECHO_TYPES = (8, 128)
"""Message types of echo requests (RFC 792, RFC 4443)."""
PING_BYTES = (0, 8, 24, 32, 40, 48, 56, 64)
"""Data sizes that ping programs use unless told otherwise, with or without 8 bytes of header (ping(8), Windows)."""
DATA_TYPES = ("TXT", "NULL", "CNAME", "MX", "SRV", "KEY", "PRIVATE")
"""Record types that bring orders (iodine, dnscat2 and Cobalt Strike documentation)."""
UPLOAD_BYTES = 1_500
"""Bytes sent by a call that hands something over: a hello in TLS or a request with its cookies has fewer."""
UPLOAD_RATIO = 4.0
"""Bytes sent by such a call per byte received beyond GREETING_BYTES, as exfiltration asks for."""
GREETING_BYTES = 4_000
"""Bytes that a server sends before it answers: the certificates of a TLS handshake; in SSH both sides send some."""
BROWSER = r"^Mozilla/5\."
"""Begins the user agent of every browser of this age (RFC 9110, 10.1.5, and wide custom)."""
OUTDATED = r"^Mozilla/[1-4]\.|MSIE |Trident/|Windows NT (?:5|6\.[01])|Firefox/[1-4]?\d\.|Chrome/[1-4]?\d\."
"""User agents of browsers and systems whose support ended years ago (Microsoft, Mozilla and Google release notes)."""
OWN_HOSTS = 2
"""Hosts that may show a program which is nobody else's."""
NOVEL_NAMES = 0.5
"""Share of names never asked before from which questions carry data."""
SCOPE = ("orig_ip", "place", "resp_port", "protocol")
"""Columns that tell who calls what."""


OPTIONAL: dict[str, pl.DataType] = NAMING | {
    "http_user_agents": pl.List(pl.String),
    "http_referrers": pl.List(pl.String),
    "tls_certificate_subjects": pl.List(pl.String),
    "tls_certificate_issuers": pl.List(pl.String),
    "dns_queries": pl.List(pl.String),
    "dns_query_types": pl.List(pl.String),
    "orig_packets": pl.UInt32(),
    "tcp_state": pl.String(),
    "resp_payload_bytes": pl.UInt64(),
    "domain_orig_hosts": pl.Float32(),
    "resp_host_orig_hosts": pl.Float32(),
    "software_orig_hosts": pl.Float32(),
    "software_domains": pl.Float32(),
    "orig_host_resp_hosts": pl.Float32(),
    "orig_host_age_s": pl.Float32(),
}
"""Columns that are null where a source or an analysis does not tell them."""


class Scope(NamedTuple):
    """Identifies who calls what: an address, or a domain through DNS."""

    orig: str
    place: str
    port: int
    protocol: str


class CallCase(Case):
    """Keeps the latest calls, and what they say about caller and destination."""

    def __init__(self) -> None:
        """Start with no call."""
        super().__init__()
        self.times: list[int] = []
        self.sizes: list[int] = []
        self.answers: list[int] = []
        self.judged = 0
        self.is_inside = False
        self.is_caller_inside = True
        self.is_named = False
        self.is_self_signed = False
        self.is_outdated = False
        self.is_posing = True
        self.app_protocol: str | None = None
        self.ports: set[int] = set()
        self.resp: str | None = None
        self.domain_callers = 0
        self.software_hosts: float | None = None
        self.software_places: float | None = None
        self.caller_places: float | None = None
        self.caller_age_s: float | None = None
        self.novel_names = DistinctCounter(CALLS_KEPT)
        self.data_types = 0

    @property
    def carries_data(self) -> bool:
        """Tell whether most questions were of types that bring data, or for names never asked before."""
        return max(self.data_types, self.novel_names.count()) >= NOVEL_NAMES * self.flows

    def call(self, row: Row) -> None:
        """Add calls and forget the oldest beyond CALLS_KEPT."""
        self.times = (self.times + row["times"])[-CALLS_KEPT:]
        self.sizes = (self.sizes + row["sizes"])[-CALLS_KEPT:]
        self.answers = (self.answers + row["answers"])[-CALLS_KEPT:]
        self.is_inside, self.is_caller_inside = row["resp_inside"], row["orig_inside"]
        self.app_protocol = self.app_protocol or row["app_protocol"]
        self.ports.update(row["ports"][: 2 - len(self.ports)])
        self.resp = row["resp"]
        self.is_named |= row["is_named"]
        self.is_self_signed |= row["is_self_signed"]
        self.is_outdated |= row["is_outdated"]
        self.is_posing &= row["is_posing"]
        self.novel_names.update(row["names"])
        self.data_types += row["data_types"]
        self._place(row)

    def _place(self, row: Row) -> None:
        """Learn how usual destination and software are here, from the latest flow, and how old the caller was."""
        self.domain_callers = int(row["callers"] or self.domain_callers)
        self.software_hosts = row["software_orig_hosts"] or self.software_hosts
        self.software_places = row["software_domains"] or self.software_places
        self.caller_places = row["orig_host_resp_hosts"] or self.caller_places
        self.caller_age_s = self.caller_age_s if self.caller_age_s is not None else row["orig_host_age_s"]


class Beacon:
    """Finds calls by a timer with any jitter; regularity alone is not guilt, rarity and oddity must join it."""

    name = "beacon"
    columns = frozenset({"app_protocol", "orig_port", "orig_payload_bytes"})
    helpful = frozenset(OPTIONAL)

    def __init__(self, settings: BeaconSettings | None = None) -> None:
        """Start with no case."""
        self._settings = settings or BeaconSettings()
        self._book: Casebook[Scope, CallCase] = Casebook(self.name, self._settings.capacity, CallCase, self._judge)
        self._doorstep = Doorstep(SCOPE, 4 * self._settings.capacity)
        self._callers: BoundedTable[str, DistinctCounter] = BoundedTable(self._settings.capacity, few_hosts)
        self._popular: BoundedTable[str, bool] = BoundedTable(4 * self._settings.capacity, bool)
        self._resolvers = Resolvers()
        self._own = OwnDomains()
        self._servers = Servers()
        self._members: BoundedTable[str, bool] = BoundedTable(self._settings.capacity, bool)

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        """Return beacons that became certain."""
        frame = completed(frame, OPTIONAL)
        self._own.learn(frame)
        self._servers.learn(frame)
        for member in frame.filter("resp_inside", pl.col("resp_port").is_in(DIRECTORY_PORTS))["orig_ip"].unique(
            maintain_order=True
        ):
            self._members[member]
        self._resolvers.learn(frame.filter(pl.col("resp_port") == DNS_PORT))
        is_call = _is_call() & pl.col("orig_payload_bytes").is_not_null()
        calls = frame.filter(is_call).select(_told_by_calls(self._resolvers.forwarders()))
        is_popular = (pl.col("callers") > self._settings.callers).fill_null(value=False)
        for place in calls.filter(is_popular)["place"].unique(maintain_order=True):
            self._popular[place]
        rare = calls.filter(~is_popular, pl.col("place").is_not_null())
        rows = gathered(self._doorstep.admit(rare), list(SCOPE), **MEASURES)
        touched = [self._absorb(row) for row in rows]
        return self._book.review(scope for scope in touched if self._is_due(scope))

    def due(self) -> int | None:
        """Return when the first case is to be judged that has enough calls and does not go on."""
        patience = int(self._settings.patience_s * SECOND)
        return min((case.first_seen + patience for _, case in self._resting()), default=None)

    def turn(self, until: int) -> list[Detection]:
        """Return beacons that have been known for long enough by a time up to which no flow came."""
        last_begin = until - int(self._settings.patience_s * SECOND)
        due = [(scope, case) for scope, case in self._resting() if case.first_seen <= last_begin]
        for _, case in due:
            case.judged = case.flows
        return self._book.review(scope for scope, _ in due)

    def finish(self) -> list[Detection]:
        """Return beacons that the whole input shows."""
        return self._book.close()

    def _absorb(self, row: Row) -> Scope:
        scope = Scope(row["orig_ip"], row["place"], row["resp_port"], row["protocol"])
        case = self._book[scope]
        case.absorb(row)
        case.call(row)
        if not (scope.protocol == "dns" and scope.orig in self._resolvers):
            self._callers[scope.place].update([row["orig_hash"]])
        return scope

    def _is_due(self, scope: Scope) -> bool:
        case = self._book.cases.get(scope)
        if case is None or not self._has_grown(case) or case.duration_s < self._settings.patience_s:
            return False
        case.judged = case.flows
        return True

    def _has_grown(self, case: CallCase) -> bool:
        return case.flows >= max(self._settings.calls, GROWTH * case.judged)

    def _resting(self) -> list[tuple[Scope, CallCase]]:
        """Return the cases that have enough calls, but not for long enough."""
        return [(scope, case) for scope, case in self._book.cases.items() if self._has_grown(case)]

    def _judge(self, scope: Scope, case: CallCase) -> Finding | None:
        settings, callers = self._settings, self._callers_of(scope, case)
        if case.flows < settings.calls or callers > settings.callers or scope.place in self._popular:
            return None
        if self._is_name_service(scope, case):
            return None
        rhythm = rhythm_of(np.asarray(case.times, dtype=np.float64) / SECOND, settings.shortest_gap_s)
        size_spread = _spread(case.sizes)
        if rhythm is None or not self._is_beacon(scope, case, rhythm, size_spread):
            return None
        if rhythm.calls < settings.many_calls and callers > 1:
            return None
        app = f" {case.app_protocol.upper()}" if case.app_protocol else ""
        place = scope.place if scope.protocol == "dns" else host_of(scope.place, scope.port)
        oddities = self._oddities(scope, case, rhythm, callers)
        case.show([] if scope.place == case.resp else [scope.place])
        return Finding(
            category="beacon",
            techniques=_techniques(scope, case),
            score=self._score(oddities, case),
            orig=scope.orig,
            resp=_control_server(scope, case),
            summary=f"{scope.orig} called {place}{app} {case.flows:,} times, every "
            f"{in_seconds(rhythm.period_s)} give or take {rhythm.gap_spread:.0%}; "
            f"{plural(callers, 'host')} called it{_told(oddities)}",
            size=case.flows,
            measures={**rhythm._asdict(), "size_spread": size_spread, "callers": callers} | oddities,
            thresholds={"callers": settings.callers, "calls": settings.calls, "size_spread": settings.size_spread},
        )

    def _callers_of(self, scope: Scope, case: CallCase) -> int:
        known = self._callers.get(scope.place)
        return max(known.count() if known is not None else 1, case.domain_callers, 1)

    def _is_name_service(self, scope: Scope, case: CallCase) -> bool:
        """Tell whether names are asked for to call what they name, for others, or to watch the site's own names."""
        is_service = not case.carries_data or scope.orig in self._resolvers or scope.place in self._own
        return scope.protocol == "dns" and is_service

    def _is_beacon(self, scope: Scope, case: CallCase, rhythm: Rhythm, size_spread: float) -> bool:
        """Tell whether calls come from a timer and are alike; names and uploads that carry data differ in length."""
        settings = self._settings
        if rhythm.calls < settings.calls or rhythm.period_s > settings.longest_gap_s:
            return False
        if rhythm.calls >= settings.many_calls:
            is_upload = _carries_off(case) and _spread(case.answers) <= settings.size_spread
            return rhythm.is_timer and (size_spread <= settings.size_spread or is_upload)
        if rhythm.period_s < settings.shortest_rare_gap_s or rhythm.irregularity > settings.rare_irregularity:
            return False
        if scope.protocol == "dns":
            return size_spread <= settings.size_spread
        return size_spread <= settings.rare_size_spread and _spread(case.answers) <= settings.rare_answer_spread

    def _oddities(self, scope: Scope, case: CallCase, rhythm: Rhythm, callers: int) -> dict[str, float]:
        """Return what speaks for and against guilt, as parts of the score."""
        settings = self._settings
        is_dns, is_ping = scope.protocol == "dns", scope.protocol.startswith("icmp")
        is_sure = rhythm.calls >= settings.many_calls
        is_late = (case.caller_age_s or 0.0) >= max(settings.late_s, rhythm.period_s)
        typical = float(np.median(case.sizes))
        parts = {
            "shared": -settings.shared * (callers - 1),
            "unnamed": settings.unnamed * (not case.is_named and not is_dns and not is_ping),
            "own_software": settings.own_software * self._is_own_software(scope, case),
            "self_signed": settings.self_signed * case.is_self_signed,
            "odd_port": settings.odd_port * _is_odd_port(scope, case),
            "shaken": settings.shaken * (is_sure and rhythm.gap_spread >= settings.shaken_spread),
            "wild": settings.wild * (is_sure and rhythm.gap_spread >= settings.wild_spread),
            "late": settings.late * is_late,
            "devoted": -settings.devoted * (not is_late and self._is_device(scope, case)),
            "posing": settings.posing * case.is_posing,
            "unknown_protocol": settings.unknown_protocol * self._is_unknown(scope, case),
            "outdated": settings.outdated * case.is_outdated,
            "carried": settings.carried * (case.carries_data if is_dns else is_ping and typical not in PING_BYTES),
            "plain_ping": -settings.plain_ping * (is_ping and typical in PING_BYTES),
            "foreign": -settings.foreign * (not case.is_caller_inside),
            "inside": -settings.inside * (case.is_inside and not is_dns),
            "one_socket": -settings.one_socket * (len(case.ports) == 1 and not is_ping),
        }
        return {name: float(part) for name, part in parts.items() if part}

    def _is_device(self, scope: Scope, case: CallCase) -> bool:
        """Tell whether a caller calls hardly anybody, by name, and is neither a server nor a member of a domain."""
        is_quiet = (case.caller_places or np.inf) <= self._settings.devoted_hosts
        is_known = scope.orig in self._servers or scope.orig in self._members
        return is_quiet and (case.is_named or scope.protocol != "tcp") and not is_known

    def _is_unknown(self, scope: Scope, case: CallCase) -> bool:
        return scope.protocol == "tcp" and case.app_protocol is None and not case.is_inside

    def _is_own_software(self, scope: Scope, case: CallCase) -> bool:
        """Tell whether the calling program is seen at the callers alone; most of a server's are."""
        users = max(OWN_HOSTS, self._callers_of(scope, case))
        is_own = (case.software_hosts or np.inf) <= users and (case.software_places or 0.0) <= 1
        return is_own and scope.orig not in self._servers

    def _score(self, oddities: dict[str, float], case: CallCase) -> float:
        """Add what is odd to the base; that there are many calls counts only where something is odd."""
        settings, odd = self._settings, sum(oddities.values())
        many = log_ramp(case.flows, settings.many_calls, settings.full_calls) if odd > settings.odd else 0.0
        return min(1.0, max(0.0, settings.base + odd + settings.steady * many))


QUESTION = pl.col("dns_queries").list.first()
SERVER_NAME = pl.coalesce("tls_server_name", pl.col("http_hosts").list.first()).str.to_lowercase()
MEASURES = {
    "times": pl.col("started_at").tail(CALLS_KEPT),
    "sizes": pl.col("size").tail(CALLS_KEPT),
    "answers": pl.col("answer").tail(CALLS_KEPT),
    "orig_hash": pl.col("orig_hash").first(),
    "orig_inside": pl.col("orig_inside").first(),
    "resp_inside": pl.col("resp_inside").first(),
    "app_protocol": pl.col("app_protocol").drop_nulls().first(),
    "ports": pl.col("orig_port").drop_nulls().unique(maintain_order=True).head(2),
    "resp": pl.col("resp_ip").last(),
    "is_named": pl.col("is_named").any(),
    "is_self_signed": pl.col("is_self_signed").any(),
    "is_outdated": pl.col("is_outdated").any(),
    "is_posing": pl.col("is_posing").all(),
    "names": pl.col("name").drop_nulls(),
    "data_types": pl.col("is_data").sum(),
    "callers": pl.col("callers").last(),
    "software_orig_hosts": pl.col("software_orig_hosts").last(),
    "software_domains": pl.col("software_domains").last(),
    "orig_host_resp_hosts": pl.col("orig_host_resp_hosts").last(),
    "orig_host_age_s": pl.col("orig_host_age_s").first(),
}
"""What a case takes from calls."""
CARRIED = (
    *("flow_id", "first_packet", "started_at", "ended_at", "orig_ip", "resp_ip", "resp_port", "orig_port"),
    *("orig_inside", "resp_inside", "app_protocol", "software_orig_hosts", "software_domains"),
    *("orig_host_resp_hosts", "orig_host_age_s"),
)
"""Columns of a call that stay as they are."""


def _is_call() -> pl.Expr:
    """Tell calls of services that are not periodic by design, pings to the outside, and questions for names.

    A part of a long connection that begins without a SYN is no call: cutting it makes it look periodic.
    """
    goes_on = (pl.col("tcp_state") == "OTH").fill_null(value=False)
    is_service = pl.col("protocol").is_in(["tcp", "udp"]) & ~goes_on & ~pl.col("resp_port").is_in(QUIET_PORTS)
    is_echo = pl.col("protocol").str.starts_with("icmp") & pl.col("orig_port").is_in(ECHO_TYPES)
    is_question = (
        (pl.col("app_protocol") == "dns") & (pl.col("resp_port") == DNS_PORT) & ~QUESTION.str.contains(REVERSED)
    )
    return ~pl.col("resp_group") & (is_service | is_echo & ~pl.col("resp_inside") | is_question.fill_null(value=False))


def _told_by_calls(forwarders: int) -> list[pl.Expr]:
    """Say of each call what is called, how much, and by how many hosts, of which so many ask for names for others.

    A server is called by its name where the call tells it: a name with several addresses is called at each in turn by
    chance, which makes the steadiest timer look shaken, and many names share an address.
    """
    is_dns, is_ping = pl.col("resp_port") == DNS_PORT, pl.col("protocol").str.starts_with("icmp")
    packets = pl.max_horizontal(pl.col("orig_packets"), 1).fill_null(1)
    address_callers = pl.when(~is_dns).then("resp_host_orig_hosts")
    repeated = pl.when(is_dns).then(pl.min_horizontal(forwarders, pl.col("domain_orig_hosts") - 1)).otherwise(0)
    return [
        *map(pl.col, CARRIED),
        pl.when(is_dns).then(registered(QUESTION)).otherwise(pl.coalesce(SERVER_NAME, "resp_ip")).alias("place"),
        pl.when(is_dns).then(pl.lit("dns")).otherwise("protocol").alias("protocol"),
        pl.when(is_ping).then(pl.col("orig_payload_bytes") // packets).otherwise("orig_payload_bytes").alias("size"),
        pl.col("resp_payload_bytes").fill_null(0).alias("answer"),
        pl.col("orig_ip").hash().alias("orig_hash"),
        pl.max_horizontal(pl.col("domain_orig_hosts") - repeated, address_callers).alias("callers"),
        pl.when(is_dns).then(QUESTION.hash()).alias("name"),
        pl.when(is_dns).then(pl.col("dns_query_types").list.first().is_in(DATA_TYPES)).alias("is_data"),
        _is_named().alias("is_named"),
        _is_self_signed().alias("is_self_signed"),
        _says(OUTDATED).alias("is_outdated"),
        (_says(BROWSER) & ~_says(OUTDATED) & (pl.col("http_referrers").list.first() == "")).alias("is_posing"),
    ]


def _is_named() -> pl.Expr:
    """Tell whether a flow names its destination."""
    return registered(SERVER_NAME).is_not_null()


def _says(agent: str) -> pl.Expr:
    """Tell whether the caller's user agent matches."""
    return pl.col("http_user_agents").list.first().str.contains(agent).fill_null(value=False)


def _is_self_signed() -> pl.Expr:
    """Tell who issued itself the certificate of a service of TLS; remote desktops and databases always do."""
    subject, issuer = (pl.col(f"tls_certificate_{name}").list.first() for name in ("subjects", "issuers"))
    return (subject == issuer).fill_null(value=False) & (pl.col("app_protocol") == "tls").fill_null(value=False)


def _control_server(scope: Scope, case: CallCase) -> str | None:
    """Return the server that is called; a resolver inside only passes questions on."""
    return case.resp if scope.protocol != "dns" or not case.is_inside else None


CALLED_BY = {
    "http": (WEB_PROTOCOLS,),
    "tls": (WEB_PROTOCOLS, ASYMMETRIC_CRYPTOGRAPHY),
    "quic": (WEB_PROTOCOLS, ASYMMETRIC_CRYPTOGRAPHY),
    "ssh": (ASYMMETRIC_CRYPTOGRAPHY,),
    "ftp": (FILE_TRANSFER_PROTOCOLS, UNENCRYPTED_ALTERNATIVE),
}
"""What calls by a protocol show; a timer that calls FTP brings files or fetches some."""


def _techniques(scope: Scope, case: CallCase) -> tuple[Technique, ...]:
    if scope.protocol == "dns":
        return (DNS,)
    app = case.app_protocol or ""
    usual = USUAL_PORTS.get(app, ()) if app in CALLED_BY else WEB_PORTS
    odd = () if scope.port in (*usual, *WEB_PORTS) or scope.protocol.startswith("icmp") else (NON_STANDARD_PORT,)
    is_encrypted = ASYMMETRIC_CRYPTOGRAPHY in CALLED_BY.get(app, ())
    stolen = (OVER_C2_CHANNEL, ENCRYPTED_ALTERNATIVE if is_encrypted else UNENCRYPTED_ALTERNATIVE)
    return (*CALLED_BY.get(app, (NON_APPLICATION_PROTOCOL,)), *odd, *(stolen if _carries_off(case) else ()))


def _is_odd_port(scope: Scope, case: CallCase) -> bool:
    """Tell whether a protocol is not at home on a port; web servers at further ports are for those inside."""
    app = case.app_protocol or ""
    if app == "http" and not case.is_inside:
        return scope.port not in WEB_PORTS
    return scope.port not in USUAL_PORTS.get(app, (scope.port,))


def _carries_off(case: CallCase) -> bool:
    """Tell whether the calls bring out much more than they bring in, beyond what a server sends by way of greeting."""
    sent, received = float(np.median(case.sizes)), float(np.median(case.answers))
    least = GREETING_BYTES if case.app_protocol == "ssh" else UPLOAD_BYTES
    return sent >= max(least, UPLOAD_RATIO * (received - GREETING_BYTES))


WORDS = {
    "unnamed": "it has no name",
    "own_software": "the calling program is seen nowhere else here",
    "posing": "the caller says to be a browser, but comes from no page",
    "unknown_protocol": "nobody knows the protocol",
    "outdated": "the caller says to be a browser that nobody uses any more",
    "self_signed": "its certificate is signed by itself",
    "odd_port": "its port is unusual",
    "shaken": "the gaps are shaken on purpose",
    "late": "the calls began long after the host was first seen",
    "carried": "the calls carry data where none belongs",
}


def _told(oddities: dict[str, float]) -> str:
    """Say for people what is odd."""
    odd = [WORDS[name] for name in oddities if name in WORDS]
    return f"; {', '.join(odd)}" if odd else ""


def _spread(sizes: list[int]) -> float:
    return relative_spread(np.asarray(sizes, dtype=np.float64) + 1.0)
