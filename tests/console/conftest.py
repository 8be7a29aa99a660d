"""A platform that really runs, with what was found in the bundled capture, and a browser that looks at it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from api_platform import fill
from console_pages import PASSWORD, Console
from evidence_rooms import keep_packets
from infraspectre.api.access.passwords import Passwords
from infraspectre.records.access import Role
from infraspectre.serving.accounts import Accounts
from infraspectre.serving.opening import close_platform, open_platform
from infraspectre.settings import DataSettings, Settings

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
STATIC = Path(__file__).parents[2] / "src/infraspectre/api/static/index.html"
STOP_S = 60
PEOPLE: tuple[Role, ...] = ("administrator", "engineer", "analyst", "viewer")
GUESS_KIB = 64
"""Memory of a guess at a password: little, since nobody guesses here."""
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-smooth-scrolling", "--force-prefers-reduced-motion"]
expect.set_options(timeout=20_000)  # milliseconds; the machine may have much else to do


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let one process look at all pages: one platform and one browser do for them."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("console"))


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory, analyzed: Path) -> Iterator[str]:
    """Yield the address of a platform with incidents, detections and flows, and a user of each role."""
    if not STATIC.exists():
        pytest.skip("the console is not built: run `make console`")
    folder = tmp_path_factory.mktemp("console")
    stored = open_platform(Settings(data=DataSettings(folder=str(folder / "data"))))
    for incident in fill(stored, analyzed):
        keep_packets(stored, incident["incident_id"])
    accounts, password = Accounts(stored.records, stored.clock), Passwords(GUESS_KIB).hash(PASSWORD)
    for role in PEOPLE:
        accounts.add(role, role, password)
    close_platform(stored)
    serve = [sys.executable, "-m", "infraspectre.cli", "serve", "--data", str(folder / "data"), "--port", "0", "--json"]
    cheap = os.environ | {"INFRASPECTRE_ACCESS__PASSWORD_KIB": str(GUESS_KIB)}
    with (
        (folder / "serve.log").open("w") as log,
        subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=log, text=True, env=cheap) as running,
    ):
        assert running.stdout is not None
        line = running.stdout.readline()
        assert line, (folder / "serve.log").read_text()
        yield json.loads(line)["url"]
        running.send_signal(signal.SIGTERM)
        running.wait(STOP_S)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Yield a browser, no longer than for these tests: an event loop runs with it, and other tests begin their own."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium: install Debian's package chromium")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture(scope="package")
def people(browser: Browser, served: str) -> Iterator[Callable[[Role], Console]]:
    """Yield what returns the console of somebody of a role, who logs in once for all tests."""
    with ExitStack() as consoles:
        yield cache(lambda role: consoles.enter_context(Console.of(browser, served, role)))


@pytest.fixture
def administrator(people: Callable[[Role], Console]) -> Iterator[Console]:
    """Yield the console as an administrator sees it."""
    with people("administrator").lent() as console:
        yield console


@pytest.fixture
def engineer(people: Callable[[Role], Console]) -> Iterator[Console]:
    """Yield the console as an engineer sees it."""
    with people("engineer").lent() as console:
        yield console


@pytest.fixture
def analyst(people: Callable[[Role], Console]) -> Iterator[Console]:
    """Yield the console as an analyst sees it."""
    with people("analyst").lent() as console:
        yield console


@pytest.fixture
def viewer(people: Callable[[Role], Console]) -> Iterator[Console]:
    """Yield the console as a viewer sees it."""
    with people("viewer").lent() as console:
        yield console
