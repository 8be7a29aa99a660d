"""Lateral movement: one inside host entering many others, or running things on another by shares, WinRM or DCOM."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import polars as pl

from infraspectre.ml.bounded import BoundedTable, DistinctCounter, text_hashes
from infraspectre.ml.robust import log_ramp
from infraspectre.records import Detection, Technique
from infraspectre.records.times import earliest
from infraspectre.records.words import listed, plural
from infraspectre.soma.detector import SECOND, Case, Casebook, Finding, Row, gathered, in_bytes
from infraspectre.soma.standing import Rounds, Standing
from infraspectre.soma.techniques import (
    ADMIN_SHARES,
    DISTRIBUTED_COM,
    LATERAL_TOOL_TRANSFER,
    REMOTE_DESKTOP,
    REMOTE_SSH,
    SERVICE_EXECUTION,
    WINDOWS_REMOTE_MANAGEMENT,
    WMI,
)
from infraspectre.soma.waiting import Waiting


class Service(NamedTuple):
    """Describes a service through which hosts are entered."""

    name: str
    techniques: tuple[Technique, ...]
    workstations: int
    """Workstations entered within an hour by one of their like: a help desk works on two or three so, but hardly ever
    by remote procedure calls or administrative shares."""


SERVICES = {
    22: Service("SSH", (REMOTE_SSH,), 4),
    135: Service("DCE/RPC", (DISTRIBUTED_COM, WMI), 3),
    139: Service("SMB", (ADMIN_SHARES,), 3),
    445: Service("SMB", (ADMIN_SHARES,), 3),
    3_389: Service("RDP", (REMOTE_DESKTOP,), 4),
    5_985: Service("WinRM", (WINDOWS_REMOTE_MANAGEMENT,), 4),
    5_986: Service("WinRM", (WINDOWS_REMOTE_MANAGEMENT,), 4),
}
"""Remote services by port (IANA port numbers)."""
ADMIN_SHARE = r"(?i)(?:^|[\\/])(?:ADMIN|[A-Z])\$$"
"""Administrative shares: ADMIN$, C$ and other drives."""
CONTROL_PIPE = r"(?i)(?:^|[\\/])(?:svcctl|atsvc|itaskschedulerservice|psexesvc\S*|remcom\S*|winexesvc\S*|csexecsvc\S*)$"
"""Named pipes of the service control manager (MS-SCMR), the task scheduler (MS-TSCH) and remote shells."""
PROGRAM = r"(?i)\.(?:exe|dll|sys|scr|bat|cmd|ps1|vbs|js|hta|msi|com)$"
"""File names that Windows runs."""
WINRM_PATH = r"(?i)^/wsman(?:[?/]|$)"
"""Where WS-Management listens, and so PowerShell remoting (DMTF DSP0226, MS-WSMV)."""
ENDPOINT_MAPPER = 135
"""Port of the DCE/RPC endpoint mapper, which tells the port of an interface (C706, MS-RPCE)."""
DIRECTORY_PORTS = (88, 389, 636, 3_268)
"""Ports of Kerberos and LDAP: who answers there is a domain controller, whose procedures everybody calls."""
FIRST_DYNAMIC_PORT = 49_152
"""First port of the range from which Windows gives ports to interfaces (RFC 6335)."""


MOST_ENTERED = 128
"""Hosts of one actor whose first entry is remembered."""


class LateralSettings(msgspec.Struct, frozen=True):
    """Sets the thresholds of lateral movement."""

    hosts: int = 10
    """Hosts entered through one service within an hour: users work with a few servers, administrators come to more."""
    window_s: float = 3_600.0
    """Length of that hour."""
    patience_s: float = 1_800.0
    """How long the hosts of an entry are watched, to know what kind of hosts they are."""
    execution_patience_s: float = 3_600.0
    """How long a host where nobody reads the web is watched, to know whether it distributes software."""
    managed_hosts: int = 8
    """Hosts that a host manages at least, and the share of the site's, if it is there for managing: backup, monitoring
    and software distribution come to most."""
    managed_share: float = 0.2
    known_score: float = 0.35
    """Most for who manages hosts for a living, by rounds of before or by its role."""
    round_hosts: int = 16
    """Hosts beyond which even an administrator's round is worth a look."""
    share_score: float = 0.45
    """Score of opening an administrative share: administrators do."""
    pipe_score: float = 0.6
    """Score of opening a control pipe: management tools do."""
    program_score: float = 0.65
    """Score of a program opened on an administrative share: software distribution does."""
    both_score: float = 0.85
    """Score of a program on a share together with a control pipe: the course of PsExec."""
    management_score: float = 0.45
    """Score of a WinRM session: administrators hold them."""
    habit_score: float = 0.25
    """The same for who made rounds before."""
    procedure_score: float = 0.35
    """Score of calls to a dynamic port after the endpoint mapper: printers and agents are called so, too."""
    procedure_bytes: int = 4_096
    """Bytes sent to the dynamic port: asking takes few, running something by DCOM or WMI takes more."""
    full_scale: int = 30
    """Multiple of the threshold at which the score is full."""
    capacity: int = 8_192
    """Cases kept."""


