"""DNS tunnels: names that carry data, long and never repeated, below one domain."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import polars as pl

from infraspectre.intel.domains import REGISTERED, REVERSED
from infraspectre.ml.bounded import DistinctCounter
from infraspectre.ml.robust import entropy_bits, log_ramp
from infraspectre.records import Detection
from infraspectre.soma.detector import Case, Casebook, Finding, Row, completed, gathered_parts, in_bytes, in_seconds
from infraspectre.soma.own_domains import OPTIONAL as NAMING
from infraspectre.soma.own_domains import OwnDomains
from infraspectre.soma.resolvers import Resolvers
from infraspectre.soma.techniques import DNS, PROTOCOL_TUNNELING, UNENCRYPTED_ALTERNATIVE

SAMPLED_NAMES = 16
"""Names of a block whose entropy is measured; names of one tunnel are alike."""
INFRASTRUCTURE = (
    r"(?:^|\.)(?:in-addr\.arpa|ip6\.arpa|local|lan|home|internal|localdomain|"
    r"sophosxl\.(?:net|com)|mcafee\.com|spamhaus\.(?:org|net)|e5\.sk|eset\.com|sorbs\.net|senderbase\.org|dnswl\.org|"
    r"spamcop\.net|barracudacentral\.org|surbl\.org|uribl\.com|trendmicro\.com|symantec\.com|avast\.com|f-secure\.com|"
    r"kaspersky-labs\.com|cymru\.com|webcfs\d*\.com|akamai(?:hd|edge|zed)?\.(?:net|com)|akadns\.net|cloudfront\.net|"
    r"amazonaws\.com|googlevideo\.com|gvt1\.com|office\.com|windows\.net|trafficmanager\.net|azure\.com|measurement-\w+\.com)$"
)
"""Reverse lookups, local names, and the domains through which scanners, block lists and CDNs look things up by name."""
DATA_TYPES = ("TXT", "NULL", "CNAME", "MX", "SRV", "KEY", "PRIVATE", "TYPE65399")
"""Record types that carry most downstream data in tunnels (iodine and dnscat2 documentation)."""


OPTIONAL: dict[str, pl.DataType] = {"dns_answer_bytes": pl.UInt64(), "domain_orig_hosts": pl.Float32(), **NAMING}
"""Columns that are null where a source or an analysis does not tell them."""


class DnsTunnelSettings(msgspec.Struct, frozen=True):
    """Sets the thresholds of DNS tunnel detection."""

    names: int = 12
    """Estimated different names below one domain: large sites have a dozen hosts that one asks for."""
    name_bytes: float = 500.0
    """Bytes that these names carry: half an hour at half a byte a second, encoded."""
    name_bytes_per_s: float = 0.2
    """Bytes of names a second: slower ones bring nobody anything, and probes of monitoring are as slow."""
    label_bytes: float = 15.0
    """Mean length of what is before the domain: host names have 3 to 12 characters."""
    entropy_bits: float = 3.0
    """Mean entropy of that part in bits per character: encoded data has 3.5 and more, words of that length 2.5 to 3."""
    unique_share: float = 0.6
    """Share of questions never asked before: ordinary names are asked again, data is not."""
    callers: int = 3
    """Hosts that may ask below the domain: what many ask for is a service, such as a look-up of reputations."""
    busy_callers: int = 8
    """The same for a host that asked for `busy_names`."""
    busy_names: int = 1_000
    """Names that look-ups of reputations hardly ever reach in a day."""
    base: float = 0.48
    """Score of the fewest names, from one host alone."""
    shared: float = 0.06
    """Off the score for every further host that asks below the domain."""
    full_names: int = 3_000
    """Names at which the score is full."""
    data_bytes: float = 2_000.0
    """Bytes of names from which it is called exfiltration too, if less came back."""
    capacity: int = 8_192
    """Pairs of host and domain kept."""


class Scope(NamedTuple):
    """Identifies who asks below which domain."""

    orig: str
    domain: str


class NameCase(Case):
    """Sums up the names asked for below one domain."""

    def __init__(self) -> None:
        """Start with no name."""
        super().__init__()
        self.listed = 0
        self.asked = 0.0
        self.answer_bytes = 0.0
        self.callers = 1
        self.prefix_bytes = 0
        self.data_types = 0
        self.distinct = DistinctCounter(512)
        self.entropy_sum = 0.0
        self.entropy_names = 0
        self.resolvers: dict[str, None] = {}
        """Those outside; a resolver inside only passes questions on."""

    @property
    def unique_share(self) -> float:
        """Return distinct names over names listed."""
        return min(1.0, self.distinct.count() / self.listed)

    @property
    def names(self) -> float:
        """Estimate the different names asked for: all questions, at the listed share of news."""
        return self.asked * self.unique_share

    @property
    def mean_bytes(self) -> float:
        """Return the mean length of the part before the domain."""
        return self.prefix_bytes / self.listed

    @property
    def mean_entropy_bits(self) -> float:
        """Return the mean entropy of that part in bits per character."""
        return self.entropy_sum / max(1, self.entropy_names)


class DnsTunnel:
    """Finds tunnels and theft through DNS by the names that a host asks for below one domain."""

    name = "dns_tunnel"
    columns = frozenset({"dns_queries", "dns_query_types", "dns_query_count"})
    helpful = frozenset(OPTIONAL)

    def __init__(self, settings: DnsTunnelSettings | None = None) -> None:
        """Start with no case."""
        self._settings = settings or DnsTunnelSettings()
        self._resolvers = Resolvers()
        self._own = OwnDomains()
        self._book: Casebook[Scope, NameCase] = Casebook(self.name, self._settings.capacity, NameCase, self._judge)

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        """Return tunnels that passed their thresholds or grew tenfold."""
        frame = completed(frame, OPTIONAL)
        self._own.learn(frame)
        self._resolvers.learn(frame.filter(pl.col("dns_queries").list.len() > 0))
        rows = gathered_parts(
            _questions(frame),
            ["orig_ip", "domain"],
            names=pl.col("prefix").head(SAMPLED_NAMES),
            hashes=pl.col("prefix").hash(),
            prefix_bytes=pl.col("prefix").str.len_bytes().sum(),
            asked=pl.col("weight").sum(),
            data_types=pl.col("type").is_in(DATA_TYPES).sum(),
            answer_bytes=pl.col("answer_bytes").sum(),
            callers=pl.col("domain_orig_hosts").last() - self._resolvers.forwarders(),
            resolvers=pl.col("resp_ip").filter(~pl.col("resp_inside")).unique(maintain_order=True).head(4),
        )
        return self._book.review([self._absorb(row) for row in rows])

    def finish(self) -> list[Detection]:
        """Return tunnels that grew since their last report."""
        return self._book.close()

    def _absorb(self, row: Row) -> Scope:
        scope, names = Scope(row["orig_ip"], row["domain"]), row["names"]
        case = self._book[scope]
        case.absorb(row)
        case.listed += row["rows"]
        case.asked += row["asked"]
        case.answer_bytes += row["answer_bytes"]
        case.callers = max(case.callers, int(row["callers"] or 1))
        case.data_types += row["data_types"]
        case.prefix_bytes += row["prefix_bytes"]
        case.distinct.update(row["hashes"])
        if case.mean_bytes >= self._settings.label_bytes:
            case.entropy_sum += sum(map(entropy_bits, names))
            case.entropy_names += len(names)
            case.show(f"{name}.{scope.domain}" for name in names)
        case.resolvers |= dict.fromkeys(row["resolvers"])
        return scope

    def _judge(self, scope: Scope, case: NameCase) -> Finding | None:
        if scope.orig in self._resolvers or scope.domain in self._own or not self._is_tunnel(case):
            return None
        settings, data_bytes = self._settings, case.asked * case.mean_bytes
        data_share = case.data_types / case.listed
        more = (UNENCRYPTED_ALTERNATIVE,) if data_bytes >= max(settings.data_bytes, case.answer_bytes) else ()
        return Finding(
            category="dns_tunnel",
            techniques=(DNS, PROTOCOL_TUNNELING, *more),
            score=settings.base
            + 0.35 * log_ramp(case.names, settings.names, settings.full_names)
            + 0.1 * data_share
            - settings.shared * (case.callers - 1),
            orig=scope.orig,
            resp=next(iter(case.resolvers)) if len(case.resolvers) == 1 else None,
            summary=f"{scope.orig} asked for about {case.names:,.0f} different names below {scope.domain} in "
            f"{in_seconds(case.duration_s)}, on average {case.mean_bytes:.0f} characters with "
            f"{case.mean_entropy_bits:.1f} bits each: about {in_bytes(data_bytes)} of names",
            size=case.names,
            measures={
                "distinct_names": round(case.names),
                "mean_prefix_bytes": case.mean_bytes,
                "mean_entropy_bits": case.mean_entropy_bits,
                "unique_share": case.unique_share,
                "data_type_share": data_share,
                "name_bytes": data_bytes,
                "answer_bytes": case.answer_bytes,
                "callers": case.callers,
            },
            thresholds={
                "distinct_names": settings.names,
                "mean_prefix_bytes": settings.label_bytes,
                "mean_entropy_bits": settings.entropy_bits,
                "unique_share": settings.unique_share,
                "callers": settings.callers,
            },
        )

    def _is_tunnel(self, case: NameCase) -> bool:
        settings = self._settings
        return (
            case.asked >= settings.names
            and case.mean_bytes >= settings.label_bytes
            and case.mean_entropy_bits >= settings.entropy_bits
            and case.unique_share >= settings.unique_share
            and case.names >= settings.names
            and case.names * case.mean_bytes >= max(settings.name_bytes, settings.name_bytes_per_s * case.duration_s)
            and case.callers <= (settings.busy_callers if case.names >= settings.busy_names else settings.callers)
        )


def _questions(frame: pl.DataFrame) -> pl.DataFrame:
    """Return one row per listed question, each standing for its share of the flow's questions."""
    listed = pl.col("dns_queries").list.len()
    is_parallel = pl.col("dns_query_types").list.len() == listed
    asked = frame.filter(listed > 0).select(
        "flow_id",
        "first_packet",
        "started_at",
        "ended_at",
        "orig_ip",
        "resp_ip",
        "resp_inside",
        "dns_queries",
        pl.when(is_parallel).then("dns_query_types").otherwise(pl.lit("").repeat_by(listed)).alias("type"),
        "domain_orig_hosts",
        answer_bytes=pl.col("dns_answer_bytes").fill_null(0.0) / listed,
        weight=pl.max_horizontal(pl.col("dns_query_count"), listed) / listed,
    )
    names = asked.explode("dns_queries", "type").filter(~pl.col("dns_queries").str.contains(INFRASTRUCTURE))
    domained = names.with_columns(domain=pl.col("dns_queries").str.extract(REGISTERED))
    prefix = pl.col("dns_queries").str.strip_suffix(pl.col("domain")).str.strip_chars_end(".")
    told = domained.with_columns(prefix=prefix)
    return told.filter(pl.col("prefix").str.len_bytes() > 0, ~pl.col("prefix").str.contains(REVERSED))
