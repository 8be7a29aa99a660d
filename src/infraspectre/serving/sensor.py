"""The composition root of a sensor: what is captured goes into the spool, and from there to the server."""

from __future__ import annotations

import asyncio
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import msgspec
import polars as pl

from infraspectre import config
from infraspectre.adapters.sensor_link.client import Link
from infraspectre.adapters.sensor_link.credentials import Credentials
from infraspectre.adapters.sensor_link.payloads import MOST_BYTES, MOST_ROWS, pack
from infraspectre.adapters.sensor_link.spool import Spool
from infraspectre.adapters.system_clock import SystemClock
from infraspectre.errors import UsageError
from infraspectre.ports import Account
from infraspectre.records.flow_batches import NAME
from infraspectre.records.flows import FlowBatch
from infraspectre.security import is_loopback
from infraspectre.serving.metrics import SPANS, Metrics
from infraspectre.serving.privileges import become
from infraspectre.serving.tracing import tracing
from infraspectre.settings import TelemetrySettings

if TYPE_CHECKING:
    from infraspectre.capture.ring import PacketRing
    from infraspectre.capture.settings import FlowSettings, RingSettings

SPOOL_BYTES = 1 << 30
BATCH_ROWS = 4_096
"""Flows are gathered until there are so many."""
BATCH_S = 0.1
"""They wait no longer than this for others."""
STATUS_S = 10.0
COUNT_S = 0.25
FAREWELL_S = 10.0
"""How long the end waits for the server to have everything."""
MOST_COUNTERS = 200


class Capture(Protocol):
    """Gives flows as they end, until it is stopped: an interface, or the replay of a capture."""

    is_done: bool
    """Whether all was read."""

    def read(self, timeout_s: float) -> FlowBatch | None:
        """Return the next flows, None where there are none for so long."""
        ...

    def stop(self) -> None:
        """End soon; any thread may say so."""
        ...

    def account(self) -> Account:
        """Return what was read and lost so far."""
        ...


@runtime_checkable
class PacketCapture(Protocol):
    """Has packets, which can be kept."""

    def record(self, ring: PacketRing) -> None:
        """Keep packets in a ring, too; raises InfraSpectreError where that cannot be."""
        ...


@dataclass(frozen=True)
class SensorPlan:
    """Says what a sensor does."""

    server: tuple[str, int]
    open_source: Callable[[], Capture]
    """Called with all rights, before they are given up."""
    spool: Path | None = None
    spool_bytes: int = SPOOL_BYTES
    name: str | None = None
    certificate: Path | None = None
    key: Path | None = None
    authority: Path | None = None
    revoked: Path | None = None
    is_insecure: bool = False
    is_forced: bool = False
    """Whether flows go to other machines in plain text."""
    user: str | None = None
    telemetry: TelemetrySettings = field(default_factory=TelemetrySettings)
    ring: RingSettings | None = None
    """Which packets are kept on disk; none at all by default."""


@dataclass
class SensorStatus:
    """Says what a sensor has done so far."""

    name: str
    is_connected: bool
    connections: int
    problem: str
    capture: dict[str, int]
    spool: dict[str, Any] = field(default_factory=dict)

    @property
    def lost(self) -> dict[str, int]:
        """Return the flows that the spool lost, by reason."""
        return {reason: tally["flows"] for reason, tally in self.spool["lost"].items()}

    @property
    def has_losses(self) -> bool:
        """Tell whether something was shed or lost."""
        dropped = (count for name, count in self.capture.items() if name.startswith("shed_"))
        return bool(self.lost) or any(dropped) or bool(self.capture.get("unreadable"))


def run(plan: SensorPlan, report: Callable[[SensorStatus], None]) -> SensorStatus:
    """Be a sensor until told to stop, or until there is nothing more to capture; return what was done.

    `report` is told how it is every ten seconds.
    """
    source = plan.open_source()
    if plan.user is not None:
        become(plan.user)
    credentials = open_credentials(plan)
    name = plan.name or (credentials.identity.name if credentials else None)
    if name is None or not NAME.match(name):
        raise UsageError("the sensor has no name", remedy="give it one with --name, in small letters")
    if credentials is not None and name != credentials.identity.name:
        raise UsageError(f"the certificate is of {credentials.identity.name}, not of {name}", path=plan.certificate)
    folder = plan.spool or config.data_folder() / "spool" / name
    with (
        closing(Spool(folder, plan.spool_bytes)) as spool,
        recording(source, plan.ring) as ring,
        tracing(plan.telemetry, "sensor", Metrics([SPANS])),
    ):
        return asyncio.run(Sensor(name, plan.server, source, spool, credentials, ring).run(report))


