"""Checks whether the platform can run here, and says what to do where it cannot."""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import socket
import sqlite3
import stat
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import msgspec

from infraspectre import __version__, config
from infraspectre.errors import ConfigError, InfraSpectreError
from infraspectre.serving.supervisor import only_one
from infraspectre.settings import Settings

State = Literal["ok", "warning", "failed"]
GIB = 1 << 30
LEAST_FREE, LITTLE_FREE = GIB, 10 * GIB
SYNCS = 15
SLOW_SYNC_MS = 20.0
SOON_DAYS = 14
LEAST_FILES = 4_096
CAP_NET_RAW = 13
"""capabilities(7)"""
CLOCK_IS_UNKNOWN = 5
"""TIME_ERROR of adjtimex(2): nobody sets the clock by others."""
EARLIEST = 1_767_225_600
"""2026-01-01; no clock is right that is before."""
SECONDS_OF_DAY = 86_400
EXTRAS = {
    "postgres": "psycopg",
    "kafka": "confluent_kafka",
    "grpc": "grpc",
    "onnx": "onnxruntime",
    "yara": "yara_x",
    "pdf": "typst",
    "graph": "ladybug",
    "telemetry": "opentelemetry.sdk",
}
"""The library of each extra."""


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """Says how one thing is that the platform needs."""

    name: str
    state: State
    text: str
    remedy: str = ""


def examine(path: Path | None) -> Iterator[Finding]:
    """Yield a finding for each thing that is looked at, with the settings of a file."""
    yield versions()
    problems = config.check(Settings, path) if path else []
    yield from (Finding("settings", "failed", each.message) for each in problems)
    try:
        settings = config.load(Settings, path)
    except ConfigError as error:
        yield from [Finding("settings", "failed", error.message)] if not problems else ()
        return
    yield Finding("settings", "ok", f"{path or 'defaults'}: every setting is known and possible")
    for check in CHECKS:
        yield from check(settings)


def versions() -> Finding:
    """Tell the versions of what everything is built on."""
    python = ".".join(map(str, sys.version_info[:3]))
    return Finding("versions", "ok", f"InfraSpectre {__version__}, Python {python}, SQLite {sqlite3.sqlite_version}")


def folder(settings: Settings) -> Iterator[Finding]:
    """Look at the data folder: whether it can be written, and by whom it can be read."""
    path = settings.data.path
    place = nearest(path)
    if not os.access(place, os.W_OK | os.X_OK):
        yield Finding("data folder", "failed", f"{place} cannot be written", f"give it to user {os.geteuid()}")
    elif path.exists() and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield Finding("data folder", "warning", f"others can read {path}", f"chmod 700 {path}")
    else:
        yield Finding("data folder", "ok", f"{path} {'is' if path.exists() else 'will be'} for its owner alone")


def space(settings: Settings) -> Iterator[Finding]:
    """Look at the space on the disk."""
    usage = shutil.disk_usage(nearest(settings.data.path))
    state: State = "failed" if usage.free < LEAST_FREE else "warning" if usage.free < LITTLE_FREE else "ok"
    remedy = "" if state == "ok" else "free some, or set data.folder, log.retention_bytes and retention"
    yield Finding("disk space", state, f"{usage.free / GIB:.1f} of {usage.total / GIB:.1f} GiB are free", remedy)


def speed(settings: Settings) -> Iterator[Finding]:
    """Measure how long it takes until something is on the disk, for which every acknowledgement waits."""
    try:
        with tempfile.TemporaryFile(dir=nearest(settings.data.path)) as file:
            took_ms = statistics.median(synced_ms(file.fileno()) for _ in range(SYNCS))
    except OSError as error:
        yield Finding("disk speed", "failed", f"cannot be measured: {error.strerror}", "see the data folder")
        return
    is_slow = took_ms > SLOW_SYNC_MS
    remedy = "put the data folder on a disk with a write cache that survives power loss" if is_slow else ""
    yield Finding("disk speed", "warning" if is_slow else "ok", f"a write is durable after {took_ms:.1f} ms", remedy)


def synced_ms(file: int) -> float:
    """Return the milliseconds until a block is on the disk."""
    begun = time.perf_counter()
    os.write(file, bytes(4_096))
    os.fdatasync(file)
    return (time.perf_counter() - begun) * 1_000


def clock(_: Settings) -> Iterator[Finding]:
    """Look at the clock: whether it can be right, and whether it is set by others."""
    if time.time() < EARLIEST:
        yield Finding("clock", "failed", f"it is {time.ctime()}", "set the clock; certificates and retention need it")
        return
    is_unknown = clock_state() == CLOCK_IS_UNKNOWN
    remedy = "let chrony or systemd-timesyncd set it, so that times of sensors agree" if is_unknown else ""
    text = "nobody sets it by other clocks" if is_unknown else "it is set by other clocks"
    yield Finding("clock", "warning" if is_unknown else "ok", text, remedy)


def clock_state() -> int:
    """Return the state of the kernel's clock, as adjtimex(2) tells it; 0 where there is no such call."""
    call = getattr(ctypes.CDLL(None), "adjtimex", None)
    return 0 if call is None else int(call(ctypes.create_string_buffer(512)))


