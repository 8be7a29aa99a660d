"""Composes the server process: the API, and what takes flows from sensors."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from infraspectre.errors import ConfigError, OutputError
from infraspectre.records.collections import SENSORS
from infraspectre.records.feed import AUDIT_TOPIC, EVENTS_TOPIC, FLOWS_TOPIC, NOTICES_TOPIC, FeedEvent
from infraspectre.records.times import rfc3339
from infraspectre.serving.control import BEAT_S, Control, News, Report
from infraspectre.serving.metrics import (
    BREAKER_OPEN,
    BREAKER_SKIPPED,
    FAILURES,
    PROCESS_RESTARTS,
    WORKER_FLOWS,
    WORKER_SECONDS,
    WORKER_WAITING,
    Metrics,
)
from infraspectre.serving.opening import close_platform, open_platform
from infraspectre.serving.upkeep import Upkeep, log_tasks
from infraspectre.settings import ServerSettings, Settings

if TYPE_CHECKING:
    from granian.server.embed import Server

    from infraspectre.adapters.sensor_link.listener import Listener, SensorState
    from infraspectre.serving.platform import Platform

OUTLETS = ("flows", "detections", "incidents", "feed", "relay")
"""Where results of the worker go."""


def serve(settings: Settings, control: Control) -> None:
    """Answer until told to stop; raises InfraSpectreError where that cannot be."""
    platform = replace(open_platform(settings), checks={"worker": lambda: check_worker(control)})
    try:
        asyncio.run(answer(platform, control))
    finally:
        close_platform(platform)


async def answer(platform: Platform, control: Control) -> None:
    """Run the API and the listener for sensors beside each other."""
    from infraspectre.api.app import make_app

    chosen = platform.settings.server
    tasks = log_tasks(platform, [FLOWS_TOPIC, EVENTS_TOPIC, NOTICES_TOPIC, AUDIT_TOPIC])
    with reserved(chosen.host, chosen.port) as held, Upkeep(tasks):
        port = held.getsockname()[1]
        server = api_server(chosen, make_app(platform), port)
        running = asyncio.create_task(server.serve())
        await until_listening(chosen.host, port, running)
        scheme = "https" if chosen.certificate_file else "http"
        urls = {"api": f"{scheme}://{in_address(chosen.host)}:{port}"}
        listener = await listening(platform, urls)
        try:
            await beat(control, urls, running, platform.metrics)
        finally:
            control.report(Report("stopping"))
            if listener is not None:
                await listener.stop()
            server.stop()  # type: ignore[no-untyped-call]
            await running


async def listening(platform: Platform, urls: dict[str, str]) -> Listener | None:
    """Listen for sensors, and add the address; None where the settings say not to."""
    chosen = platform.settings.sensors
    if not chosen.listen:
        return None
    from infraspectre.adapters.sensor_link.credentials import Credentials
    from infraspectre.adapters.sensor_link.intake import Intake
    from infraspectre.adapters.sensor_link.listener import Listener

    credentials = None
    if chosen.certificate_file:
        revoked = Path(chosen.revocation_file) if chosen.revocation_file else None
        credentials = Credentials(
            Path(chosen.certificate_file), Path(chosen.key_file), Path(chosen.authority_file), revoked, "server",
            platform.clock,
        )  # fmt: skip
    listener = Listener(Intake(platform.log), credentials, platform.clock, SensorNotices(platform).tell)
    host, port = await listener.start(chosen.host, chosen.port)
    urls["sensors"] = f"{in_address(host)}:{port}"
    return listener


class SensorNotices:
    """Keeps how each sensor is among the records, and tells of it on the feed."""

    def __init__(self, platform: Platform) -> None:
        """Write into the records and the log of a platform."""
        self._platform = platform

    def tell(self, state: SensorState) -> None:
        """Take note that a sensor came or went."""
        word = "connected" if state.is_connected else "disconnected"
        record = {"name": state.name, "state": word, "seen_at": state.heard_at, "sensor": msgspec.to_builtins(state)}
        event = FeedEvent(
            state.tenant,
            "system",
            f"sensor.{word}",
            rfc3339(state.changed_at or self._platform.clock.now()),
            state.name,
            data=msgspec.Raw(msgspec.json.encode(state)),
        )
        self._platform.log.topic(NOTICES_TOPIC).append([msgspec.json.encode(event)])
        self._platform.records.put(state.tenant, SENSORS, state.name, record)


def api_server(chosen: ServerSettings, application: object, port: int) -> Server:
    """Return the HTTP server; raises ConfigError where it would answer others without TLS."""
    from granian.constants import HTTPModes, Interfaces
    from granian.server.embed import Server

    if not chosen.certificate_file and not chosen.allow_plaintext and not is_loopback(chosen.host):
        remedy = "set server.certificate_file and server.key_file, or server.allow_plaintext behind a proxy"
        raise ConfigError("beyond loopback the API is served by TLS alone", field="server.host", remedy=remedy)
    return Server(
        application,
        address=chosen.host,
        port=port,
        interface=Interfaces.ASGI,
        http=HTTPModes.auto,
        websockets=True,
        log_enabled=False,
        ssl_cert=Path(chosen.certificate_file) if chosen.certificate_file else None,
        ssl_key=Path(chosen.key_file) if chosen.key_file else None,
    )


def reserved(host: str, port: int) -> socket.socket:
    """Return a socket that holds a port, chosen by the system where it is 0, for one that listens beside it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    held = socket.socket(family)
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind((host, port))
    except OSError as error:
        held.close()
        raise OutputError(
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


async def beat(control: Control, urls: dict[str, str], running: asyncio.Task[None], metrics: Metrics) -> None:
    """Report until told to stop; raises what ended the server."""
    while not control.stopped.is_set():
        control.report(Report("ready", urls))
        for news in list(control.others.values()):
            note(news, metrics)
        done, _ = await asyncio.wait([running], timeout=0)
        if done:
            await running
            raise OutputError("the server ended by itself")
        await asyncio.to_thread(control.stopped.wait, BEAT_S)


FACTS = {
    "flows": WORKER_FLOWS,
    "waiting": WORKER_WAITING,
    "seconds": WORKER_SECONDS,
    "open": BREAKER_OPEN,
    "skipped": BREAKER_SKIPPED,
    "failures": FAILURES,
}
"""The metrics in which the facts of other processes are shown."""


def note(news: News, metrics: Metrics) -> None:
    """Show in metrics how another process is."""
    metrics.set(PROCESS_RESTARTS, news.role, value=news.restarts)
    for what, figures in news.report.facts.items() if news.report else ():
        for name, value in figures.items():
            metrics.set(FACTS[what], name, value=value)


def check_worker(control: Control) -> None:
    """Raise OutputError while results of the worker go nowhere; that it starts is no reason not to answer."""
    news = control.others.get("worker")
    problems = news.report.problems if news and news.report else {}
    stuck = [f"{name}: {problems[name]}" for name in OUTLETS if name in problems]
    if stuck:
        raise OutputError(stuck[0])


def is_loopback(host: str) -> bool:
    """Tell whether an address is of this machine alone."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def in_address(host: str) -> str:
    """Return a host as it stands in a URL."""
    return f"[{host}]" if ":" in host else host
