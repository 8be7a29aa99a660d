"""Scans: one host trying many ports of a host, or many hosts, and mostly finding nothing."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import polars as pl

from infraspectre.ml.bounded import DistinctCounter, SmallIntegers
from infraspectre.ml.robust import log_ramp
from infraspectre.records import Detection, Technique
from infraspectre.soma.detector import Case, Casebook, Finding, Row, gathered, in_seconds
from infraspectre.soma.doorstep import Doorstep
from infraspectre.soma.techniques import NETWORK_SERVICE_DISCOVERY, REMOTE_SYSTEM_DISCOVERY, SCANNING_IP_BLOCKS


class ScanSettings(msgspec.Struct, frozen=True):
    """Sets the thresholds of scan detection."""

    ports: int = 10
    """Ports of one host tried in vain: passive FTP, portmappers and broken clients stay below it."""
    hosts: int = 15
    """Hosts tried in vain on one port: browsers meet a few dead hosts a day, a sweep tries at least a /28."""
    echo_hosts: int = 15
    """Hosts pinged: monitors and route probes ping a handful."""
    failed_share: float = 0.5
    """Share of attempts in vain: a busy client mostly reaches what it calls."""
    full_scale: int = 100
    """Multiple of the threshold at which the score is full: a scan of 1,000 ports is as sure as it gets."""
    outside_weight: float = 0.8
    """Factor for scans from outside, the daily noise of the Internet."""
    peers_weight: float = 0.7
    """Factor for unanswered UDP to hosts outside, for peer-to-peer programs call peers long gone."""
    capacity: int = 32_768
    """Cases kept."""


TRACEROUTE_PORTS = (33_434, 33_534)
"""Destination ports of UDP traceroute (Van Jacobson's default base and its usual reach)."""
FAILED_STATES = ("S0", "REJ", "RSTOS0", "RSTRH", "SH", "SHR")
"""Zeek connection states of attempts refused or unanswered."""
PROBE_STATES = (*FAILED_STATES, "RSTO", "RSTR", "SF", "S1", "S2", "S3")
"""States in which a connection that carries no data is a probe."""
ECHO_REQUEST = {"icmp": 8, "icmp6": 128}
"""Message types of echo requests (RFC 792, RFC 4443)."""


REACHED_KEPT = 64
"""Hashes by which the hosts that a case reached are counted: exactly up to twice as many, estimated beyond."""
VERTICAL = ("orig_ip", "resp_ip", "protocol")
"""Columns that tell who tries the ports of whom."""


class Scope(NamedTuple):
    """Identifies a scan: ports of one host (no port), or one port of many hosts (no resp)."""

    orig: str
    resp: str | None
    protocol: str
    port: int | None


class ScanCase(Case):
    """Counts the ports and hosts that were tried, and the attempts that reached something."""

    def __init__(self) -> None:
        """Start with no attempt."""
        super().__init__()
        self.ports = SmallIntegers()
        self.hosts = DistinctCounter()
        self.reached: DistinctCounter | None = None
        self.is_orig_inside = True
        self.is_resp_inside = True


class Scan:
    """Finds port scans, host sweeps and ping sweeps; slow ones too, for counts have no window."""

    name = "scan"
    columns = frozenset(
        {"tcp_state", "orig_port", "orig_payload_bytes", "resp_payload_bytes", "resp_packets", "orig_ack_packets"}
    )
    helpful = frozenset[str]()

    def __init__(self, settings: ScanSettings | None = None) -> None:
        """Start with no case."""
        self._settings = settings or ScanSettings()
        self._doorstep = Doorstep(VERTICAL, self._settings.capacity)
        self._book: Casebook[Scope, ScanCase] = Casebook(self.name, self._settings.capacity, ScanCase, self._judge)

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        """Return scans that passed their thresholds or grew tenfold."""
        attempts = frame.filter(~pl.col("resp_group")).with_columns(probe=_is_probe(), hash=pl.col("resp_ip").hash())
        probes = attempts.filter("probe")
        again = self._doorstep.admit(probes)
        vertical = [self._ports_of(row) for row in gathered(again, list(VERTICAL), **_ports_tried())]
        horizontal = [
            self._hosts_on(row) for row in gathered(probes, ["orig_ip", "protocol", "resp_port"], **_hosts_tried())
        ]
        self._count_reached(attempts.filter(~pl.col("probe")))
        return self._book.review(vertical + horizontal)

    def finish(self) -> list[Detection]:
        """Return scans that grew since their last report."""
        return self._book.close()

    def _ports_of(self, row: Row) -> Scope:
        return self._absorb(Scope(row["orig_ip"], row["resp_ip"], row["protocol"], None), row)

    def _hosts_on(self, row: Row) -> Scope:
        return self._absorb(Scope(row["orig_ip"], None, row["protocol"], row["resp_port"]), row)

    def _absorb(self, scope: Scope, row: Row) -> Scope:
        case = self._book[scope]
        case.absorb(row)
        if scope.resp is None:
            case.hosts.update(row["hosts"])
            case.show(row["hosts_shown"])
        else:
            case.ports.update(row["ports"])
        case.is_orig_inside, case.is_resp_inside = row["orig_inside"], row["resp_inside"]
        return scope

    def _count_reached(self, answered: pl.DataFrame) -> None:
        keys = ["orig_ip", "protocol", "resp_port"]
        for orig, protocol, port, hosts in (
            answered.group_by(keys, maintain_order=True).agg(pl.col("hash").unique(maintain_order=True)).iter_rows()
        ):
            case = self._book.cases.get(Scope(orig, None, protocol, port))
            if case is not None:
                case.reached = case.reached or DistinctCounter(REACHED_KEPT)
                case.reached.update(hosts)

    def _judge(self, scope: Scope, case: ScanCase) -> Finding | None:
        return self._port_scan(scope, case) if scope.port is None else self._sweep(scope, case)

    def _port_scan(self, scope: Scope, case: ScanCase) -> Finding | None:
        ports, least = len(case.ports), self._settings.ports
        if ports < least or scope.protocol not in ("tcp", "udp"):
            return None
        return Finding(
            category="port_scan",
            techniques=self._techniques(case, NETWORK_SERVICE_DISCOVERY),
            score=self._score(ports, least, case),
            orig=scope.orig,
            resp=scope.resp,
            summary=f"{scope.orig} tried {ports:,} {scope.protocol.upper()} ports of {scope.resp} "
            f"in {in_seconds(case.duration_s)} without exchanging data",
            size=ports,
            measures={"distinct_ports": ports, "duration_s": case.duration_s},
            thresholds={"distinct_ports": least},
        )

    def _sweep(self, scope: Scope, case: ScanCase) -> Finding | None:
        is_ping = scope.protocol in ECHO_REQUEST
        least = self._settings.echo_hosts if is_ping else self._settings.hosts
        if case.flows < least or (hosts := case.hosts.count()) < least:
            return None
        reached = case.reached.count() if case.reached else 0
        share = hosts / (hosts + reached)
        if share < self._settings.failed_share:
            return None
        is_peers = scope.protocol == "udp" and not case.is_resp_inside
        target = "pinged" if is_ping else f"tried {scope.protocol.upper()} port {scope.port} of"
        about = "" if case.hosts.is_exact else "about "
        return Finding(
            category="ping_sweep" if is_ping else "host_sweep",
            techniques=self._techniques(case, REMOTE_SYSTEM_DISCOVERY),
            score=self._score(hosts, least, case) * (self._settings.peers_weight if is_peers else 1.0),
            orig=scope.orig,
            resp=None,
            summary=f"{scope.orig} {target} {about}{hosts:,} hosts in {in_seconds(case.duration_s)}"
            + ("" if is_ping else f" in vain and reached {reached:,}"),
            size=hosts,
            measures={
                "distinct_hosts": hosts,
                "reached_hosts": reached,
                "failed_share": share,
                "duration_s": case.duration_s,
            },
            thresholds={"distinct_hosts": least, "failed_share": self._settings.failed_share},
        )

    def _score(self, size: int, least: int, case: ScanCase) -> float:
        """Rise from 0.45 at the threshold to 0.89, still high, at full scale, with the logarithm of the size."""
        score = 0.45 + 0.44 * log_ramp(size, least, least * self._settings.full_scale)
        return score if case.is_orig_inside else score * self._settings.outside_weight

    def _techniques(self, case: ScanCase, inside: Technique) -> tuple[Technique, ...]:
        return (inside,) if case.is_orig_inside or not case.is_resp_inside else (SCANNING_IP_BLOCKS,)


def _ports_tried() -> dict[str, pl.Expr]:
    return {"ports": pl.col("resp_port").drop_nulls().unique(maintain_order=True)} | _where()


def _hosts_tried() -> dict[str, pl.Expr]:
    return {"hosts": pl.col("hash").unique(maintain_order=True), "hosts_shown": pl.col("resp_ip").head(8)} | _where()


def _where() -> dict[str, pl.Expr]:
    return {side: pl.col(side).first() for side in ("orig_inside", "resp_inside")}


def _is_probe() -> pl.Expr:
    """Tell whether a flow looks like a probe: no data either way, or nothing came back."""
    is_silent = (pl.col("orig_payload_bytes") == 0) & (pl.col("resp_payload_bytes") == 0)
    is_client = (pl.col("orig_port") >= 1_024) | (pl.col("resp_port") < 1_024)
    is_answered = (pl.col("resp_packets") > 0) | (pl.col("orig_ack_packets") == 0)
    is_midway = (pl.col("tcp_state") == "OTH") & is_client & is_answered & (pl.col("resp_port") < pl.col("orig_port"))
    is_bare = is_silent & (pl.col("tcp_state").is_in(PROBE_STATES) | is_midway)
    tcp = (pl.col("protocol") == "tcp") & (is_bare | _is_logged_failure()).fill_null(value=False)
    is_traceroute = pl.col("resp_port").is_between(*TRACEROUTE_PORTS)
    udp = (pl.col("protocol") == "udp") & (pl.col("resp_packets") == 0) & is_client & ~is_traceroute
    echo = pl.any_horizontal(
        (pl.col("protocol") == protocol) & (pl.col("orig_port") == kind) for protocol, kind in ECHO_REQUEST.items()
    )
    return (tcp | udp | echo).fill_null(value=False)


def _is_logged_failure() -> pl.Expr:
    """Tell whether a log that says nothing of payload, as Zeek's for attempts, says that nothing came back."""
    is_failed = pl.col("tcp_state").is_in(FAILED_STATES)
    is_unanswered = pl.col("tcp_state").is_null() & (pl.col("resp_packets") == 0)
    return pl.col("resp_payload_bytes").is_null() & (is_failed | is_unanswered).fill_null(value=False)
