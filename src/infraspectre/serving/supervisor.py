"""The supervisor: starts the processes of the platform, watches them, restarts what ends, and stops all in order.

A process that ends is started again at once, then after a wait that doubles up to a minute; one that is silent for too
long is ended first. Nothing is lost meanwhile: what was acknowledged is in the log, and each process goes on from it.
"""

from __future__ import annotations

import fcntl
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import msgspec
import structlog
from msgspec.structs import replace

from infraspectre.errors import EXIT_BAD_INPUT, InfraSpectreError, UsageError
from infraspectre.files import writing_to
from infraspectre.serving.control import BEAT_S, STOP, News, Report, Role, Start
from infraspectre.serving.opening import data_folder
from infraspectre.settings import Settings

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 60.0
STEADY_S = 60.0
"""A process that ran for so long is started again at once when it ends."""
SILENCE_S = 60.0
"""A process that reports nothing for so long hangs."""
LEARNING_S = 1_800.0
"""The same while it starts, as when it reads the log again."""
KILL_S = 2.0
"""How long a process may take to end once it was sent SIGTERM."""
LOOK_S = 0.2
MOST_LINE_BYTES = 1 << 16
COMMAND = (sys.executable, "-m", "infraspectre.api")
THREADS = {"OPENBLAS_NUM_THREADS": "1"}
"""Products of small matrices take a tenth of the time in one thread where others want the cores; the environment of
the supervisor may say otherwise."""
ORDER: tuple[Role, ...] = ("server", "worker")
"""In which processes are started, as the API is to answer soon, and stopped, so that the worker finishes what came."""
GUESTS: tuple[Role, ...] = ("demo",)
"""These use the platform as others do: started once it can be reached, and stopped before it."""
AHEAD_S = 5.0
"""So long the first process has the machine for itself while it starts."""

logger = structlog.get_logger(__name__)


class Child:
    """Is a process of the platform, started again whenever it ends."""

    def __init__(self, role: Role, now: Callable[[], float] = time.monotonic, command: Sequence[str] = COMMAND) -> None:
        """Prepare a process that is not started yet."""
        self.role = role
        self._command = command
        self.report: Report | None = None
        self.restarts = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.ended: int | None = None
        """Exit status with which the process ended last."""
        self._now = now
        self._wait_s = 0.0
        self._started_at = self._heard_at = self._due_at = now()
        self._rest = b""

    def start(self, settings: Settings) -> None:
        """Start the process, in the group of the supervisor; lists of processes show its role."""
        self.process = subprocess.Popen(  # noqa: S603 - this very program
            (*self._command, self.role), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**THREADS, **os.environ}
        )
        assert self.process.stdin and self.process.stdout  # noqa: S101 - both are pipes
        os.set_blocking(self.process.stdout.fileno(), False)
        self._started_at = self._heard_at = self._now()
        self.report, self._rest = None, b""
        self._send(msgspec.json.encode(Start(self.role, settings)))

    @property
    def is_running(self) -> bool:
        """Tell whether the process has not ended."""
        return self.process is not None and self.process.poll() is None

    @property
    def is_due(self) -> bool:
        """Tell whether it is time to start a process that has ended."""
        return self.process is None and self._now() >= self._due_at

    @property
    def is_ready(self) -> bool:
        """Tell whether the process does its work."""
        return self.is_running and self.report is not None and self.report.state == "ready"

    @property
    def hangs(self) -> bool:
        """Tell whether a running process has been silent for too long."""
        longest_s = SILENCE_S if self.is_ready else LEARNING_S
        return self.is_running and self._now() - self._heard_at > longest_s

    def listen(self) -> None:
        """Read what the process reports."""
        if self.process is None or self.process.stdout is None:
            return
        *lines, self._rest = (self._rest + (self.process.stdout.read() or b"")).split(b"\n")
        self._rest = self._rest[:MOST_LINE_BYTES]
        for line in lines:
            with suppress(msgspec.DecodeError):
                self.report = msgspec.json.decode(line, type=Report)
                self._heard_at = self._now()

    def bury(self) -> None:
        """Take note that the process has ended, and decide when it is started again."""
        if self.process is None:
            return
        self.ended = status = self.process.wait()
        is_steady = self._now() - self._started_at >= STEADY_S
        self._wait_s = 0.0 if is_steady else min(max(2 * self._wait_s, FIRST_WAIT_S), LONGEST_WAIT_S)
        self._due_at = self._now() + self._wait_s
        self.restarts += 1
        logger.error("a process ended", role=self.role, status=status, again_in_s=self._wait_s)
        self._forget()

    def stop(self) -> None:
        """Ask the process to stop."""
        self._send(STOP)

    def tell(self, other: Child) -> None:
        """Tell the process how another one is."""
        if self.is_running:
            self._send(msgspec.json.encode(News(other.role, other.report, other.restarts)))

    def end(self, deadline: float) -> bool:
        """Wait for the process to end, and end it after a time; tell whether it ended by itself and well."""
        if self.process is None:
            return True
        status = waited(self.process, deadline - self._now())
        if status is None:
            logger.error("a process did not stop in time", role=self.role)
            self.process.terminate()
            if waited(self.process, KILL_S) is None:
                self.process.kill()
                self.process.wait()
        self._forget()
        return status == 0

    def _send(self, line: bytes) -> None:
        if self.process is not None and self.process.stdin is not None:
            with suppress(OSError):  # it has ended meanwhile, which is noticed elsewhere
                self.process.stdin.write(line + b"\n")
                self.process.stdin.flush()

    def _forget(self) -> None:
        if self.process is not None:
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe is not None:
                    with suppress(OSError):
                        pipe.close()
        self.process = None


