"""The feature vector of a flow: 100 named features, defined once, and how vectors of older versions become it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from typing import NamedTuple, TypeVar

import polars as pl

from infraspectre._core import feature_schema
from infraspectre.axon.features import FEATURES
from infraspectre.axon.rows import FAILED_STATES
from infraspectre.axon.sequences import BURST_GAP_US, MESSAGES, PACKETS

DTYPE = pl.Float32
FIRST_OF_USERS = 1_024
"""The first port that is not reserved for the system's own services (RFC 6335, 6)."""

Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)


class VectorFeature(NamedTuple):
    """Defines one feature of the vector; unknown values are null."""

    name: str
    unit: str
    low: float
    high: float
    """The range of known values."""
    group: str
    sources: tuple[str, ...]
    """The columns of flow records that it is made of."""
    definition: str
    expression: pl.Expr | None = None
    """How it follows from one flow alone, where no more is needed."""


class Change(NamedTuple):
    """Says how the names of a version differ from those of the version before; all that is not named stays."""

    version: int
    renamed: dict[str, str]
    removed: tuple[str, ...]
    added: tuple[str, ...]


class FeatureSchema:
    """Knows the names, order, types, units and definitions of a vector's features, and the older versions.

    A feature whose definition changes gets another name: so the names of a table's columns tell its version.
    """

    def __init__(self, version: int, features: tuple[VectorFeature, ...], changes: tuple[Change, ...]) -> None:
        """Take the present version, and the changes that led to it, the oldest first."""
        self.version, self.features, self.changes = version, features, changes

    @property
    def names(self) -> list[str]:
        """Name the features in their order."""
        return [feature.name for feature in self.features]

    def names_of(self, version: int) -> list[str]:
        """Name the features of a version; those of older ones follow from the changes since."""
        names = self.names
        for change in reversed(self.changes):
            if change.version > version:
                before = {new: old for old, new in change.renamed.items()}
                names = [before.get(name, name) for name in names if name not in change.added] + [*change.removed]
        return names

    def version_of(self, columns: Collection[str]) -> int | None:
        """Return the latest version whose features are all among these columns; None if there is none."""
        versions = range(self.version, self.version - len(self.changes) - 1, -1)
        return next((one for one in versions if {*self.names_of(one)} <= {*columns}), None)

    def migrate(self, frame: Frame, version: int) -> Frame:
        """Return a table of an older version with the features of this one; added ones that it lacks are unknown."""
        for change in self.changes:
            if change.version > version:
                present = set(frame.collect_schema().names())
                nothing = (pl.lit(None, DTYPE).alias(name) for name in change.added if name not in present)
                frame = frame.rename(change.renamed).drop(change.removed).with_columns(*nothing)
        return frame.select(pl.exclude(self.names), *self.names)


def _made(name: str, unit: str, high: float, definition: str, expression: pl.Expr) -> VectorFeature:
    sources = tuple(dict.fromkeys(expression.meta.root_names()))
    return VectorFeature(name, unit, 0.0, high, "base", sources, definition, expression)


def _flags() -> Iterator[VectorFeature]:
    protocol, state, port = pl.col("protocol"), pl.col("tcp_state"), pl.col("resp_port")
    for name in ("tcp", "udp", "icmp"):
        told = f"1 if the protocol is {name.upper()}"
        yield _made(f"is_{name}", "flag", 1.0, told, protocol.is_in([name, f"ipv6-{name}"]))
    yield _made("is_failed", "flag", 1.0, "1 for a TCP attempt refused or unanswered", state.is_in(FAILED_STATES))
    told = f"1 if the resp port is below {FIRST_OF_USERS} (RFC 6335); unknown without ports"
    reserved = pl.when(protocol.is_in(["tcp", "udp"])).then(port < FIRST_OF_USERS)
    yield _made("is_resp_port_reserved", "flag", 1.0, told, reserved)


BEFORE_SHARE = ("duration_ms", "orig_packets", "resp_packets", "orig_payload_bytes", "resp_payload_bytes")
AFTER_SHARE = (
    "bytes_per_s",
    "packets_per_s",
    *(
        f"{amount}_bytes_{statistic}"
        for amount in ("flow_packet", "orig_segment", "resp_segment")
        for statistic in ("mean", "std", "max")
    ),
    *(f"orig_{flag}_packets" for flag in ("syn", "fin", "rst", "psh")),
    *(f"resp_{flag}_packets" for flag in ("fin", "rst", "psh")),
    *(f"flow_gap_ms_{statistic}" for statistic in ("mean", "std", "max")),
    *(f"orig_gap_ms_{statistic}" for statistic in ("mean", "std")),
    *(f"{side}_entropy_bits" for side in ("orig", "resp")),
    *(f"{side}_ascii_ratio" for side in ("orig", "resp")),
    "orig_compression_ratio",
)
"""Columns of flow records that are features as they are, before and after the one that is made of two."""
HIGHEST = {"orig_entropy_bits": 8.0, "resp_entropy_bits": 8.0, "orig_ascii_ratio": 1.0, "resp_ascii_ratio": 1.0}