@contextmanager
def recording(source: Capture, settings: RingSettings | None) -> Iterator[PacketRing | None]:
    """Keep packets as the settings say; they belong to whom the sensor has become."""
    if settings is None:
        yield None
        return
    from infraspectre.capture.ring import PacketRing

    if not isinstance(source, PacketCapture):
        raise UsageError("there are no packets to keep")
    with closing(PacketRing(settings)) as ring:
        source.record(ring)
        yield ring


def open_credentials(plan: SensorPlan) -> Credentials | None:
    """Return what the sensor shows and trusts, None for plain text; raises UsageError and InputError."""
    paths = (plan.certificate, plan.key, plan.authority)
    if plan.is_insecure:
        if any(paths):
            raise UsageError("--insecure uses no certificates", remedy="leave either away")
        if not plan.is_forced and not is_loopback(plan.server[0]):
            raise UsageError("flows would cross the network in plain text", remedy="use certificates, or --force")
        return None
    if plan.certificate is None or plan.key is None or plan.authority is None:
        remedy = "give --certificate, --key and --ca; 'infraspectre certificates' makes them"
        raise UsageError("a sensor needs certificates", remedy=remedy)
    return Credentials(plan.certificate, plan.key, plan.authority, plan.revoked, "sensor", SystemClock())


def replay(path: Path, speed: float, settings: FlowSettings | None) -> Capture:
    """Return the flows of a capture, so many times as fast as they were recorded."""
    from infraspectre.capture import CaptureSource
    from infraspectre.capture.replay import Replay

    if speed < 0:
        raise UsageError("a replay cannot go backwards", remedy="give a --speed of 0 or more")
    return Replay(CaptureSource([str(path)], "full", settings), speed, [str(path)])


def listen(interface: str, options: Mapping[str, Any], flows: FlowSettings | None) -> Capture:
    """Return the flows on an interface; raises UsageError where this build cannot capture."""
    try:
        live, settings = import_module("infraspectre.capture.live"), import_module("infraspectre.capture.settings")
    except ImportError as error:
        raise UsageError("this build cannot capture", remedy="use --replay") from error
    try:
        chosen = msgspec.convert(options, settings.CaptureSettings)
    except msgspec.ValidationError as error:
        raise UsageError(f"this cannot be captured: {error}", remedy="--help shows what may be given") from error
    source: Capture = live.LiveSource(interface, "full", chosen, flows)
    return source


