"""Protocols where they do not belong: SSH on the web's port, web on a port nobody else uses, noise on a known port."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import polars as pl

from infraspectre.ml.bounded import BoundedTable
from infraspectre.records import Detection
from infraspectre.records.words import plural
from infraspectre.soma.detector import Case, Casebook, Finding, Row, gathered, host_of
from infraspectre.soma.techniques import NON_STANDARD_PORT

USUAL_PORTS: dict[str, tuple[int, ...]] = {
    "ssh": (22, 2_022, 2_222, 830),
    "rdp": (3_389,),
    "smb": (139, 445),
    "ftp": (21, 2_121),
    "smtp": (25, 465, 587, 2_525),
    "dns": (53, 853, 5_353, 5_355, 5_354, 137),
    "kerberos": (88, 464),
    "ntp": (123,),
    "http": (80, 81, 591, 631, 1_900, 2_869, 3_000, 3_128, 5_000, 5_357, 5_985, 7_001, 8_000, 8_008, 8_080, 8_081,
             8_088, 8_089, 8_090, 8_888, 9_000, 9_090, 9_200, 47_001),
    "tls": (443, 465, 563, 587, 636, 853, 989, 990, 992, 993, 994, 995, 3_269, 3_389, 5_061, 5_223, 5_228, 5_671, 5_986,
            6_443, 6_514, 6_697, 8_443, 8_883, 9_443),
}  # fmt: skip
"""Ports on which each protocol is at home (IANA port numbers and wide custom)."""
STRICT = frozenset({"ssh", "rdp", "smb", "ftp", "smtp", "dns", "kerberos", "ntp"})
"""Protocols that seldom live elsewhere; web protocols run on many ports."""
UPGRADES = frozenset(
    {
        (21, "tls"),
        (25, "tls"),
        (110, "tls"),
        (143, "tls"),
        (389, "tls"),
        (5_222, "tls"),
        (5_269, "tls"),
        (80, "tls"),
        (443, "http"),
    }
)
"""Pairs of port and protocol that are not odd: STARTTLS, and the web's two ports."""


class UnusualPortSettings(msgspec.Struct, frozen=True):
    """Sets the scores of protocols on unusual ports."""

    masked_score: float = 0.6
    """Score of a strict protocol on the port of another: meant to pass a firewall."""
    strict_score: float = 0.4
    """Score of a strict protocol on any other port: moved by administrators too."""
    loose_score: float = 0.3
    """Score of web protocols on an odd port used by one or two hosts."""
    unknown_score: float = 0.4
    """Score of an unknown protocol on a web port, often a private channel."""
    users: int = 2
    """Hosts that may use the odd port: what many use is a service of the site."""
    unknown_flows: int = 3
    """Flows of an unknown protocol to one web port before it counts: one may be cut short."""
    odd_destinations: int = 10
    """Reports per host and protocol; peer-to-peer programs would give thousands."""
    capacity: int = 8_192
    """Cases kept."""


KNOWN_PORTS = {port: protocol for protocol, ports in USUAL_PORTS.items() for port in ports if port < 1_024}
WEB_PORTS = (80, 443)


class Scope(NamedTuple):
    """Identifies who speaks which protocol to which port."""

    orig: str
    resp: str
    port: int
    app: str


class SpokenCase(Case):
    """Remembers where the destination is."""

    def __init__(self) -> None:
        """Start with nothing heard."""
        super().__init__()
        self.is_outside = False