class Scope(NamedTuple):
    """Identifies who enters: one other host in some way (resp), or many through a service."""

    orig: str
    resp: str | None
    service: str


class EntryCase(Case):
    """Counts hosts entered and what was done on shares."""

    def __init__(self) -> None:
        """Start with no entry."""
        super().__init__()
        self.hosts = DistinctCounter(512)
        self.entered: dict[str, int] = {}
        self.last_new = 0
        self.through = SERVICES[445]
        self.shares = 0
        self.pipes = 0
        self.programs = 0
        self.mapped = 0
        self.sent = 0

    def enter(self, host: str, row: Row, pause_s: float) -> None:
        """Add flows to a host; only hosts not entered before make a round last longer, and after a pause begin it."""
        if host in self.entered:
            self.flows += row["flows"]
            return
        self.absorb(row)
        if not self.reported and row["first_seen"] > self.last_new + pause_s * SECOND:
            self.first_seen, self.flow_ids, self.packets = row["first_seen"], row["flow_ids"], row["packets"]
        self.last_new = max(self.last_new, row["last_seen"])
        if len(self.entered) < MOST_ENTERED:
            self.entered[host] = row["first_seen"]


class LateralMovement:
    """Finds one host entering many, and remote execution through administrative shares, WinRM and DCOM."""

    name = "lateral_movement"
    columns = frozenset({"app_protocol", "orig_payload_bytes", "resp_payload_bytes"})
    helpful = frozenset({"smb_trees", "smb_files", "http_uris"})

    def __init__(self, settings: LateralSettings | None = None) -> None:
        """Start with no case."""
        self._settings = settings = settings or LateralSettings()
        self._book: Casebook[Scope, EntryCase] = Casebook(self.name, settings.capacity, EntryCase, self._judge)
        self._directories: BoundedTable[str | None, object] = BoundedTable(settings.capacity, object)
        self._standing = Standing(settings.capacity)
        self._rounds: BoundedTable[str, Rounds] = BoundedTable(settings.capacity, Rounds)
        self._entered: Waiting[Scope] = Waiting(settings.patience_s, settings.capacity)
        self._executed: Waiting[Scope] = Waiting(settings.execution_patience_s, settings.capacity)

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        """Return movement that passed its thresholds or grew tenfold."""
        self._standing.learn(frame)
        touched = self._entered.turn(frame) + self._executed.turn(frame) + self._entries(frame)
        if {"smb_trees", "smb_files"} <= set(frame.columns):
            touched += self._shares(frame)
        if "http_uris" in frame.columns:
            touched += self._sessions(frame)
        return self._book.review(touched + self._calls(frame))

    def due(self) -> int | None:
        """Return when the first case that waits is judged."""
        return earliest(waiting.due() for waiting in (self._entered, self._executed))

    def turn(self, until: int) -> list[Detection]:
        """Return what waited long enough by a time up to which no flow came."""
        return self._book.review(self._entered.turn_to(until) + self._executed.turn_to(until))

    def finish(self) -> list[Detection]:
        """Return movement that grew since its last report."""
        self._entered.end()
        self._executed.end()
        return self._book.close()

    def _entries(self, frame: pl.DataFrame) -> list[Scope]:
        is_within = pl.col("orig_inside") & pl.col("resp_inside") & ~pl.col("resp_group")
        entries = frame.filter(_is_answered() & is_within & pl.col("resp_port").is_in(list(SERVICES)))
        if {"smb_trees", "smb_files"} <= set(frame.columns):
            entries = entries.filter(_is_opened())
        rows = gathered(entries, ["orig_ip", "resp_ip", "resp_port"])
        return list(dict.fromkeys(self._entry(row, SERVICES[row["resp_port"]]) for row in rows))

    def _entry(self, row: Row, service: Service) -> Scope:
        scope, host = Scope(row["orig_ip"], None, service.name), row["resp_ip"]
        case = self._book.opened(scope, row)
        case.enter(host, row, self._settings.window_s)
        case.hosts.update(text_hashes([host]))
        case.through = service
        case.show([host])
        self._rounds[scope.orig].visit(host, row["first_seen"])
        return scope

    def _shares(self, frame: pl.DataFrame) -> list[Scope]:
        used = frame.filter((pl.col("smb_trees").list.len() > 0) | (pl.col("smb_files").list.len() > 0))
        marked = used.with_columns(
            shares=_matching("smb_trees", ADMIN_SHARE),
            pipes=_matching("smb_files", CONTROL_PIPE),
            programs=_matching("smb_files", PROGRAM),
        ).filter(pl.sum_horizontal(pl.col("shares", "pipes", "programs").list.len()) > 0)
        names = {name: pl.col(name).explode().drop_nulls() for name in ("shares", "pipes", "programs")}
        return [self._share(row) for row in gathered(marked, ["orig_ip", "resp_ip"], **names)]

    def _share(self, row: Row) -> Scope:
        scope = Scope(row["orig_ip"], row["resp_ip"], "shares")
        case = self._book.opened(scope, row)
        case.absorb(row)
        case.shares += len(row["shares"])
        case.pipes += len(row["pipes"])
        case.programs += len(row["programs"])
        case.show(row["shares"][:2] + row["pipes"][:3] + row["programs"][:3])
        return scope

    def _sessions(self, frame: pl.DataFrame) -> list[Scope]:
        is_wsman = pl.col("http_uris").list.eval(pl.element().str.contains(WINRM_PATH)).list.any()
        managed = frame.filter(is_wsman & _is_answered() & pl.col("orig_inside") & pl.col("resp_inside"))
        rows = gathered(managed, ["orig_ip", "resp_ip"], sent=pl.col("orig_payload_bytes").sum())
        return [self._told(Scope(row["orig_ip"], row["resp_ip"], "WinRM"), row) for row in rows]

    def _calls(self, frame: pl.DataFrame) -> list[Scope]:
        """Add calls of the endpoint mapper, and of dynamic ports where the mapper was asked before."""
        is_directory = pl.col("resp_port").is_in(DIRECTORY_PORTS)
        for address in frame.filter(is_directory & _is_answered())["resp_ip"].unique(maintain_order=True):
            _ = self._directories[address]
        is_mapper, is_dynamic = pl.col("resp_port") == ENDPOINT_MAPPER, pl.col("resp_port") >= FIRST_DYNAMIC_PORT
        is_unknown = pl.col("app_protocol").is_null() & (pl.col("protocol") == "tcp")
        is_within = pl.col("orig_inside") & pl.col("resp_inside")
        rows = gathered(
            frame.filter(_is_answered() & is_within & is_unknown & (is_mapper | is_dynamic)).sort(
                "started_at", maintain_order=True
            ),
            ["orig_ip", "resp_ip"],
            mapped=is_mapper.sum(),
            sent=pl.col("orig_payload_bytes").filter(is_dynamic).sum(),
        )
        scoped = [(Scope(row["orig_ip"], row["resp_ip"], "DCE/RPC"), row) for row in rows]
        return [self._told(scope, row) for scope, row in scoped if row["mapped"] or scope in self._book]

    def _told(self, scope: Scope, row: Row) -> Scope:
        case = self._book.opened(scope, row)
        case.absorb(row)
        case.mapped += row.get("mapped", 0)
        case.sent += row["sent"]
        return scope

    def _judge(self, scope: Scope, case: EntryCase) -> Finding | None:
        if scope.resp is None:
            return self._entering(scope, case)
        if scope.service == "shares":
            return self._executing(scope, case)
        return self._managing(scope, case) if scope.service == "WinRM" else self._calling(scope, case)

    def _managing(self, scope: Scope, case: EntryCase) -> Finding:
        return Finding(
            category="remote_management",
            techniques=(WINDOWS_REMOTE_MANAGEMENT,),
            score=self._settings.habit_score if self._rounds[scope.orig].earlier else self._settings.management_score,
            orig=scope.orig,
            resp=scope.resp,
            summary=f"{scope.orig} managed {scope.resp} through WinRM in {plural(case.flows, 'flow')} and sent "
            f"{in_bytes(case.sent)}",
            size=case.flows,
            measures={"sent_bytes": case.sent},
            thresholds={"flows": 1},
        )

    def _calling(self, scope: Scope, case: EntryCase) -> Finding | None:
        least = self._settings.procedure_bytes
        if case.sent < least or scope.resp in self._directories:
            return None
        return Finding(
            category="remote_procedure_calls",
            techniques=(DISTRIBUTED_COM, WMI),
            score=self._settings.procedure_score,
            orig=scope.orig,
            resp=scope.resp,
            summary=f"{scope.orig} asked the endpoint mapper of {scope.resp} and sent {in_bytes(case.sent)} to ports "
            "that it gives out, as DCOM and WMI do",
            size=case.sent,
            measures={"sent_bytes": case.sent, "mapper_flows": case.mapped},
            thresholds={"sent_bytes": least},
        )

    def _entering(self, scope: Scope, case: EntryCase) -> Finding | None:
        hosts, workstations = self._entered_in_window(case)
        least, some = self._settings.hosts, case.through.workstations
        if (hosts < least and workstations < some) or not self._entered.is_over(scope, case.first_seen):
            return None
        size = max(hosts / least, workstations / some)
        score = 0.5 + 0.35 * log_ramp(size, 1.0, self._settings.full_scale)
        return Finding(
            category="lateral_movement",
            techniques=case.through.techniques,
            score=min(score, self._settings.known_score)
            if self._is_known(scope.orig, case, among_servers=workstations < some)
            else score,
            orig=scope.orig,
            resp=None,
            summary=f"{scope.orig} exchanged data with {hosts:,} inside hosts over {scope.service} within an hour, "
            f"{workstations:,} of them workstations",
            size=case.hosts.count(),
            measures={
                "distinct_hosts": case.hosts.count(),
                "hosts_in_window": hosts,
                "workstations_in_window": workstations,
                "duration_s": case.duration_s,
            },
            thresholds={"hosts_in_window": least, "workstations_in_window": some},
        )

    def _entered_in_window(self, case: EntryCase) -> tuple[int, int]:
        """Return the most hosts, and the most workstations, that were entered for the first time within a window."""
        times = sorted(case.entered.values())
        seated = sorted(at for host, at in case.entered.items() if self._is_seat(host))
        window = int(self._settings.window_s * SECOND)
        return most_within(times, window), most_within(seated, window)

    def _is_seat(self, host: str) -> bool:
        return self._standing.is_workstation(host) or self._standing.is_among_workstations(host)

    def _is_known(self, orig: str, case: EntryCase, among_servers: bool) -> bool:
        """Tell whether an actor administers by habit, or is a machine that is there to manage the others."""
        is_machine = among_servers and not self._standing.is_read_at(orig)
        if is_machine or self._is_manager(orig, case):
            return True
        return self._rounds[orig].earlier > 0 and case.hosts.count() < self._settings.round_hosts

    def _is_manager(self, orig: str, case: EntryCase | None) -> bool:
        """Tell whether a host at which nobody reads the web comes to so many hosts that this is its work."""
        hosts, settings = case.hosts.count() if case else 0, self._settings
        is_seat = self._standing.is_workstation(orig) or self._standing.is_read_at(orig)
        if hosts < settings.managed_hosts or is_seat:
            return False
        return hosts >= settings.managed_share * self._standing.hosts()

    def _executing(self, scope: Scope, case: EntryCase) -> Finding | None:
        score = self._share_score(case)
        if score is None or not self._is_told_apart(scope, case):
            return None
        if self._is_manager(scope.orig, self._book.cases.get(Scope(scope.orig, None, "SMB"))):
            score = min(score, self._settings.known_score)
        steps = ((LATERAL_TOOL_TRANSFER, case.programs and case.shares), (SERVICE_EXECUTION, case.pipes))
        return Finding(
            category="remote_execution" if case.pipes else "admin_share",
            techniques=(ADMIN_SHARES, *(technique for technique, count in steps if count)),
            score=score,
            orig=scope.orig,
            resp=scope.resp,
            summary=f"{scope.orig} opened {opened(case)} on {scope.resp}",
            size=score,
            measures={"admin_shares": case.shares, "control_pipes": case.pipes, "programs": case.programs},
            thresholds={"admin_shares": 1, "control_pipes": 1},
        )

    def _is_told_apart(self, scope: Scope, case: EntryCase) -> bool:
        """Tell whether it is known by now if an actor distributes software: somebody sits there, or time went by."""
        return self._standing.is_read_at(scope.orig) or self._executed.is_over(scope, case.first_seen)

    def _share_score(self, case: EntryCase) -> float | None:
        """Choose the score by what was opened; programs on ordinary shares alone say nothing."""
        settings = self._settings
        has_program = case.programs > 0 and case.shares > 0
        if has_program and case.pipes:
            return settings.both_score
        if has_program:
            return settings.program_score
        return settings.pipe_score if case.pipes else settings.share_score if case.shares else None