class Sensor:
    """Carries flows from a source to the server."""

    def __init__(
        self,
        name: str,
        server: tuple[str, int],
        source: Capture,
        spool: Spool,
        credentials: Credentials | None,
        ring: PacketRing | None = None,
    ) -> None:
        """Prepare; nothing begins before `run`. A ring has packets for whoever asks for some."""
        self._name = name
        self._server = server
        self._source = source
        self._spool = spool
        self._credentials = credentials
        self._ring = ring
        self._batches = Gathering(spool)
        self._counters: dict[str, int] = {}
        self._counted_at = 0.0
        self._farewell: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None

    async def run(self, report: Callable[[SensorStatus], None]) -> SensorStatus:
        """Capture and send until the source ends or a signal says so, then let the server have the rest."""
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, stopped)
        # A generator of its own: sensors that lose their server together do not come back at the same moment.
        chance = random.Random()  # noqa: S311 - nobody gains by guessing it
        link = Link(
            self._spool, self._name, self._server, self._credentials, self.counters, SystemClock(), chance, self._ring
        )
        capturing = threading.Thread(target=self._capture, args=(loop, stopped), name="capture", daemon=True)
        capturing.start()
        tasks = [asyncio.create_task(each) for each in (link.run(), self._tell(link, report))]
        for task in tasks:
            task.add_done_callback(partial(self._end_of_task, stopped))
        try:
            await stopped.wait()
            self._farewell = asyncio.create_task(self._finish(capturing, link))
            await asyncio.wait([self._farewell])
            return self.status(link)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._failure is not None:
                raise self._failure

    async def _finish(self, capturing: threading.Thread, link: Link) -> None:
        """Let the capture end, and the server have what is left."""
        await asyncio.to_thread(capturing.join, FAREWELL_S)
        await link.flush(FAREWELL_S)
        await link.report()

    def counters(self) -> dict[str, int]:
        """Return what the capture has counted."""
        return self._counters

    def status(self, link: Link) -> SensorStatus:
        """Return how the sensor is."""
        state, account = link.state, msgspec.to_builtins(self._spool.account())
        return SensorStatus(
            self._name, state.is_connected, state.connections, state.problem, dict(self._counters), account
        )

    def _stop(self, stopped: asyncio.Event) -> None:
        """End; who says so again does not want to wait for the server."""
        self._source.stop()
        if self._farewell is not None:
            self._farewell.cancel()
        stopped.set()

    def _end_of_task(self, stopped: asyncio.Event, task: asyncio.Task[None]) -> None:
        """End where a part has failed in a way that nobody thought of, instead of going on without it."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = error
            self._source.stop()
            stopped.set()

    def _capture(self, loop: asyncio.AbstractEventLoop, stopped: asyncio.Event) -> None:
        """Gather flows until the source ends or fails; what failed is raised again where the command waits."""
        try:
            self._gather()
        except BaseException as error:  # noqa: BLE001
            self._failure = error
        finally:
            loop.call_soon_threadsafe(stopped.set)

    def _gather(self) -> None:
        try:
            while not self._source.is_done:
                batch = self._source.read(BATCH_S / 2)
                if batch is not None:
                    self._batches.add(batch.frame)
                self._batches.flush(BATCH_S)
                self._count()
        finally:
            self._batches.flush()
            self._count(is_last=True)

    def _count(self, *, is_last: bool = False) -> None:
        """Take over what the capture has counted, from time to time."""
        now = time.monotonic()
        if is_last or now - self._counted_at >= COUNT_S:
            self._counted_at = now
            kept = self._ring.counters() if self._ring else {}
            self._counters = kept | counters(self._source.account())

    async def _tell(self, link: Link, report: Callable[[SensorStatus], None]) -> None:
        while True:
            await asyncio.sleep(STATUS_S)
            report(self.status(link))


class Gathering:
    """Joins flows to batches worth sending."""

    def __init__(self, spool: Spool) -> None:
        """Gather for a spool."""
        self._spool = spool
        self._frames: list[pl.DataFrame] = []
        self._rows = 0
        self._since = 0.0

    def add(self, frame: pl.DataFrame) -> None:
        """Add flows; they go into the spool once there are enough."""
        if not self._frames:
            self._since = time.monotonic()
        self._frames.append(frame)
        self._rows += len(frame)
        if self._rows >= BATCH_ROWS:
            self._keep()

    def flush(self, waited_s: float = 0.0) -> None:
        """Put into the spool what has waited so long."""
        if self._frames and time.monotonic() - self._since >= waited_s:
            self._keep()

    def _keep(self) -> None:
        frame = pl.concat(self._frames, rechunk=True)
        self._frames, self._rows = [], 0
        keep(self._spool, frame)


def keep(spool: Spool, frame: pl.DataFrame) -> None:
    """Put flows into a spool, in halves where they are too large for one batch."""
    payload = pack(frame) if len(frame) <= MOST_ROWS else b""
    if payload and (len(payload) <= MOST_BYTES or len(frame) == 1):
        spool.append(payload, len(frame))
        return
    middle = len(frame) // 2
    keep(spool, frame.slice(0, middle))
    keep(spool, frame.slice(middle))


def counters(account: Account) -> dict[str, int]:
    """Return what a capture counted as plain numbers, the losses by reason."""
    times = ("capture_start", "capture_end")
    found = {name: value for name, value in vars(account).items() if isinstance(value, int) and name not in times}
    found["unreadable"] = len(account.unreadable)
    for kind, counts in (
        ("shed", account.shed), ("malformed", account.malformed), ("without_flow", account.without_flow),
    ):  # fmt: skip
        found |= {f"{kind}_{reason}": count for reason, count in counts.items() if count}
    return dict(list(found.items())[:MOST_COUNTERS])
