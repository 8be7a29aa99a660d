"""Bots: programs that take orders over IRC, or report again and again by small posts to a bare address."""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec
import polars as pl

from infraspectre.ml.bounded import BoundedTable, DistinctCounter
from infraspectre.ml.robust import log_ramp
from infraspectre.records import Detection
from infraspectre.records.words import plural
from infraspectre.soma.callers import Callers
from infraspectre.soma.detector import (
    SECOND,
    Case,
    Casebook,
    Finding,
    Row,
    few_hosts,
    gathered,
    host_of,
    in_seconds,
)
from infraspectre.soma.sides import outward
from infraspectre.soma.techniques import (
    APPLICATION_PROTOCOL,
    ASYMMETRIC_CRYPTOGRAPHY,
    NON_STANDARD_PORT,
    WEB_PROTOCOLS,
)
from infraspectre.soma.unusual_port import USUAL_PORTS

IRC_TLS_PORT = 6_697
"""Port of IRC in TLS (RFC 7194)."""
TLS_PORTS = (443, *(port for port in USUAL_PORTS["tls"] if port != IRC_TLS_PORT))
"""Ports at which TLS is at home, where talk that lasts is that of services."""
IRC_PORTS = (194, 994, 6_660, 6_661, 6_662, 6_663, 6_664, 6_665, 6_666, 6_667, 6_668, 6_669, 6_697, 7_000)
"""Ports of IRC (RFC 7194, IANA, and wide custom)."""
MADE_NAME = re.compile(r"^[\[{(|<]|\d{3}|^[a-z]{2,3}[|_-].*\d|bot|^(?=.*\d)[a-z0-9]{10,}$", re.IGNORECASE)
"""Names that programs make: fields in brackets, long numbers, a country's code, or many letters mixed with digits."""
ORDER = (
    r"(?i)^[.!@$~]\s?(?:\w+[. ])?(?:ddos|udp|syn|tcp|http|flood|attack|scan|spread|adv|update|download|dl|exec|cmd|"
    r"shell|run|login|auth|kill|die|stop|visit|open|rndnick|sysinfo|info|version|uninstall|remove|mine|keylog|pscan|socks)"
)
"""Orders to bots, which begin with a mark and a verb (Barford and Yegneswaran, An Inside Look at Botnets, 2007)."""
ADDRESS = r"^(?:(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-fA-F:]+\])(?::\d+)?)?$"
"""A Host header that is an address, or is absent."""
BROWSERS = "Mozilla/5.0 "
"""Begins the user agent of every browser of this age (RFC 9110, 10.1.5, and wide custom); others are programs."""


TALK = frozenset({"orig_data_packets", "resp_data_packets", "orig_payload_bytes", "resp_payload_bytes"})
"""Columns that tell how much was said, and in how many messages."""


class BotSettings(msgspec.Struct, frozen=True):
    """Sets the thresholds of bots."""

    irc_score: float = 0.4
    """Score of talk in IRC: some people do."""
    hidden_score: float = 0.5
    """Score of talk that lasts in TLS, on a port of IRC or on one where TLS is not at home."""
    hidden_s: float = 600.0
    """Time for which it lasts at least: signs of life come every few minutes."""
    hidden_gap_s: float = 5.0
    """Least mean time between its messages: transfers and terminals are quicker."""
    hidden_bytes: float = 500.0
    """Greatest mean message: a line of IRC has 512 bytes at most (RFC 1459), and few are long."""
    sign_score: float = 0.15
    """What each sign of a program adds: a made name, an order, a port that is not IRC's."""
    talkers: int = 6
    """Hosts that may talk so with the same server: a service of the site has more."""
    posts: int = 8
    """Posts to one address: with fewer it may be a form."""
    span_s: float = 600.0
    """Time over which they are made: a person who fills forms is done by then."""
    post_bytes: float = 8_192.0
    """Greatest mean post: reports are small, uploads are not."""
    uris: int = 3
    """Different targets: reports go to one gate."""
    callers: int = 3
    """Hosts that may post there: what more post to is a service of the site."""
    post_score: float = 0.45
    """Score of such posts to a bare address."""
    program_score: float = 0.1
    """What a missing or odd user agent adds."""
    full_posts: int = 200
    """Posts at which the score is full."""
    capacity: int = 8_192
    """Cases kept."""


class Scope(NamedTuple):
    """Identifies who talks with whom, and how."""

    orig: str
    resp: str
    port: int
    app: str