def ports(settings: Settings) -> Iterator[Finding]:
    """Look whether the ports are free, or in use by the platform itself."""
    wanted = {"server": (settings.server.host, settings.server.port)}
    if settings.sensors.listen:
        wanted["sensors"] = (settings.sensors.host, settings.sensors.port)
    for name, (host, port) in wanted.items():
        reason = why_not_free(host, port)
        if reason and runs(settings):
            yield Finding(f"port of {name}", "ok", f"{host}:{port} is in use while the platform runs")
        elif reason:
            yield Finding(f"port of {name}", "failed", f"{host}:{port}: {reason}", f"set {name}.port or {name}.host")
        else:
            found = f"{host}:{port} is free" if port else f"the system will choose one at {host}"
            yield Finding(f"port of {name}", "ok", found)


def why_not_free(host: str, port: int) -> str:
    """Return why nobody can listen at an address; empty where that is possible."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((host, port))
    except OSError as error:
        return error.strerror or str(error)
    return ""


def runs(settings: Settings) -> bool:
    """Tell whether the platform runs on this data folder."""
    if not (settings.data.path / "serve.lock").exists():
        return False
    try:
        with only_one(settings.data.path):
            return False
    except InfraSpectreError:
        return True


def files(settings: Settings) -> Iterator[Finding]:
    """Look whether the files that settings name are there."""
    chosen = settings.detection
    named = {
        "detection.assets": [chosen.assets],
        "detection.rules": chosen.rules,
        "detection.models": [each for each in chosen.models if not each.startswith("builtin:")],
        "detection.intel": chosen.intel,
        "detection.correlation": chosen.correlation,
        "log.signing_key_file": [settings.log.signing_key_file],
        "store.postgres_file": [settings.store.postgres_file],
        "access.token_key_file": [settings.access.token_key_file],
    }
    for key, paths in named.items():
        for path in paths:
            if path and not os.access(path, os.R_OK):
                yield Finding(key, "failed", f"{path} cannot be read", "name a file that is there, or mend its rights")


def certificates(settings: Settings) -> Iterator[Finding]:
    """Look at certificates: whether they can be read, and when they end."""
    server, sensors = settings.server, settings.sensors
    for name, path, key in (
        ("server", server.certificate_file, server.key_file),
        ("sensors", sensors.certificate_file, sensors.key_file),
    ):
        if path:
            yield certificate(name, Path(path))
            yield from key_file(name, Path(key))


def certificate(name: str, path: Path) -> Finding:
    """Look at a certificate."""
    from cryptography import x509

    what, remedy = f"certificate of {name}", "'infraspectre certificates' issues another"
    try:
        found = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        return Finding(what, "failed", f"{path}: {error}", remedy)
    days = (found.not_valid_after_utc.timestamp() - time.time()) / SECONDS_OF_DAY
    state: State = "failed" if days <= 0 else "warning" if days < SOON_DAYS else "ok"
    text = f"{path} ended" if days <= 0 else f"{path} holds for {days:.0f} more days"
    return Finding(what, state, text, "" if state == "ok" else remedy)


def key_file(name: str, path: Path) -> Iterator[Finding]:
    """Look who can read a private key."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        yield Finding(f"key of {name}", "failed", f"{path}: {error.strerror}", f"set {name}.key_file")
        return
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield Finding(f"key of {name}", "failed", f"others can read {path}", f"chmod 600 {path}")


def limits(_: Settings) -> Iterator[Finding]:
    """Look at the limits that the system sets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    is_low = soft < LEAST_FILES
    remedy = f"ulimit -n {min(hard, 65_536)}, or LimitNOFILE= in the systemd unit" if is_low else ""
    yield Finding("open files", "warning" if is_low else "ok", f"{soft:,} may be open at once", remedy)


def capture(_: Settings) -> Iterator[Finding]:
    """Look whether this machine could capture live traffic, which a server alone does not need."""
    if not Path("/proc/net/packet").exists():
        yield Finding("capture", "warning", "this kernel has no packet sockets", "run sensors on other machines")
    elif not may_capture():
        yield Finding(
            "capture", "warning", "packets may not be captured", "give sensors CAP_NET_RAW; the server needs none"
        )
    else:
        yield Finding("capture", "ok", "packets may be captured")


def may_capture() -> bool:
    """Tell whether this process has the capability to capture."""
    lines = Path("/proc/self/status").read_text().splitlines()
    held = next((int(line.split()[1], 16) for line in lines if line.startswith("CapEff:")), 0)
    return bool(held >> CAP_NET_RAW & 1)


def extras(settings: Settings) -> Iterator[Finding]:
    """Look for the libraries of extras; one is missed only if settings need it."""
    missing = [name for name, module in EXTRAS.items() if find_spec(module) is None]
    if settings.store.postgres_file and "postgres" in missing:
        remedy = "pip install 'infraspectre[postgres]'"
        yield Finding("extras", "failed", "store.postgres_file needs the extra postgres", remedy)
    if settings.telemetry.traces.startswith("http") and "telemetry" in missing:
        remedy = "pip install 'infraspectre[telemetry]', or set telemetry.traces to console or a file"
        yield Finding("extras", "failed", "telemetry.traces needs the extra telemetry", remedy)
    there = ", ".join(name for name in EXTRAS if name not in missing) or "none"
    yield Finding("extras", "ok", f"installed: {there}; not installed: {', '.join(missing) or 'none'}")


def nearest(path: Path) -> Path:
    """Return a folder, or the nearest one above that is there."""
    return path if path.is_dir() or path == path.parent else nearest(path.parent)


CHECKS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    folder, space, speed, clock, limits, ports, files, certificates, capture, extras,
)  # fmt: skip