class UnusualPort:
    """Finds protocols on ports of others, on odd ports, and unknown ones on the web's ports."""

    name = "unusual_port"
    columns = frozenset({"app_protocol", "tcp_state", "orig_port", "orig_payload_bytes", "resp_payload_bytes"})
    helpful = frozenset[str]()

    def __init__(self, settings: UnusualPortSettings | None = None) -> None:
        """Start with no case."""
        self._settings = settings or UnusualPortSettings()
        self._book: Casebook[Scope, SpokenCase] = Casebook(self.name, self._settings.capacity, SpokenCase, self._judge)
        self._users: BoundedTable[tuple[int, str], dict[str, None]] = BoundedTable(self._settings.capacity, dict)
        self._destinations: BoundedTable[tuple[str, str], dict[str, None]] = BoundedTable(self._settings.capacity, dict)
        self._knows_protocols = False

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        """Return protocols newly seen out of place."""
        self._knows_protocols |= frame["app_protocol"].is_not_null().any()
        spoken = frame.filter(_is_conversation() & ~pl.col("resp_group")).with_columns(
            app=pl.col("app_protocol").fill_null("")
        )
        rows = gathered(
            spoken.filter(_is_odd()),
            ["orig_ip", "resp_ip", "resp_port", "app"],
            resp_inside=pl.col("resp_inside").first(),
        )
        return self._book.review([self._absorb(row) for row in rows])

    def finish(self) -> list[Detection]:
        """Return what grew since its last report."""
        return self._book.close()

    def _absorb(self, row: Row) -> Scope:
        scope = Scope(row["orig_ip"], row["resp_ip"], row["resp_port"], row["app"])
        case = self._book[scope]
        case.absorb(row)
        case.is_outside = not row["resp_inside"]
        _remember(self._users[(scope.port, scope.app)], scope.orig, self._settings.users + 1)
        _remember(self._destinations[(scope.orig, scope.app)], scope.resp, self._settings.odd_destinations + 1)
        return scope

    def _judge(self, scope: Scope, case: SpokenCase) -> Finding | None:
        score = self._score(scope, case)
        if score is None or self._is_common(scope):
            return None
        spoken = scope.app.upper() or "no known protocol"
        usual = KNOWN_PORTS.get(scope.port)
        where = f"the port of {usual.upper()}" if usual else "a port where it is not usual"
        return Finding(
            category="rare_protocol_port",
            techniques=(NON_STANDARD_PORT,),
            score=score,
            orig=scope.orig,
            resp=scope.resp,
            summary=f"{scope.orig} spoke {spoken} to {host_of(scope.resp, scope.port)}, {where}, "
            f"in {plural(case.flows, 'flow')}",
            size=case.flows,
            measures={"resp_port": scope.port, "users_of_port": len(self._users.get((scope.port, scope.app)) or ())},
            thresholds={"users_of_port": self._settings.users},
        )

    def _score(self, scope: Scope, case: SpokenCase) -> float | None:
        settings = self._settings
        if not scope.app:
            is_enough = self._knows_protocols and case.flows >= settings.unknown_flows and case.is_outside
            return settings.unknown_score if is_enough else None
        if scope.app in STRICT:
            return settings.masked_score if scope.port in KNOWN_PORTS else settings.strict_score
        return settings.loose_score if case.is_outside else None

    def _is_common(self, scope: Scope) -> bool:
        users = self._users.get((scope.port, scope.app)) or {}
        destinations = self._destinations.get((scope.orig, scope.app)) or {}
        return len(users) > self._settings.users or len(destinations) > self._settings.odd_destinations


def _remember(names: dict[str, None], name: str, most: int) -> None:
    if len(names) < most:
        names[name] = None


def _is_conversation() -> pl.Expr:
    """Tell whether both sides sent data, in TCP from the handshake on."""
    is_whole = (pl.col("protocol") == "udp") | pl.col("tcp_state").is_in(["SF", "S1", "S2", "S3", "RSTO", "RSTR"])
    return is_whole & (pl.col("orig_payload_bytes") > 0) & (pl.col("resp_payload_bytes") > 0)


def _is_odd() -> pl.Expr:
    """Tell whether a known protocol is away from home on both sides, or an unknown one at the web's."""
    away = [
        (pl.col("app") == app) & ~pl.col("resp_port").is_in(list(ports)) & ~pl.col("orig_port").is_in(list(ports))
        for app, ports in USUAL_PORTS.items()
    ]
    upgraded = [(pl.col("resp_port") == port) & (pl.col("app") == app) for port, app in sorted(UPGRADES)]
    is_unknown = (pl.col("app") == "") & pl.col("resp_port").is_in(list(WEB_PORTS)) & (pl.col("protocol") == "tcp")
    return (pl.any_horizontal(away) & ~pl.any_horizontal(upgraded)) | is_unknown