def _base() -> Iterator[VectorFeature]:
    known = {column["name"]: column for column in feature_schema()}

    def own(names: tuple[str, ...]) -> Iterator[VectorFeature]:
        for name in names:
            high = HIGHEST.get(name, math.inf)
            yield _made(name, known[name]["unit"], high, known[name]["definition"], pl.col(name))

    orig, resp = pl.col("orig_payload_bytes"), pl.col("resp_payload_bytes")
    told = "payload bytes of orig over those of both sides"
    yield from _flags()
    yield from own(BEFORE_SHARE)
    yield _made("orig_payload_share", "share", 1.0, told, orig / (orig + resp))
    yield from own(AFTER_SHARE)


REMOVED = tuple(f"resp_host_{way}_bytes_{window}s" for window in (60, 600) for way in ("sent", "received"))
"""What a host gets and gives as a server is the sum of what its clients give and get, which stays."""
PAYLOADS = ("orig_payload_bytes", "resp_payload_bytes")
RENAMED = {"resp_host_orig_hosts": "resp_host_degree_in"}


def _context() -> Iterator[VectorFeature]:
    port = ("protocol", "resp_port")
    more = {"ports": port, "port": port, "failed": ("tcp_state",), "sent": PAYLOADS, "received": PAYLOADS}
    for feature in FEATURES:
        if feature.name not in (*REMOVED, *RENAMED):
            high = 1.0 if feature.unit in ("share", "flag") else math.inf
            words = feature.name.split("_")
            sources = ("orig_ip", "resp_ip", *(name for word in words for name in more.get(word, ())))
            sources = (*sources, "ended_at") if words[-1] in ("60s", "600s") else sources
            yield VectorFeature(feature.name, feature.unit, 0.0, high, "context", sources, feature.definition)


def _graph() -> Iterator[VectorFeature]:
    def about(name: str, unit: str, high: float, definition: str, *more: str) -> VectorFeature:
        return VectorFeature(name, unit, 0.0, high, "graph", ("orig_ip", "resp_ip", *more), definition)

    for side in ("orig", "resp"):
        yield about(
            f"{side}_host_degree_out",
            "hosts",
            math.inf,
            f"distinct hosts that the {side} host began to talk to so far, this flow included",
        )
        yield about(
            f"{side}_host_degree_in",
            "hosts",
            math.inf,
            f"distinct hosts that began to talk to the {side} host so far, this flow included",
        )
    port = ("protocol", "resp_port", "ended_at")
    for side in ("orig", "resp"):
        yield about(
            f"{side}_host_port_entropy_bits_600s",
            "bits",
            math.inf,
            f"Shannon entropy of protocol and resp port over the {side} host's flows so far in its 600 s window",
            *port,
        )
    yield about(
        "orig_host_new_peers_600s",
        "hosts",
        math.inf,
        "hosts that the orig host began to talk to for the first time ever, so far in the 600 s window",
        "ended_at",
    )
    for side in ("orig", "resp"):
        yield about(
            f"{side}_host_clustering",
            "share",
            1.0,
            f"share of pairs of the {side} host's neighbours that talk to one another (Watts and Strogatz, 1998), "
            "in the graph of recent pairs as last measured; unknown for hosts that were not in it",
        )
        yield about(
            f"{side}_host_betweenness",
            "share",
            1.0,
            f"mean share of shortest paths from other hosts that lead through the {side} host, estimated from pivots "
            "(Brandes and Pich, 2007), in the same graph",
        )
    yield about(
        "orig_host_asn_changes",
        "changes",
        math.inf,
        "how often the autonomous system of the orig host's destinations changed from one flow to the next with a "
        "known one; unknown without intelligence",
    )


