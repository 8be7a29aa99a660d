"""Composes the server process: the API, and what takes flows from sensors."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from infraspectre.api.access.door import door_of
from infraspectre.api.contents import MOST_AT_ONCE
from infraspectre.api.stream.limits import Limits
from infraspectre.errors import AccessError, ConfigError, OutputError
from infraspectre.intel.indicators import read_indicators
from infraspectre.records.access import Principal
from infraspectre.records.feed import (
    AUDIT_TOPIC,
    EVENTS_TOPIC,
    FLOWS_TOPIC,
    NOTICES_TOPIC,
    RESPONSES_TOPIC,
    SENSORS_TOPIC,
)
from infraspectre.security import is_loopback
from infraspectre.serving.collecting import PacketSensors, collect
from infraspectre.serving.control import BEAT_S, Control, News, Report
from infraspectre.serving.evidence import COLLECTING, Vigil, evidence_tasks
from infraspectre.serving.listening import SensorNotices, in_address, listening
from infraspectre.serving.metrics import (
    BREAKER_OPEN,
    BREAKER_SKIPPED,
    DETECTOR_CPU,
    FAILURES,
    LOG_SECONDS,
    PROCESS_RESTARTS,
    PROCESS_UP,
    WORKER_FLOWS,
    WORKER_WAITING,
    Metrics,
)
from infraspectre.serving.observing import look_at_sensors
from infraspectre.serving.opening import close_platform, open_platform
from infraspectre.serving.outboxes import Outboxes
from infraspectre.serving.responding import response_tasks
from infraspectre.serving.retraining import RETRAINING, retrain
from infraspectre.serving.tasks import Tasks
from infraspectre.serving.tracing import tracing
from infraspectre.serving.upkeep import Upkeep, access_tasks, log_tasks
from infraspectre.settings import ServerSettings, Settings
from infraspectre.telemetry import LOG_APPEND

if TYPE_CHECKING:
    from granian.server.embed import Server

    from infraspectre.adapters.sensor_link.listener import Listener
    from infraspectre.api.rpc.scoring import ScoringServer
    from infraspectre.serving.platform import Platform

BACKLOG = 1_024
"""Connections that the system holds until they are taken."""
MOST_CONNECTIONS = Limits().clients + 2 * MOST_AT_ONCE
"""Connections that are served at once: all clients of the stream, and requests beside them."""
YOUNG_OBJECTS = 20_000
"""Objects made, and not let go, between two searches for cycles among them."""
VIGIL_S = 5.0
"""How often it is looked whether incidents became grave, of which packets are kept."""
OUTLETS = ("flows", "detections", "incidents", "feed", "relay")
"""Where results of the worker go."""


def serve(settings: Settings, control: Control) -> None:
    """Answer until told to stop; raises InfraSpectreError where that cannot be."""
    platform = replace(
        open_platform(settings),
        checks={"worker": lambda: check_worker(control)},
        faults=lambda: faults_of(control),
        intelligence=read_indicators([Path(each) for each in settings.detection.intel]),
    )
    sensors = PacketSensors()
    tasks, outboxes = Tasks(platform, {RETRAINING: retrain}), Outboxes(platform)
    collecting = Tasks(platform, {COLLECTING: partial(collect, sensors)})  # rings roll on: it waits for no training
    with tracing(settings.telemetry, "server", platform.metrics, partial(measure, platform.metrics)):
        tasks.start()
        collecting.start()
        outboxes.start()
        try:
            uvloop.run(answer(platform, control, sensors))
        finally:
            outboxes.stop()
            collecting.stop()
            tasks.stop()
            close_platform(platform)


def measure(metrics: Metrics, name: str, seconds: float) -> None:
    """Measure an append to the log; the stages that the server itself runs, on request, are not those of the worker."""
    if name == LOG_APPEND:
        metrics.observe(LOG_SECONDS, value=seconds)


async def answer(platform: Platform, control: Control, sensors: PacketSensors) -> None:
    """Run the API and the listener for sensors beside each other."""
    from infraspectre.api.app import make_app
    from infraspectre.api.routes.stream import hub_of

    chosen = platform.settings.server
    topics = [FLOWS_TOPIC, SENSORS_TOPIC, EVENTS_TOPIC, NOTICES_TOPIC, AUDIT_TOPIC, RESPONSES_TOPIC]
    notices = SensorNotices(platform)
    kept = {"sensors": notices.keep}
    tasks = log_tasks(platform, topics) | access_tasks(platform) | response_tasks(platform) | kept
    tasks |= evidence_tasks(platform)
    vigil = Upkeep({"vigil": Vigil(platform, sensors.keepers).step}, VIGIL_S)
    with reserved(chosen.host, chosen.port) as held, Upkeep(tasks), vigil:
        port = held.getsockname()[1]
        application = make_app(platform)
        server = api_server(chosen, application, port)
        search_seldom()
        running = asyncio.create_task(server.serve())
        await until_listening(chosen.host, port, running)
        scheme = "https" if chosen.certificate_file else "http"
        urls = {"api": f"{scheme}://{in_address(chosen.host)}:{port}"}
        listener, scoring = await listening(platform, urls, notices), await scoring_server(platform, urls)
        sensors.follow(listener)
        try:
            await beat(control, urls, running, platform, listener)
        finally:
            control.report(Report("stopping"))
            for each in (listener, scoring):
                if each is not None:
                    await each.stop()
            hub_of(application.state).close()  # streams never end by themselves, and the server waits for all answers
            server.stop()  # type: ignore[no-untyped-call]
            await running


def search_seldom() -> None:
    """Let the search for cycles pass over what lives as long as the process, and come seldom.

    With 1,000 clients of the stream a full search stops everything for a tenth of a second, every few seconds where
    each 700 objects begin one of the young: what was sent last to each client counts as grown old then.
    """
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)


async def scoring_server(platform: Platform, urls: dict[str, str]) -> ScoringServer | None:
    """Answer predictions over gRPC, and add the address; None where the settings say not to."""
    chosen = platform.settings.server
    if chosen.grpc_port is None:
        return None
    from infraspectre.api.rpc.scoring import ScoringServer

    door = door_of(platform)

    async def authenticate(authorization: str) -> Principal:
        identity = await asyncio.to_thread(door.authentication.identity, authorization)
        if identity is None:
            raise AccessError("there is no valid key or access token")
        return identity.principal

    server = ScoringServer(platform.scoring, authenticate)
    files = (Path(chosen.certificate_file), Path(chosen.key_file)) if chosen.certificate_file else (None, None)
    port = await server.start(f"{in_address(chosen.host)}:{chosen.grpc_port}", *files)
    urls["grpc"] = f"{in_address(chosen.host)}:{port}"
    return server


def api_server(chosen: ServerSettings, application: object, port: int) -> Server:
    """Return the HTTP server; raises ConfigError where it would answer others without TLS."""
    from granian.constants import HTTPModes, Interfaces
    from granian.server.embed import Server

    if not chosen.certificate_file and not chosen.allow_plaintext and not is_loopback(chosen.host):
        remedy = "set server.certificate_file and server.key_file, or server.allow_plaintext behind a proxy"
        raise ConfigError("beyond loopback the API is served by TLS alone", field="server.host", remedy=remedy)
    check_certificate(chosen)
    return Server(
        application,
        address=chosen.host,
        port=port,
        interface=Interfaces.ASGI,
        http=HTTPModes.auto,
        websockets=True,
        backlog=BACKLOG,
        backpressure=MOST_CONNECTIONS,
        log_enabled=False,
        ssl_cert=Path(chosen.certificate_file) if chosen.certificate_file else None,
        ssl_key=Path(chosen.key_file) if chosen.key_file else None,
    )


def check_certificate(chosen: ServerSettings) -> None:
    """Raise ConfigError for a certificate and key that are not to be read, or not of each other."""
    if chosen.certificate_file:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(chosen.certificate_file, chosen.key_file, "")
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
            remedy = "give PEM files, of which the key belongs to the certificate and has no passphrase"
            where = f"{chosen.certificate_file} and server.key_file {chosen.key_file or 'is missing'}"
            raise ConfigError(f"{where}: {reason}", field="server.certificate_file", remedy=remedy) from error


def reserved(host: str, port: int) -> socket.socket:
    """Return a socket that holds a port, chosen by the system where it is 0, for one that listens beside it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    held = socket.socket(family)
    try:
        with socket.socket(family) as alone:  # fails where somebody listens there, even one who would share it
            alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            alone.bind((host, port))
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind((host, port))
    except OSError as error:
        held.close()
        raise ConfigError(
            f"cannot listen at {host}:{port}: {error.strerror}", field="server.port", remedy="choose another port"
        ) from error
    return held


