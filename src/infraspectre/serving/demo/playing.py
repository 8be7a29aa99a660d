"""Composes the demonstration: a sensor that sees a simulated office, and its analyst, beside a platform of its own."""

from __future__ import annotations

import os
import secrets
import threading
from pathlib import Path

from msgspec.structs import replace

from infraspectre.adapters.system_clock import SystemClock
from infraspectre.errors import UsageError
from infraspectre.files import make_folder
from infraspectre.modelbook import register
from infraspectre.modelbook.opening import BUILTIN_FOLDER
from infraspectre.records.times import rfc3339
from infraspectre.security import is_loopback
from infraspectre.serving.control import Control, Report
from infraspectre.serving.demo.analyst import Analyst
from infraspectre.serving.demo.traffic import Traffic
from infraspectre.serving.opening import data_folder, read_secret
from infraspectre.serving.sensor import SensorPlan, run
from infraspectre.settings import LogSettings, ModelSettings, SensorSettings, Settings, StoreSettings

SENSOR = "headquarters"
ANALYST = "riley"
MODEL, MODEL_NAME = "flow", "site-flows"
"""The built-in model that is registered, and its name there."""
REGISTRY_VARIABLE = "INFRASPECTRE_MODELS__REGISTRY"
LOOPBACK = "127.0.0.1"


def demo_settings(settings: Settings, folder: Path, port: int) -> Settings:
    """Return settings by which everything lies in a folder, and nobody but this machine reaches it.

    Raises UsageError for a host beyond loopback.
    """
    if not is_loopback(settings.server.host):
        raise UsageError("a demonstration is for this machine alone", field="server.host", remedy="leave it away")
    return replace(
        settings,
        data=replace(settings.data, folder=str(folder)),
        server=replace(settings.server, port=port, certificate_file="", key_file="", grpc_port=None),
        sensors=SensorSettings(listen=True, host=LOOPBACK, port=0),
        log=LogSettings(),
        store=StoreSettings(),
        models=ModelSettings(registry=str(folder / "registry")),
    )


def demo_folder(settings: Settings) -> Path:
    """Return the folder of what the demonstration keeps for itself."""
    return make_folder(data_folder(settings) / "demo")


def analyst_password(settings: Settings) -> str:
    """Make the password of the analyst, which is kept in a file for the owner alone."""
    path, password = demo_folder(settings) / "analyst", secrets.token_urlsafe(16)
    path.touch(0o600)
    path.write_text(password, encoding="utf-8")
    return password


def keep_models_apart(settings: Settings) -> None:
    """Let this process and those that it starts keep registered models where the settings say, and not with others."""
    os.environ[REGISTRY_VARIABLE] = settings.models.registry


def play(settings: Settings, control: Control) -> None:
    """Play until told to stop; raises InfraSpectreError where that cannot be."""
    folder, clock = demo_folder(settings), SystemClock()
    begun = folder / "begun"
    if not begun.exists():
        register(BUILTIN_FOLDER / MODEL, MODEL_NAME, "production", rfc3339(clock.now()))
    traffic = Traffic(folder, clock, control.stopped, with_day=not begun.exists())
    begun.touch()
    url, password = f"http://{LOOPBACK}:{settings.server.port}", read_secret(folder / "analyst")
    analyst = Analyst(url, ANALYST, password, lambda: traffic.attacks)
    judging = threading.Thread(target=analyst.work, args=(control.stopped, clock.now), name="analyst", daemon=True)
    judging.start()
    control.report(Report("ready"))
    plan = SensorPlan(
        (LOOPBACK, settings.sensors.port), lambda: traffic, folder / "spool", name=SENSOR, is_insecure=True
    )
    run(plan, lambda _: control.report(Report("ready")))
    control.report(Report("stopping"))