class BotCase(Case):
    """Sums up what a bot said or posted."""

    def __init__(self) -> None:
        """Start with nothing said."""
        super().__init__()
        self.is_hidden = True
        self.connected_ns = 0
        self.messages = 0
        self.said_bytes = 0
        self.nick = ""
        self.channel = ""
        self.order = ""
        self.posts = 0
        self.bytes = 0
        self.uris: dict[str, None] = {}
        self.agent: str | None = None


class Bot:
    """Finds hosts that are ordered about over IRC, and those that report by small posts."""

    name = "bot"
    columns = frozenset({"app_protocol", "tcp_state", "orig_port"})
    helpful = frozenset(
        {"irc_nick", "irc_channels", "irc_texts", "http_methods", "http_hosts", "http_uris", "http_user_agents"}
        | {"http_referrers", "http_request_body_bytes", "http_request_count", "orig_syn_packets"}
        | TALK
    )

    def __init__(self, settings: BotSettings | None = None) -> None:
        """Start with no case."""
        self._settings = settings or BotSettings()
        self._book: Casebook[Scope, BotCase] = Casebook(self.name, self._settings.capacity, BotCase, self._judge)
        self._callers = Callers(self._settings.callers, self._settings.capacity)
        self._talkers: BoundedTable[tuple[str, int], DistinctCounter] = BoundedTable(self._settings.capacity, few_hosts)

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        """Return bots that became certain."""
        touched: list[Scope] = []
        if {"irc_nick", "irc_channels", "irc_texts"} | TALK <= set(frame.columns):
            is_hidden = (pl.col("app_protocol") == "tls") & ~pl.col("resp_port").is_in(TLS_PORTS)
            talk = outward(frame.filter(pl.col("app_protocol").is_in(["irc", "tls"])))
            touched += self._chats(talk.filter((pl.col("app_protocol") == "irc") | is_hidden))
        if set(frame.columns) >= HTTP:
            touched += self._posts(_reports(frame))
        return self._book.review(touched)

    def finish(self) -> list[Detection]:
        """Return bots that grew since their last report."""
        return self._book.close()

    def _chats(self, talk: pl.DataFrame) -> list[Scope]:
        texts = pl.col("irc_texts").explode().drop_nulls()
        rows = gathered(
            talk,
            ["orig_ip", "resp_ip", "resp_port"],
            orig_hash=pl.col("orig_ip").hash().first(),
            hidden=(pl.col("app_protocol") == "tls").all(),
            connected_ns=(pl.col("ended_at") - pl.col("started_at")).sum(),
            messages=(pl.col("orig_data_packets") + pl.col("resp_data_packets")).sum(),
            said_bytes=(pl.col("orig_payload_bytes") + pl.col("resp_payload_bytes")).sum(),
            nick=pl.col("irc_nick").drop_nulls().first(),
            channel=pl.col("irc_channels").list.first().drop_nulls().first(),
            order=texts.filter(texts.str.contains(ORDER)).first(),
        )
        return [self._chat(row) for row in rows]

    def _chat(self, row: Row) -> Scope:
        scope = Scope(row["orig_ip"], row["resp_ip"], row["resp_port"], "irc")
        case = self._book[scope]
        case.absorb(row)
        case.is_hidden &= row["hidden"]
        case.sum_up(row, "connected_ns", "messages", "said_bytes")
        self._talkers[(scope.resp, scope.port)].update([row["orig_hash"]])
        for name in ("nick", "channel", "order"):
            setattr(case, name, getattr(case, name) or row[name] or "")
        case.show([row["nick"], row["channel"], row["order"]])
        return scope

    def _posts(self, posts: pl.DataFrame) -> list[Scope]:
        rows = gathered(
            posts,
            ["orig_ip", "resp_ip", "resp_port"],
            posts=pl.col("http_request_count").sum(),
            bytes=pl.col("http_request_body_bytes").sum(),
            uris=pl.col("http_uris").explode().unique(maintain_order=True).head(self._settings.uris + 1),
            agent=pl.col("http_user_agents").list.first().first(),
        )
        return [self._post(row) for row in rows]

    def _post(self, row: Row) -> Scope:
        scope = Scope(row["orig_ip"], row["resp_ip"], row["resp_port"], "http")
        case = self._book[scope]
        case.absorb(row)
        case.posts += row["posts"]
        case.bytes += row["bytes"] or 0
        if len(case.uris) <= self._settings.uris:
            case.uris |= dict.fromkeys(row["uris"])
        case.agent = row["agent"] if case.agent is None else case.agent
        case.show(row["uris"])
        self._callers.note(scope.resp, scope.orig)
        return scope

    def _judge(self, scope: Scope, case: BotCase) -> Finding | None:
        return self._irc(scope, case) if scope.app == "irc" else self._http(scope, case)

    def _irc(self, scope: Scope, case: BotCase) -> Finding | None:
        settings, is_odd = self._settings, scope.port not in IRC_PORTS
        if case.is_hidden and not self._is_chat(scope, case):
            return None
        base = settings.hidden_score if case.is_hidden else settings.irc_score
        signs = (is_odd and not case.is_hidden) + bool(case.order) + bool(MADE_NAME.search(case.nick))
        techniques = (APPLICATION_PROTOCOL, ASYMMETRIC_CRYPTOGRAPHY) if case.is_hidden else (APPLICATION_PROTOCOL,)
        where = host_of(scope.resp, scope.port)
        said = (
            f"{scope.orig} exchanged a few small messages in TLS now and then, as in IRC, with {where}"
            if case.is_hidden
            else f"{scope.orig} was in IRC as {case.nick or 'somebody'} on {where}, channel {case.channel or 'none'},"
        )
        ordered = f" and was told {case.order!r}" if case.order else ""
        return Finding(
            category="irc_bot",
            techniques=(*techniques, NON_STANDARD_PORT) if is_odd else techniques,
            orig=scope.orig,
            resp=scope.resp,
            score=base + settings.sign_score * signs,
            summary=f"{said} for {in_seconds(case.duration_s)}{ordered}",
            size=case.flows,
            measures={"signs": signs},
            thresholds={"flows": 1},
        )

    def _is_chat(self, scope: Scope, case: BotCase) -> bool:
        """Tell whether what is hidden lasts, says little at a time, and is no service of the site."""
        settings, connected_s = self._settings, case.connected_ns / SECOND
        return (
            connected_s >= max(settings.hidden_s, case.messages * settings.hidden_gap_s)
            and case.said_bytes <= settings.hidden_bytes * case.messages
            and self._talkers[(scope.resp, scope.port)].count() <= settings.talkers
        )

    def _http(self, scope: Scope, case: BotCase) -> Finding | None:
        settings = self._settings
        if not self._reports_to_gate(scope, case):
            return None
        is_program = not (case.agent or "").startswith(BROWSERS)
        many = log_ramp(case.posts, settings.posts, settings.full_posts)
        return Finding(
            category="http_bot",
            techniques=(WEB_PROTOCOLS,),
            orig=scope.orig,
            resp=scope.resp,
            score=settings.post_score + settings.program_score * is_program + 0.1 * many,
            summary=f"{scope.orig} posted {plural(case.posts, 'time')} some {case.bytes / case.posts:.0f} bytes to "
            f"{next(iter(case.uris), '')} at the bare address {host_of(scope.resp, scope.port)} in "
            f"{in_seconds(case.duration_s)}, with the user agent {case.agent or 'left out'}",
            size=case.posts,
            measures={"posts": case.posts, "mean_bytes": case.bytes / case.posts, "targets": len(case.uris)},
            thresholds={"posts": settings.posts, "targets": settings.uris, "mean_bytes": settings.post_bytes},
        )

    def _reports_to_gate(self, scope: Scope, case: BotCase) -> bool:
        settings = self._settings
        return (
            case.posts >= settings.posts
            and case.duration_s >= settings.span_s
            and case.bytes <= settings.post_bytes * case.posts
            and len(case.uris) <= settings.uris
            and self._callers.are_few(scope.resp)
        )


HTTP = frozenset(
    {"http_methods", "http_hosts", "http_uris", "http_user_agents", "http_request_body_bytes", "http_request_count"}
    | {"http_referrers"}
)
"""Columns that posts are told by."""


def _reports(frame: pl.DataFrame) -> pl.DataFrame:
    """Keep flows to outside addresses that hold posts alone, without a referrer, to a Host that is an address."""
    is_posted = pl.col("http_methods").list.eval(pl.element() == "POST").list.all()
    is_bare = pl.col("http_hosts").list.eval(pl.element().str.contains(ADDRESS)).list.all()
    is_cold = pl.col("http_referrers").list.eval(pl.element() == "").list.all()
    is_asked = pl.col("http_request_count") > 0
    return frame.filter(
        (pl.col("app_protocol") == "http")
        & pl.col("orig_inside")
        & ~pl.col("resp_inside")
        & is_asked
        & is_posted
        & is_bare
        & is_cold
    )
