"""A platform that really runs, with what was found in the bundled capture, and a browser that looks at it."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from api_platform import fill
from console_pages import PASSWORD, Console
from evidence_rooms import keep_packets
from infraspectre.serving.opening import close_platform, open_platform
from infraspectre.settings import DataSettings, Settings

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
STATIC = Path(__file__).parents[2] / "src/infraspectre/api/static/index.html"
STOP_S = 60
expect.set_options(timeout=20_000)  # milliseconds; the machine may have much else to do


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let one process look at all pages: one platform and one browser do for them."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("console"))


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory, analyzed: Path) -> Iterator[str]:
    """Yield the address of a platform with incidents, detections and flows, and a user of each role."""
    if not STATIC.exists():
        pytest.skip("the console is not built: run `make console`")
    folder = tmp_path_factory.mktemp("console")
    stored = open_platform(Settings(data=DataSettings(folder=str(folder / "data"))))
    for incident in fill(stored, analyzed):
        keep_packets(stored, incident["incident_id"])
    close_platform(stored)
    secret = folder / "password"
    secret.write_text(PASSWORD)
    infraspectre = [sys.executable, "-m", "infraspectre.cli"]
    kept = ["--password-file", str(secret), "--store", str(folder / "data" / "store"), "--quiet"]
    for role in ("administrator", "engineer", "analyst", "viewer"):
        subprocess.run([*infraspectre, "users", "add", role, "--role", role, *kept], check=True)
    serve = [*infraspectre, "serve", "--data", str(folder / "data"), "--port", "0", "--json"]
    with (
        (folder / "serve.log").open("w") as log,
        subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=log, text=True) as running,
    ):
        assert running.stdout is not None
        line = running.stdout.readline()
        assert line, (folder / "serve.log").read_text()
        yield json.loads(line)["url"]
        running.send_signal(signal.SIGTERM)
        running.wait(STOP_S)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Yield a browser, no longer than its module: an event loop runs with it, and other tests begin their own."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium: install Debian's package chromium")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def console(browser: Browser, served: str) -> Iterator[Console]:
    """Yield the console as an administrator sees it; at the end, no page may have had an error or asked a stranger."""
    with Console.of(browser, served, "administrator") as opened:
        yield opened