async def until_listening(host: str, port: int, running: asyncio.Task[None]) -> None:
    """Wait until the server accepts connections; raises what ended it before."""
    while not running.done():
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return
    await running
    raise OutputError("the server ended at once", field="server.port")


async def beat(
    control: Control, urls: dict[str, str], running: asyncio.Task[None], platform: Platform, listener: Listener | None
) -> None:
    """Report, and look around, until told to stop; raises what ended the server."""
    metrics = platform.metrics
    metrics.set(PROCESS_UP, "server", value=1)
    while not control.stopped.is_set():
        control.report(Report("ready", urls))
        for news in list(control.others.values()):
            note(news, metrics)
        if listener is not None:
            look_at_sensors(listener, metrics)
        done, _ = await asyncio.wait([running], timeout=0)
        if done:
            await running
            raise OutputError("the server ended by itself")
        await asyncio.to_thread(control.stopped.wait, BEAT_S)


FACTS = {
    "flows": WORKER_FLOWS,
    "waiting": WORKER_WAITING,
    "detectors": DETECTOR_CPU,
    "open": BREAKER_OPEN,
    "skipped": BREAKER_SKIPPED,
    "failures": FAILURES,
}
"""The metrics in which the facts of other processes are shown."""


def note(news: News, metrics: Metrics) -> None:
    """Show in metrics how another process is."""
    metrics.set(PROCESS_RESTARTS, news.role, value=news.restarts)
    metrics.set(PROCESS_UP, news.role, value=float(news.report is not None and news.report.state == "ready"))
    if news.report is not None:
        metrics.adopt(news.role, news.report.metrics)
    for what, figures in news.report.facts.items() if news.report else ():
        for name, value in figures.items():
            metrics.set(FACTS[what], name, value=value)


def problems_of(control: Control) -> dict[str, str]:
    """Return what the worker says that does not work, and why."""
    news = control.others.get("worker")
    return news.report.problems if news and news.report else {}


def faults_of(control: Control) -> dict[str, str]:
    """Return what failed in the worker though its results go on, as a detector or a model, and why."""
    return {name: reason for name, reason in problems_of(control).items() if name not in OUTLETS}


def check_worker(control: Control) -> None:
    """Raise OutputError while results of the worker go nowhere; that it starts is no reason not to answer."""
    problems = problems_of(control)
    stuck = [f"{name}: {problems[name]}" for name in OUTLETS if name in problems]
    if stuck:
        raise OutputError(stuck[0])
