"""Known threats: addresses, names, URLs, certificates and fingerprints in flows that indicators name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import polars as pl

from infraspectre.intel.attack import technique, technique_called
from infraspectre.intel.indicators import IndicatorIndex
from infraspectre.intel.indicators.index import LEAST, Space
from infraspectre.records import Detection, Technique
from infraspectre.records.address import is_inside
from infraspectre.records.indicators import IndicatorKind
from infraspectre.records.words import listed, plural
from infraspectre.soma.detector import IDENTITY, Case, Casebook, Finding, gathered_parts


class IntelligenceSettings(msgspec.Struct, frozen=True):
    """Sets how suspicious it is to meet an indicator."""

    least_score: float = 0.3
    """Score of an indicator of hardly any confidence."""
    confidence_score: float = 0.6
    """What full confidence adds: possibly true (0.5) is a medium finding, and nearly sure a high one."""
    inbound_factor: float = 0.5
    """Factor where a known threat calls: whoever is in the internet is tried daily by listed scanners; a host inside
    that calls a known threat itself is what tells of an infection."""
    mention_factor: float = 0.8
    """Factor where a name was only asked for, or an address only answered: many products look names up to judge."""
    capacity: int = 65_536
    """Cases kept."""


class Sighting(NamedTuple):
    """Says where in flows values are that a space of indicators may name."""

    space: Space
    what: str
    """What the value is to the flow, for people."""
    columns: tuple[str, ...]
    values: pl.Expr
    is_mention: bool = False
    is_caller: bool = False


HOST = r"^(?:\[.*\]|[^:]*)"
"""The host in a Host header, without its port (RFC 9110, 7.2)."""
FIRST = pl.element().str.to_lowercase().str.strip_chars_end(".")


def _endpoint(address: str, port: str) -> pl.Expr:
    is_v6 = pl.col(address).str.contains(":", literal=True)
    host = pl.when(is_v6).then(pl.format("[{}]", pl.col(address))).otherwise(pl.col(address))
    return pl.format("{}:{}", host, pl.col(port))


SIGHTINGS = (
    Sighting("address", "destination", ("resp_ip",), pl.col("resp_ip")),
    Sighting("address", "source", ("orig_ip",), pl.col("orig_ip"), is_caller=True),
    Sighting("address", "address in an answer of DNS", ("dns_answers",), pl.col("dns_answers"), is_mention=True),
    Sighting("endpoint", "destination", ("resp_ip", "resp_port"), _endpoint("resp_ip", "resp_port")),
    Sighting("domain", "name asked for", ("dns_queries",), pl.col("dns_queries").list.eval(FIRST), is_mention=True),
    Sighting("domain", "TLS server name", ("tls_server_name",), pl.col("tls_server_name").str.to_lowercase()),
    Sighting(
        "domain",
        "HTTP host",
        ("http_hosts",),
        pl.col("http_hosts").list.eval(pl.element().str.extract(f"({HOST})").str.to_lowercase()),
    ),
    Sighting("hash", "certificate", ("tls_certificate_sha1",), pl.col("tls_certificate_sha1")),
    Sighting("ja3", "JA3 of the client", ("tls_ja3",), pl.col("tls_ja3")),
    Sighting("ja3s", "JA3S of the server", ("tls_ja3s",), pl.col("tls_ja3s")),
    Sighting("ja4", "JA4 of the client", ("tls_ja4",), pl.col("tls_ja4")),
    Sighting("hassh", "HASSH of the client", ("ssh_hassh",), pl.col("ssh_hassh")),
    Sighting("hassh_server", "HASSH of the server", ("ssh_hassh_server",), pl.col("ssh_hassh_server")),
)
"""All that is looked at; URLs are put together of two columns, see `_urls`."""
URL = Sighting("url", "URL", ("http_hosts", "http_uris"), pl.col("url"))
PLACES = (*SIGHTINGS, URL)


class Scope(NamedTuple):
    """Identifies who met which indicator with whom, and as what."""

    orig: str
    resp: str
    sighting: int
    kind: IndicatorKind
    value: str


class Intelligence:
    """Finds the values of indicators in flows, as of the time of each flow."""

    name = "intelligence"
    columns = frozenset[str]()
    helpful = frozenset(name for sighting in PLACES for name in sighting.columns) - set(IDENTITY)

    def __init__(self, index: IndicatorIndex, settings: IntelligenceSettings | None = None) -> None:
        """Take the index of indicators."""
        self._settings = settings or IntelligenceSettings()
        self.know(index)
        self._resolvers: set[str] = set()
        self._book: Casebook[Scope, Case] = Casebook(self.name, self._settings.capacity, Case, self._judge)

    def know(self, index: IndicatorIndex) -> None:
        """Look for the indicators of another index from now on."""
        self._index = index
        self._sightings = [place for place, each in enumerate(PLACES) if each.space in index.spaces]

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        """Return indicators newly met, or met ten times as often."""
        self._note_resolvers(frame)
        known = set(frame.columns)
        seen = [place for place in self._sightings if set(PLACES[place].columns) <= known]
        touched = [scope for place in seen for scope in self._gather(frame, place)]
        return self._book.review(touched)

    def finish(self) -> list[Detection]:
        """Return what grew since its last report."""
        return self._book.close()

    def _gather(self, frame: pl.DataFrame, place: int) -> Iterator[Scope]:
        """Yield who met indicators in one place, after noting it."""
        sighting = PLACES[place]
        rows = _urls(frame) if sighting is URL else frame.select(*KEPT, value=sighting.values)
        rows = rows.explode("value") if isinstance(rows.schema["value"], pl.List) else rows
        found = self._index.match(sighting.space, rows["value"])
        if not len(found):
            return
        met = rows.join(found, on="value", maintain_order="left").filter(pl.col("started_at") <= pl.col("valid_until"))
        keys = ["orig_ip", "resp_ip", "indicator"]
        for row in gathered_parts(met, keys, examples=pl.col("value").unique(maintain_order=True).head(8)):
            met_with = self._index.indicators[row["indicator"]]
            scope = Scope(row["orig_ip"], row["resp_ip"], place, met_with.kind, met_with.value)
            case = self._book[scope]
            case.absorb(row)
            case.show(row["examples"])
            yield scope

    def _note_resolvers(self, frame: pl.DataFrame) -> None:
        """Note which hosts inside answer the questions of others: they ask on for these."""
        asked = frame.filter((pl.col("resp_port") == DNS_PORT) & pl.col("resp_inside"))
        self._resolvers.update(asked["resp_ip"].unique().sort().head(MOST_RESOLVERS - len(self._resolvers)))

    def _judge(self, scope: Scope, case: Case) -> Finding | None:
        sighting, settings = PLACES[scope.sighting], self._settings
        row = self._index.row(scope.kind, scope.value)
        if row is None:  # nobody says it any more
            return None
        confidence = self._index.confidence(row, case.last_seen)
        if confidence < LEAST or (sighting.is_mention and scope.orig in self._resolvers):
            return None
        score = settings.least_score + settings.confidence_score * confidence
        factor = settings.inbound_factor if sighting.is_caller and not is_inside(scope.orig) else 1.0
        factor *= settings.mention_factor if sighting.is_mention else 1.0
        indicator, value = self._index.indicators[row], next(iter(case.examples), "")
        return Finding(
            category="indicator_match",
            techniques=self._techniques(row),
            score=score * factor,
            orig=scope.orig,
            resp=None if sighting.is_mention else scope.resp,
            summary=f"{value}, the {sighting.what} in {plural(case.flows, 'flow')} from {scope.orig} to {scope.resp}, "
            f"is known as a threat: {self._said(row)}",
            size=case.flows,
            measures={"confidence": round(confidence, 4)},
            thresholds={"confidence": LEAST},
            rule=f"{indicator.kind} {indicator.value} {sighting.what}",
        )

    def _techniques(self, row: int) -> tuple[Technique, ...]:
        """Return the techniques that an indicator states, or that of what its labels call command and control."""
        about = self._index.indicators[row].about
        stated = tuple(technique_called(each, each) for each in about.techniques)
        is_control = any(word in label.lower() for label in about.labels for word in CONTROL)
        return stated or ((technique(APPLICATION_LAYER),) if is_control else ())

    def _said(self, row: int) -> str:
        """Say what sources say about an indicator."""
        indicator, warning = self._index.indicators[row], self._index.warnings[row]
        about = indicator.about
        meaning = f" of {listed(about.threats[:3])}" if about.threats else ""
        labels = f", labelled {', '.join(about.labels[:4])}" if about.labels else ""
        doubt = f"; it {warning.reason}, so it counts less" if warning.reason else ""
        return f"{indicator.kind} {indicator.value}{meaning} from {listed(about.sources[:3])}{labels}{doubt}"


DNS_PORT = 53
MOST_RESOLVERS = 4_096
KEPT = ("flow_id", "first_packet", "started_at", "ended_at", "orig_ip", "resp_ip")
APPLICATION_LAYER = "T1071"
CONTROL = ("c2", "c&c", "command-and-control", "command and control", "botnet_cc", "beacon")
"""How labels call servers that infected hosts obey."""


def _urls(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a row for each request, with its URL as indicators write it: host and target, without the scheme."""
    sound = pl.col("http_hosts").list.len() == pl.col("http_uris").list.len()
    requests = frame.filter(sound).select(*KEPT, "http_hosts", "http_uris").explode("http_hosts", "http_uris")
    host = pl.col("http_hosts").str.to_lowercase().str.replace(r":80$", "")
    path = pl.col("http_uris").str.replace(r"^[a-z]+://[^/]*", "")
    return requests.select(*KEPT, value=host + path)