def _is_answered() -> pl.Expr:
    return (pl.col("orig_payload_bytes") > 0) & (pl.col("resp_payload_bytes") > 0)


def _is_opened() -> pl.Expr:
    """Tell whether a flow may have entered a host: not if it is file service on ordinary shares."""
    is_shown = pl.col("smb_trees").list.len().fill_null(0) > 0
    is_entry = (_matching("smb_trees", ADMIN_SHARE).list.len() > 0) | (
        _matching("smb_files", CONTROL_PIPE).list.len() > 0
    )
    return ~is_shown | is_entry


def most_within(times: list[int], window: int) -> int:
    """Return the most of some rising times that lie within a window."""
    most, begin = 0, 0
    for end, at in enumerate(times):
        while at - times[begin] > window:
            begin += 1
        most = max(most, end - begin + 1)
    return most


def _matching(column: str, pattern: str) -> pl.Expr:
    """Keep those values of a list that match."""
    return pl.col(column).list.eval(pl.element().filter(pl.element().str.contains(pattern))).fill_null([])


def opened(case: EntryCase) -> str:
    """Write what was opened on a host, leaving out what was not."""
    counts = ((case.shares, "administrative share"), (case.pipes, "control pipe"), (case.programs, "program"))
    return listed([plural(count, word) for count, word in counts if count])
