"""Scans: one host trying many ports of a host, many hosts, or both, and mostly finding nothing."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import polars as pl

from infraspectre.ml.bounded import DistinctCounter, SmallIntegers
from infraspectre.ml.robust import log_ramp
from infraspectre.records import Detection, Technique
from infraspectre.soma.detector import SECOND, Case, Casebook, Finding, Row, gathered, in_seconds
from infraspectre.soma.doorstep import Doorstep
from infraspectre.soma.standing import Standing
from infraspectre.soma.techniques import NETWORK_SERVICE_DISCOVERY, REMOTE_SYSTEM_DISCOVERY, SCANNING_IP_BLOCKS
from infraspectre.soma.waiting import Waiting


class ScanSettings(msgspec.Struct, frozen=True):
    """Sets the thresholds of scan detection."""

    ports: int = 10
    """Ports of one host tried in vain: passive FTP, portmappers and broken clients stay below it."""
    touched: int = 15
    """Ports of one inside host tried in vain, or asked briefly: a client of a directory server needs some ten."""
    asked_bytes: int = 256
    """Most bytes of a brief question: what a service is, is asked with a line (Nmap's service probes)."""
    asked_ms: float = 10_000.0
    """Longest such talk."""
    hosts: int = 15
    """Hosts tried in vain on one port: browsers meet a few dead hosts a day, a sweep tries at least a /28."""
    echo_hosts: int = 15
    """Hosts pinged: monitors and route probes ping a handful."""
    doors: int = 25
    """Pairs of inside host and port tried in vain: what is out of order at a site is a handful of them."""
    doors_hosts: int = 3
    """Hosts of such pairs, and ports: what concerns one host or port is a scan of its ports, or a sweep."""
    named_hosts: int = 8
    """Hosts whose ports one host tries up to which each is named; beyond, the scan of the network is named alone."""
    failed_share: float = 0.5
    """Share of attempts in vain: a busy client mostly reaches what it calls."""
    rounds: float = 1.5
    """Most visits of each host where all answer: who scans comes once, who monitors comes again."""
    echoes: float = 5.0
    """Most echo requests to each host where all answer: ping sends four on Windows, a sweep one or two."""
    patience_s: float = 3_600.0
    """How long a visit of hosts that all answer is watched for a second round; monitors come by within the hour."""
    full_scale: int = 100
    """Multiple of the threshold at which the score is full: a scan of 1,000 ports is as sure as it gets."""
    outside_weight: float = 0.95
    """Factor for scans from outside, the daily noise of the Internet."""
    pause_s: float = 3_600.0
    """Pause without anything new after which a scan not yet told begins afresh: a client that calls what is gone is no
    part of what somebody does on its machine hours later."""
    scanner_hosts: int = 8
    scanner_ports: int = 10
    """Hosts, and ports, of whoever checks a site for weaknesses: who looks for a way in mostly asks for less."""
    scanner_score: float = 0.45
    """Most for a machine among servers that serves nobody, reads nothing and scans so much: sites scan themselves."""
    peers_score: float = 0.45
    """Most for programs that call peers and servers of long ago: peer-to-peer, time and name service."""
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
SYSTEM_PORTS = 1_024
"""First port that any program may use (RFC 6335)."""
SOUGHT_PORTS = (
    1_080, 1_433, 1_521, 2_323, 2_375, 3_128, 3_306, 3_389, 5_060, 5_432, 5_555, 5_900, 5_985, 6_379, 7_547, 8_000,
    8_080, 8_443, 8_888, 9_200, 11_211, 27_017, 37_215, 52_869,
)  # fmt: skip
"""Higher ports of services that worms and scans of the Internet look for (SANS DShield's and Shodan's lists)."""
EPHEMERAL = 32_768
"""First port that systems hand out by themselves (Linux; RFC 6335 begins later): services there come and go."""
PEER_PORTS = (7_680, 17_500, 22_000, 27_036, 57_621)
"""Ports by which programs look for peers of their kind in the site: Windows Delivery Optimization, Dropbox, Syncthing,
Steam and Spotify. Peers are often switched off."""
GROUP_PORTS = (137, 1_900, 3_702, 5_353, 5_355)
"""Ports from which hosts answer questions to a group, NetBIOS, SSDP, WS-Discovery, mDNS and LLMNR: each answer is a
flow of its own that goes to another port and is not answered."""
REACHED_KEPT = 64
"""Hashes by which the hosts that a case reached are counted: exactly up to twice as many, estimated beyond."""
VERTICAL = ("orig_ip", "resp_ip", "protocol")
"""Columns that tell who tries the ports of whom."""
HORIZONTAL = ("orig_ip", "protocol", "resp_port")
"""Columns that tell who tries which port of many hosts."""
NETWORK = ("orig_ip", "protocol")
"""Columns that tell who tries many ports of many hosts."""


class Scope(NamedTuple):
    """Identifies a scan: ports of one host (no port), one port of many hosts (no resp), or many of many (neither)."""

    orig: str
    resp: str | None
    protocol: str
    port: int | None


class ScanCase(Case):
    """Counts the ports, hosts and doors that were tried, and the attempts that reached something."""

    def __init__(self) -> None:
        """Start with no attempt."""
        super().__init__()
        self.ports = SmallIntegers()
        self.touched = SmallIntegers()
        self.hosts = DistinctCounter()
        self.failed = DistinctCounter()
        self.packets_sent = 0
        self.last_new = 0
        self.reached: DistinctCounter | None = None
        self.is_orig_inside = True
        self.is_resp_inside = True

    def add(self, row: Row, pause_s: float) -> None:
        """Add probes; those that try nothing new count, but do not make the scan last longer."""
        before = self._tried()
        self.ports.update(row.get("ports", ()))
        for name in ("ports", "touched"):
            self.touched.update(row.get(name, ()))
        self.hosts.update(row.get("hosts", ()))
        self.failed.update(row.get("failed", ()))
        self.packets_sent += row.get("packets_sent", 0)
        if self._tried() == before:
            self.flows += row["flows"]
            return
        self.absorb(row)
        if not self.reported and row["first_seen"] > self.last_new + pause_s * SECOND:
            self.first_seen, self.flow_ids, self.packets = row["first_seen"], row["flow_ids"], row["packets"]
        self.last_new = max(self.last_new, row["last_seen"])

    def _tried(self) -> tuple[int, ...]:
        return len(self.touched), self.hosts.count(), self.failed.count()


class Scan:
    """Finds port scans, host sweeps, scans of networks and ping sweeps; slow ones too, for counts have no window."""

    name = "scan"
    columns = frozenset(
        {
            "tcp_state",
            "orig_port",
            "duration_ms",
            "orig_payload_bytes",
            "resp_payload_bytes",
            "resp_packets",
            "orig_ack_packets",
        }
    )
    helpful = frozenset({"orig_packets"})

    def __init__(self, settings: ScanSettings | None = None) -> None:
        """Start with no case."""
        self._settings = settings = settings or ScanSettings()
        self._doorstep = Doorstep(VERTICAL, settings.capacity)
        self._standing = Standing(settings.capacity)
        self._waiting: Waiting[Scope] = Waiting(settings.patience_s, settings.capacity)
        self._book: Casebook[Scope, ScanCase] = Casebook(self.name, settings.capacity, ScanCase, self._judge)

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        """Return scans that passed their thresholds or grew tenfold."""
        self._standing.learn(frame)
        due = self._waiting.turn(frame)
        attempts = frame.filter(~pl.col("resp_group")).with_columns(
            probe=_is_probe(),
            failed=_is_failed(),
            packets_sent=pl.col("orig_packets") if "orig_packets" in frame.columns else pl.lit(1, pl.UInt32),
            hash=pl.col("resp_ip").hash(),
            door=pl.struct("resp_ip", "resp_port").hash(),
        )
        probes = attempts.filter("probe")
        network = self._gather(probes.filter(_is_within_network()), NETWORK, _doors_tried())
        vertical = self._gather(self._doorstep.admit(probes), VERTICAL, _ports_tried())
        horizontal = self._gather(probes, HORIZONTAL, _hosts_tried())
        vertical += self._gather(attempts.filter(self._is_asked()), VERTICAL, _ports_touched())
        self._count_reached(attempts.filter(~pl.col("probe")))
        return self._book.review(network + vertical + horizontal + due)

    def due(self) -> int | None:
        """Return when the first case that waits is judged."""
        return self._waiting.due()

    def turn(self, until: int) -> list[Detection]:
        """Return what waited long enough by a time up to which no flow came."""
        return self._book.review(self._waiting.turn_to(until))

    def finish(self) -> list[Detection]:
        """Return scans that grew since their last report."""
        self._waiting.end()
        return self._book.close()

    def _gather(self, probes: pl.DataFrame, keys: tuple[str, ...], tried: dict[str, pl.Expr]) -> list[Scope]:
        return [self._absorb(row) for row in gathered(probes, list(keys), **tried)]

    def _absorb(self, row: Row) -> Scope:
        scope = Scope(row["orig_ip"], row.get("resp_ip"), row["protocol"], row.get("resp_port"))
        case = self._book.opened(scope, row)
        case.add(row, self._settings.pause_s)
        case.show(row.get("hosts_shown", ()))
        case.is_orig_inside, case.is_resp_inside = row["orig_inside"], row["resp_inside"]
        return scope

    def _is_asked(self) -> pl.Expr:
        """Tell whether a service of an inside host was asked a line and answered, as to learn what it is."""
        settings = self._settings
        is_brief = pl.col("orig_payload_bytes").is_between(1, settings.asked_bytes) & (pl.col("resp_payload_bytes") > 0)
        is_service = pl.col("resp_inside") & (pl.col("resp_port") < EPHEMERAL) & (pl.col("protocol") == "tcp")
        return is_service & is_brief & (pl.col("duration_ms") <= settings.asked_ms)

    def _count_reached(self, answered: pl.DataFrame) -> None:
        """Count what a scan reached, once there is one: hosts of a sweep, doors of a network."""
        within = answered.filter(_is_within_network())
        for keys, flows, what in ((HORIZONTAL, answered, "hash"), (NETWORK, within, "door")):
            grouped = flows.group_by(keys, maintain_order=True).agg(pl.col(what).unique(maintain_order=True))
            for orig, protocol, *port, reached in grouped.iter_rows():
                case = self._book.cases.get(Scope(orig, None, protocol, *(port or [None])))
                if case is not None:
                    case.reached = case.reached or DistinctCounter(REACHED_KEPT)
                    case.reached.update(reached)

    def _judge(self, scope: Scope, case: ScanCase) -> Finding | None:
        if scope.resp is not None:
            return self._port_scan(scope, case)
        return self._network_scan(scope, case) if scope.port is None else self._sweep(scope, case)

    def _port_scan(self, scope: Scope, case: ScanCase) -> Finding | None:
        ports, least = len(case.ports), self._settings.ports
        if (touched := len(case.touched)) >= self._settings.touched:
            ports, least = touched, self._settings.touched
        if ports < least or scope.protocol not in ("tcp", "udp") or self._is_of_network(scope):
            return None
        return Finding(
            category="port_scan",
            techniques=self._techniques(case, NETWORK_SERVICE_DISCOVERY),
            score=self._score(scope, ports, least, case),
            orig=scope.orig,
            resp=scope.resp,
            summary=f"{scope.orig} tried {ports:,} {scope.protocol.upper()} ports of {scope.resp} "
            f"in {in_seconds(case.duration_s)} without exchanging {'much ' if ports > len(case.ports) else ''}data",
            size=ports,
            measures={"distinct_ports": ports, "duration_s": case.duration_s},
            thresholds={"distinct_ports": least},
        )

    def _is_of_network(self, scope: Scope) -> bool:
        """Tell whether a host whose ports are tried is one of so many that the scan of the network says it all."""
        network = self._book.cases.get(Scope(scope.orig, None, scope.protocol, None))
        return network is not None and network.hosts.count() > self._settings.named_hosts

    def _network_scan(self, scope: Scope, case: ScanCase) -> Finding | None:
        settings = self._settings
        if case.flows < settings.doors or (doors := case.failed.count()) < settings.doors:
            return None
        hosts, share = case.hosts.count(), self._failed_share(doors, case)
        if min(hosts, len(case.ports)) < settings.doors_hosts or share < settings.failed_share:
            return None
        return Finding(
            category="network_scan",
            techniques=self._techniques(case, NETWORK_SERVICE_DISCOVERY),
            score=self._score(scope, doors, settings.doors, case),
            orig=scope.orig,
            resp=None,
            summary=f"{scope.orig} tried {doors:,} {scope.protocol.upper()} ports of {hosts:,} hosts in vain "
            f"in {in_seconds(case.duration_s)}",
            size=doors,
            measures={
                "distinct_doors": doors,
                "distinct_hosts": hosts,
                "failed_share": share,
                "duration_s": case.duration_s,
            },
            thresholds={"distinct_doors": settings.doors, "failed_share": settings.failed_share},
        )

    def _sweep(self, scope: Scope, case: ScanCase) -> Finding | None:
        is_ping = scope.protocol in ECHO_REQUEST
        least = self._settings.echo_hosts if is_ping else self._settings.hosts
        if case.flows < least or (hosts := case.hosts.count()) < least:
            return None
        share = self._failed_share(hosts, case)
        if share < self._settings.failed_share or not self._is_of_scanner(scope, case, hosts, least):
            return None
        reached = case.reached.count() if case.reached else 0
        target = "pinged" if is_ping else f"tried {scope.protocol.upper()} port {scope.port} of"
        about = "" if case.hosts.is_exact else "about "
        score = self._score(scope, hosts, least, case)
        return Finding(
            category="ping_sweep" if is_ping else "host_sweep",
            techniques=self._techniques(
                case, REMOTE_SYSTEM_DISCOVERY, *(() if is_ping else (NETWORK_SERVICE_DISCOVERY,))
            ),
            score=min(score, self._settings.peers_score) if _is_of_peers(scope, case) else score,
            orig=scope.orig,
            resp=None,
            summary=f"{scope.orig} {target} {about}{hosts:,} hosts in {in_seconds(case.duration_s)}"
            + ("" if is_ping else f" without exchanging data and reached {reached:,}"),
            size=hosts,
            measures={
                "distinct_hosts": hosts,
                "reached_hosts": reached,
                "failed_share": share,
                "duration_s": case.duration_s,
            },
            thresholds={"distinct_hosts": least, "failed_share": self._settings.failed_share},
        )

    def _failed_share(self, tried: int, case: ScanCase) -> float:
        return tried / (tried + (case.reached.count() if case.reached else 0))

    def _is_of_scanner(self, scope: Scope, case: ScanCase, hosts: int, least: int) -> bool:
        """Tell a sweep from a monitor: it fails mostly, or it comes once although all answer."""
        settings, failed = self._settings, case.failed.count()
        if failed >= least and failed >= settings.failed_share * hosts:
            return True
        is_brief = scope.protocol not in ECHO_REQUEST or case.packets_sent <= settings.echoes * hosts
        return is_brief and case.flows <= settings.rounds * hosts and self._waiting.is_over(scope, case.first_seen)

    def _score(self, scope: Scope, size: int, least: int, case: ScanCase) -> float:
        """Rise from 0.5 at the threshold to 0.89, still high, at full scale, with the logarithm of the size."""
        score = 0.5 + 0.39 * log_ramp(size, least, least * self._settings.full_scale)
        if self._is_of_the_site(scope, case):
            return min(score, self._settings.scanner_score)
        return score if case.is_orig_inside else score * self._settings.outside_weight

    def _is_of_the_site(self, scope: Scope, case: ScanCase) -> bool:
        """Tell whether a machine seems to be there for scanning; one that began may still show it."""
        standing, settings = self._standing, self._settings
        if not case.is_orig_inside or standing.is_read_at(scope.orig) or standing.is_server(scope.orig):
            return False
        if not standing.is_among_servers(scope.orig):
            return False
        network = self._book.cases.get(Scope(scope.orig, None, scope.protocol, None))
        is_thorough = network is not None and (
            network.hosts.count() >= settings.scanner_hosts and len(network.ports) >= settings.scanner_ports
        )
        return is_thorough or not self._waiting.is_over(scope, case.first_seen)

    def _techniques(self, case: ScanCase, *inside: Technique) -> tuple[Technique, ...]:
        if case.is_orig_inside or not case.is_resp_inside:
            return inside
        return (SCANNING_IP_BLOCKS, NETWORK_SERVICE_DISCOVERY)


def _is_of_peers(scope: Scope, case: ScanCase) -> bool:
    """Tell whether a sweep may be a program that calls its like: one port outside, or a known one inside."""
    if case.is_resp_inside:
        return scope.port in PEER_PORTS
    is_sought = (scope.port or 0) < SYSTEM_PORTS or scope.port in SOUGHT_PORTS
    return scope.protocol == "udp" or (scope.protocol == "tcp" and not is_sought)


def _is_within_network() -> pl.Expr:
    """Tell whether a flow aims at a service of the site that is no peer-to-peer program's."""
    is_service = pl.col("protocol").is_in(["tcp", "udp"]) & ~pl.col("resp_port").is_in(PEER_PORTS)
    return (pl.col("resp_inside") & is_service).fill_null(value=False)


def _ports_tried() -> dict[str, pl.Expr]:
    return {"ports": pl.col("resp_port").drop_nulls().unique(maintain_order=True)} | _where()


def _ports_touched() -> dict[str, pl.Expr]:
    return {"touched": pl.col("resp_port").unique(maintain_order=True)} | _where()


def _doors_tried() -> dict[str, pl.Expr]:
    return _ports_tried() | {
        "hosts": pl.col("hash").unique(maintain_order=True),
        "failed": pl.col("door").filter(pl.col("failed")).unique(maintain_order=True),
    }


def _hosts_tried() -> dict[str, pl.Expr]:
    return {
        "hosts": pl.col("hash").unique(maintain_order=True),
        "failed": pl.col("hash").filter(pl.col("failed")).unique(maintain_order=True),
        "hosts_shown": pl.col("resp_ip").head(8),
        "packets_sent": pl.col("packets_sent").sum(),
    } | _where()


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
    is_answer = pl.col("orig_port").is_in(GROUP_PORTS)
    is_traceroute = pl.col("resp_port").is_between(*TRACEROUTE_PORTS)
    udp = (pl.col("protocol") == "udp") & (pl.col("resp_packets") == 0) & is_client & ~is_traceroute & ~is_answer
    echo = pl.any_horizontal(
        (pl.col("protocol") == protocol) & (pl.col("orig_port") == kind) for protocol, kind in ECHO_REQUEST.items()
    )
    return (tcp | udp | echo).fill_null(value=False)


def _is_failed() -> pl.Expr:
    """Tell whether a probe found nothing: refused, unanswered, or out of turn as in stealth scans."""
    is_open = pl.col("tcp_state").is_in([state for state in PROBE_STATES if state not in FAILED_STATES])
    is_silent = (pl.col("protocol") != "tcp") & (pl.col("resp_packets") == 0)
    return (((pl.col("protocol") == "tcp") & ~is_open.fill_null(value=False)) | is_silent).fill_null(value=False)


def _is_logged_failure() -> pl.Expr:
    """Tell whether a log that says nothing of payload, as Zeek's for attempts, says that nothing came back."""
    is_failed = pl.col("tcp_state").is_in(FAILED_STATES)
    is_unanswered = pl.col("tcp_state").is_null() & (pl.col("resp_packets") == 0)
    return pl.col("resp_payload_bytes").is_null() & (is_failed | is_unanswered).fill_null(value=False)