def waited(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    """Return the exit status of a process that ends within some time, else None."""
    try:
        return process.wait(max(0.0, seconds))
    except subprocess.TimeoutExpired:
        return None


class Supervisor:
    """Runs the platform until it is told to stop."""

    def __init__(
        self, load: Callable[[], Settings], tell: Callable[[dict[str, str]], None], *, with_guests: bool = False
    ) -> None:
        """Run with the settings that `load` returns; `tell` is told once where everything can be reached."""
        self.settings = load()
        self.children = [Child(role) for role in (ORDER + GUESTS if with_guests else ORDER)]
        self._load, self._tell, self._begun_at, self._spread_at = load, tell, time.monotonic(), 0.0
        self._urls: dict[str, str] = {}
        self._is_stopped = self._is_reloading = self._is_told = False

    def run(self) -> bool:
        """Run until SIGTERM or SIGINT; tell whether everything stopped well.

        Raises UsageError if it runs already, and if a process cannot begin with what is set, as its log says.
        """
        with only_one(data_folder(self.settings)), self._obeying():
            self.children[0].start(self.settings)
            while not self._is_stopped:
                self._look()
            return self.stop()

    def stop(self) -> bool:
        """Stop the processes one after another, so that each works off what the one before has handed over."""
        deadline = time.monotonic() + self.settings.server.stop_s
        well = True
        for child in sorted(self.children, key=lambda each: each.role not in GUESTS):
            child.stop()
            well = child.end(deadline) and well
        return well

    def _look(self) -> None:
        """Wait a moment, listen to the processes, and start or end what has to be."""
        with selectors.DefaultSelector() as waiting:
            for child in self.children:
                if child.process is not None and child.process.stdout is not None:
                    waiting.register(child.process.stdout, selectors.EVENT_READ)
            if not waiting.get_map():
                time.sleep(LOOK_S)
            waiting.select(LOOK_S)
        for child in self.children:
            child.listen()
            if child.hangs and child.process is not None:
                logger.error("a process hangs", role=child.role)
                child.process.kill()
            if child.process is not None and not child.is_running:
                child.bury()
            if child.is_due and self._has_room(child):
                child.start(with_ports(self.settings, self._urls))
        self._announce()
        self._spread()
        if self._is_reloading:
            self._reload()
        if not self._is_told and any(child.ended == EXIT_BAD_INPUT for child in self.children):
            self.stop()
            raise UsageError("the platform cannot start so", remedy="the lines before say why")

    def _has_room(self, child: Child) -> bool:
        """Tell whether the first process has started, or had time to; guests wait until they can reach it."""
        if child.role in GUESTS:
            return self._is_told
        return self.children[0].report is not None or time.monotonic() - self._begun_at > AHEAD_S

    def _announce(self) -> None:
        """Say once where the platform can be reached."""
        urls = next((child.report.urls for child in self.children if child.report and child.report.urls), None)
        if urls and not self._is_told:
            self._is_told = True
            self._urls = urls
            self._tell(urls)

    def _spread(self) -> None:
        """Tell the server how the others are, once in a while."""
        now = time.monotonic()
        if now - self._spread_at >= BEAT_S:
            self._spread_at = now
            server, *others = self.children
            for other in others:
                server.tell(other)

    def _reload(self) -> None:
        """Start the processes anew, one after another, with the settings as they are; broken ones change nothing."""
        self._is_reloading = False
        try:
            settings = self._load()
        except InfraSpectreError as error:
            logger.error("the settings are broken; those before stay in force", reason=str(error))
            return
        if settings.data.path != self.settings.data.path:
            logger.error("the data folder is another; that takes a stop and a start")
            return
        self.settings = settings
        for child in self.children:
            child.stop()
            child.end(time.monotonic() + settings.server.stop_s)
            child.start(with_ports(settings, self._urls))
        logger.info("reloaded")

    @contextmanager
    def _obeying(self) -> Iterator[None]:
        """Obey signals while the block runs."""
        before = {number: signal.signal(number, self._signalled) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _signalled(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self._is_reloading = True
        else:
            self._is_stopped = True


def with_ports(settings: Settings, urls: dict[str, str]) -> Settings:
    """Return settings in which ports that the system chose at the first start stay what they are."""
    server, sensors = settings.server, settings.sensors
    if "api" in urls and not server.port:
        server = replace(server, port=port_of(urls["api"]))
    if "sensors" in urls and not sensors.port:
        sensors = replace(sensors, port=port_of(urls["sensors"]))
    return replace(settings, server=server, sensors=sensors)


def port_of(address: str) -> int:
    """Return the port at the end of an address."""
    return int(address.rpartition(":")[2])


SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the lock of a data folder, which ends with the process; raises UsageError where another holds it."""
    path = folder / "serve.lock"
    with writing_to(path):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        process = os.read(handle, 20).decode("ascii", "replace").strip()
        os.close(handle)
        remedy = "stop it first, or set data.folder"
        raise UsageError(f"is in use by process {process or 'unknown'}", path=folder, remedy=remedy) from None
    try:
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.ftruncate(handle, 0)
        os.close(handle)