def _sequence() -> Iterator[VectorFeature]:
    sizes, gaps = ("packet_sizes",), ("packet_gaps_us",)
    first = f"first {PACKETS} packets"

    def about(
        name: str, unit: str, low: float, high: float, sources: tuple[str, ...], definition: str
    ) -> VectorFeature:
        return VectorFeature(name, unit, low, high, "sequence", sources, definition)

    for number in range(1, MESSAGES + 1):
        yield about(
            f"message_{number}_bytes",
            "bytes",
            -math.inf,
            math.inf,
            ("packet_sizes", "packet_flags", "protocol"),
            f"IP length of packet {number} of those that end a message (flag PSH; outside TCP, each packet), "
            "negative for one of resp",
        )
    yield about(
        "packet_direction_changes", "changes", 0.0, PACKETS - 1, sizes, f"changes of direction among the {first}"
    )
    yield about(
        "packet_bytes_entropy_bits",
        "bits",
        0.0,
        math.log2(PACKETS),
        sizes,
        f"Shannon entropy of the lengths, with their direction, of the {first}",
    )
    yield about(
        "packet_gap_entropy_bits",
        "bits",
        0.0,
        math.log2(PACKETS - 1),
        gaps,
        f"Shannon entropy of the binary orders of magnitude of the times between the {first}",
    )
    yield about(
        "packet_bursts",
        "bursts",
        0.0,
        PACKETS // 3,
        gaps,
        f"runs of at least three packets less than {BURST_GAP_US // 1000} ms apart among the {first}",
    )
    yield about(
        "packet_longest_run", "packets", 0.0, PACKETS, sizes, f"most packets in a row in one direction of the {first}"
    )
    regular = "1 / (1 + coefficient of variation): 1 is clockwork, 0.5 chance; unknown for fewer than three"
    yield about("packet_gap_regularity", "", 0.0, 1.0, gaps, f"regularity of the times between the {first}, {regular}")
    yield about(
        "packet_bytes_repetition",
        "",
        -1.0,
        1.0,
        sizes,
        f"correlation of each length, with its direction, with that two packets before among the {first}",
    )
    yield about("packet_orig_byte_share", "share", 0.0, 1.0, sizes, f"share of orig in the bytes of the {first}")
    pair = ("orig_ip", "resp_ip", "started_at")
    yield about("pair_flows", "flows", 1.0, math.inf, pair, "flows from the orig host to the resp host so far")
    yield about(
        "pair_interval_s_mean",
        "s",
        0.0,
        math.inf,
        pair,
        "mean time between the starts of these flows, in whole milliseconds, each at most a day",
    )
    yield about("pair_interval_regularity", "", 0.0, 1.0, pair, f"regularity of these times, {regular}")


def _intelligence() -> Iterator[VectorFeature]:
    def about(name: str, unit: str, high: float, definition: str, *sources: str) -> VectorFeature:
        return VectorFeature(
            name, unit, 0.0, high, "intelligence", sources, f"{definition}; unknown without intelligence"
        )

    for side in ("orig", "resp"):
        yield about(
            f"{side}_reputation", "", 1.0, f"reputation of the {side} host, from 0 (good) to 1 (bad)", f"{side}_ip"
        )
    yield about("resp_asn_reputation", "", 1.0, "reputation of the resp host's autonomous system, likewise", "resp_ip")
    for side in ("orig", "resp"):
        yield about(f"{side}_is_tor", "flag", 1.0, f"1 if the {side} host is a Tor exit or relay", f"{side}_ip")
    yield about(
        "resp_first_seen_days",
        "days",
        math.inf,
        "time from the first sighting of the resp host to the flow",
        "resp_ip",
        "started_at",
    )
    name = ("tls_server_name", "http_hosts", "dns_queries")
    yield about("domain_reputation", "", 1.0, "reputation of the name that the flow is about, from 0 to 1", *name)
    yield about(
        "domain_age_days",
        "days",
        math.inf,
        "time from the registration of that name to the flow",
        *name,
        "started_at",
    )


def _agreement() -> Iterator[VectorFeature]:
    def about(name: str, high: float, definition: str) -> VectorFeature:
        return VectorFeature(name, "", 0.0, high, "agreement", (), f"{definition}; unknown before models ran")

    yield about("models_flagging_share", 1.0, "share of the models that call the flow hostile")
    yield about("models_probability_mean", 1.0, "mean of the probabilities that models give")
    yield about("models_probability_spread", 0.5, "standard deviation of these probabilities")


def _schema() -> FeatureSchema:
    features = (*_base(), *_context(), *_graph(), *_sequence(), *_intelligence(), *_agreement())
    names = [feature.name for feature in features]
    first = {feature.name for feature in FEATURES}
    kept = (first - {*REMOVED, *RENAMED}) | {*RENAMED.values()}
    return FeatureSchema(2, features, (Change(2, RENAMED, REMOVED, tuple(name for name in names if name not in kept)),))


VECTOR = _schema()
"""The present vector. Version 1 was the context features alone."""
