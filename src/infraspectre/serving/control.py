"""How the supervisor and its processes speak: lines of JSON, orders on stdin and reports on stdout.

A process whose stdin ends has lost its supervisor, and stops.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import Literal

import msgspec

from infraspectre.settings import Settings

Role = Literal["server", "worker", "demo"]
State = Literal["starting", "ready", "stopping"]
STOP = b"stop"
BEAT_S = 1.0
"""A process reports at least so often."""


class Start(msgspec.Struct, frozen=True):
    """Is the first line that a process reads; secrets are in files, so none is in it."""

    role: Role
    settings: Settings


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """Says how a process is."""

    state: State
    urls: dict[str, str] = {}
    """Where it can be reached."""
    facts: dict[str, dict[str, float]] = {}
    """Figures by what they count and of what; `infraspectre.api.server` says which metrics they are."""
    metrics: dict[str, dict[str, list[float]]] = {}
    """What the process counted (`infraspectre.serving.metrics.Figures`)."""
    problems: dict[str, str] = {}
    """What does not work, and why."""


class News(msgspec.Struct, frozen=True):
    """Tells a process how another one is."""

    role: Role
    report: Report | None
    """None while it does not run."""
    restarts: int = 0


class Control:
    """Is a process's end of the line to its supervisor."""

    def __init__(self) -> None:
        """Take over stdin and stdout; whatever else is printed goes to stderr from now on."""
        self.stopped = threading.Event()
        self.others: dict[Role, News] = {}
        """How the other processes are, as the supervisor told last."""
        self._orders = os.fdopen(os.dup(0), "rb")
        self._reports = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)
        sys.stdin.close()

    def start(self) -> Start:
        """Read how to start, and listen for orders from then on; raises msgspec.DecodeError."""
        found = msgspec.json.decode(self._orders.readline(), type=Start)
        threading.Thread(target=self._listen, daemon=True, name="orders").start()
        return found

    def report(self, report: Report) -> None:
        """Tell the supervisor how this process is; that nobody listens means to stop."""
        try:
            self._reports.write(msgspec.json.encode(report) + b"\n")
            self._reports.flush()
        except OSError:
            self.stopped.set()

    def _listen(self) -> None:
        for line in self._orders:
            if line.strip() == STOP:
                break
            news = msgspec.json.decode(line, type=News)
            self.others[news.role] = news
        self.stopped.set()
