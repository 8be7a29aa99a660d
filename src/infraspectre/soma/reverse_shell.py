"""Reverse shells: connections outwards over which a stranger types commands and the inside host answers."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import polars as pl

from infraspectre.ml.robust import log_ramp
from infraspectre.records import Detection
from infraspectre.records.words import plural
from infraspectre.soma.callers import Callers
from infraspectre.soma.detector import SECOND, Case, Casebook, Finding, Row, gathered, host_of, in_bytes, in_seconds
from infraspectre.soma.sides import outward
from infraspectre.soma.techniques import COMMAND_INTERPRETER, NON_APPLICATION_PROTOCOL, NON_STANDARD_PORT

OTHER_SERVICES = (
    23, 43, 70, 79, 110, 119, 143, 194, 514, 515, 554, 587,
    601, 1_433, 1_883, 3_306, 5_060, 5_222, 5_223, 5_228, 5_269, 5_432,
)  # fmt: skip
"""Ports of services that the core does not read and that are not odd: Telnet, mail, databases, chat, push (IANA)."""


class ReverseShellSettings(msgspec.Struct, frozen=True):
    """Sets the thresholds of reverse shells."""

    duration_s: float = 60.0
    """Least time connected: a person reads before typing on."""
    commands: int = 4
    """Least messages of the outside host."""
    command_bytes: float = 120.0
    """Greatest mean message of the outside host: a command is a line."""
    pause_s: float = 1.0
    """Least mean time between its messages: programs that ask for data are faster."""
    answer_share: float = 1.5
    """Bytes answered over bytes of commands: who asks the questions gets more than he gives."""
    least_bytes: int = 512
    """Least bytes answered: less is a sign of life, not the output of commands."""
    most_bytes: int = 5_000_000
    """Most bytes answered: more is a transfer."""
    text_share: float = 0.85
    """Share of printable characters of both sides from which it is text: commands and their output are."""
    callers: int = 2
    """Hosts that may talk to the address: what more talk to is a service of the site."""
    text_score: float = 0.6
    """Score of text: no service that is read as unknown text asks the caller for answers."""
    other_score: float = 0.35
    """Score of other bytes: remote control and telemetry look the same."""
    full_commands: int = 100
    """Commands at which the score is full."""
    capacity: int = 8_192
    """Cases kept."""


class Scope(NamedTuple):
    """Identifies who answers whom."""

    orig: str
    resp: str
    port: int


class ShellCase(Case):
    """Sums up commands and answers."""

    def __init__(self) -> None:
        """Start with nothing typed."""
        super().__init__()
        self.connected_ns = 0
        self.commands = 0
        self.command_bytes = 0
        self.answers = 0
        self.answer_bytes = 0
        self.text = 0.0

    @property
    def connected_s(self) -> float:
        """Return the time connected in seconds."""
        return self.connected_ns / SECOND

    @property
    def text_share(self) -> float:
        """Return the lesser share of printable characters of both sides, averaged over connections."""
        return self.text / max(1, self.flows)


class ReverseShell:
    """Finds connections outwards that are used the wrong way round: the outside asks, the inside answers."""

    name = "reverse_shell"
    columns = frozenset(
        {"app_protocol", "tcp_state", "orig_port", "orig_payload_bytes", "resp_payload_bytes"}
        | {"orig_data_packets", "resp_data_packets", "orig_ascii_ratio", "resp_ascii_ratio"}
    )
    helpful = frozenset({"orig_syn_packets"})

    def __init__(self, settings: ReverseShellSettings | None = None) -> None:
        """Start with no case."""
        self._settings = settings or ReverseShellSettings()
        self._book: Casebook[Scope, ShellCase] = Casebook(self.name, self._settings.capacity, ShellCase, self._judge)
        self._callers = Callers(self._settings.callers, self._settings.capacity)

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        """Return shells that became certain."""
        talk = outward(frame).filter(
            pl.col("app_protocol").is_null()
            & ~pl.col("resp_port").is_in(OTHER_SERVICES)
            & (pl.col("orig_data_packets") > 0)
            & (pl.col("resp_data_packets") > 0)
        )
        rows = gathered(
            talk,
            ["orig_ip", "resp_ip", "resp_port"],
            connected_ns=(pl.col("ended_at") - pl.col("started_at")).sum(),
            commands=pl.col("resp_data_packets").sum(),
            command_bytes=pl.col("resp_payload_bytes").sum(),
            answers=pl.col("orig_data_packets").sum(),
            answer_bytes=pl.col("orig_payload_bytes").sum(),
            text=pl.min_horizontal("orig_ascii_ratio", "resp_ascii_ratio").fill_null(0.0).sum(),
        )
        return self._book.review([self._absorb(row) for row in rows])

    def finish(self) -> list[Detection]:
        """Return shells that grew since their last report."""
        return self._book.close()

    def _absorb(self, row: Row) -> Scope:
        scope = Scope(row["orig_ip"], row["resp_ip"], row["resp_port"])
        case = self._book[scope]
        case.absorb(row)
        case.sum_up(row, "connected_ns", "commands", "command_bytes", "answers", "answer_bytes", "text")
        self._callers.note(scope.resp, scope.orig)
        return scope

    def _judge(self, scope: Scope, case: ShellCase) -> Finding | None:
        settings = self._settings
        if not self._is_shell(scope, case):
            return None
        is_text = case.text_share >= settings.text_share
        base = settings.text_score if is_text else settings.other_score
        return Finding(
            category="reverse_shell",
            techniques=(COMMAND_INTERPRETER, NON_APPLICATION_PROTOCOL, NON_STANDARD_PORT),
            score=base + (0.2 * log_ramp(case.commands, settings.commands, settings.full_commands) if is_text else 0.0),
            orig=scope.orig,
            resp=scope.resp,
            summary=f"{host_of(scope.resp, scope.port)} sent {scope.orig}, which had called it, "
            f"{plural(case.commands, 'short message')} in {in_seconds(case.connected_s)} and was answered with "
            f"{in_bytes(case.answer_bytes)}{', in plain text' if is_text else ''}, as in a reverse shell",
            size=case.commands,
            measures={
                "commands": case.commands,
                "command_bytes": case.command_bytes / case.commands,
                "answer_bytes": case.answer_bytes,
                "connected_s": case.connected_s,
                "text_share": case.text_share,
            },
            thresholds={"commands": settings.commands, "connected_s": settings.duration_s},
        )

    def _is_shell(self, scope: Scope, case: ShellCase) -> bool:
        settings = self._settings
        return (
            case.connected_s >= max(settings.duration_s, settings.pause_s * case.commands)
            and case.commands >= settings.commands
            and case.command_bytes <= settings.command_bytes * case.commands
            and max(settings.least_bytes, settings.answer_share * case.command_bytes) <= case.answer_bytes
            and case.answer_bytes <= settings.most_bytes
            and self._callers.are_few(scope.resp)
        )
