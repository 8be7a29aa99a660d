"""How soon the console shows its first page, and what filters find among a million incidents, as a browser has it.

`python -m benches.console FOLDER` fills a folder that stays, and looks at it; one that is filled is only looked at.
"""

from __future__ import annotations

import json
import random
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

import numpy as np

from benches.records import BATCH, COUNT, QUESTIONS, SEED, incidents
from benches.report import Figure, Report, Table, UnavailableError
from infraspectre.records.access import DEFAULT_TENANT
from infraspectre.records.collections import INCIDENTS
from infraspectre.serving.opening import close_platform, open_platform
from infraspectre.settings import DataSettings, Settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FILTERS, LOADS = 50, 5
WAIT_MS, STOP_S = 60_000, 60
USER = "bench"
STATIC = Path(__file__).parents[1] / "src/infraspectre/api/static/index.html"
METHOD = (
    "A headless Chromium on the same machine. The first page is loaded by somebody who is logged in, without anything "
    "kept from before; its payload is what went over the wire, the answers of the API included. A filter is measured "
    "from the change of the address to the first frame that shows what it found; no question is asked twice."
)
LOADED = """() => {
  const all = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
  const paint = performance.getEntriesByName("first-contentful-paint")[0];
  return {paint: paint.startTime, bytes: all.reduce((sum, each) => sum + each.transferSize, 0)};
}"""
FOUND = """(address) => new Promise((resolve, reject) => {
  const begin = performance.now();
  const main = document.querySelector("main");
  let wasBusy = false;
  const look = () => {
    const isBusy = main.querySelector("[aria-busy=true], [role=status] .unseen") !== null;
    const isShown = main.querySelector("tr[data-row]") !== null || main.innerText.includes("No incident is like that");
    wasBusy ||= isBusy;
    if (!wasBusy || isBusy || !isShown) return;
    changes.disconnect();
    requestAnimationFrame(() => resolve(performance.now() - begin));
  };
  const changes = new MutationObserver(look);
  changes.observe(main, {subtree: true, childList: true, attributes: true, attributeFilter: ["aria-busy"]});
  setTimeout(() => reject(new Error("nothing was found for " + address)), 60_000);
  history.pushState(null, "", address);
})"""
"""Hears each change of the page; the console says that it is busy while it shows the answer to another question."""


class Served(NamedTuple):
    """Is a platform that runs, and how to log in."""

    url: str
    password: str


def measure() -> Report:
    """Fill a platform in a temporary folder, and look at it in a browser."""
    with TemporaryDirectory(prefix="console-") as folder:
        fill(Path(folder))
        return seen(Path(folder))


def fill(folder: Path) -> None:
    """Write incidents."""
    platform = open_platform(Settings(data=DataSettings(folder=str(folder / "data"))))
    stream: Iterator[tuple[str, dict[str, Any]]] = incidents(COUNT)
    while batch := dict(islice(stream, BATCH)):
        platform.records.put_many(DEFAULT_TENANT, INCIDENTS, batch)
    close_platform(platform)


def seen(folder: Path) -> Report:
    """Look at a filled folder; raises UnavailableError without a built console or a browser."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None or not STATIC.exists():
        raise UnavailableError("needs Chromium (Debian's package chromium) and the built console (make console)")
    from playwright.sync_api import sync_playwright  # only here: it is among the packages of the tests

    with served(folder) as platform, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        loads = [loaded(browser, platform) for _ in range(LOADS)]
        rows = filtered(browser, platform)
        browser.close()
    return told(loads, rows)


@contextmanager
def served(folder: Path) -> Iterator[Served]:
    """Yield a platform that serves a folder, with an analyst."""
    password, secret = secrets.token_urlsafe(), folder / "password"
    secret.write_text(password)
    infraspectre = [sys.executable, "-m", "infraspectre.cli"]
    kept = ["--password-file", str(secret), "--store", str(folder / "data" / "store"), "--quiet"]
    name = f"{USER}{secrets.token_hex(4)}"
    subprocess.run([*infraspectre, "users", "add", name, "--role", "analyst", *kept], check=True)
    serve = [*infraspectre, "serve", "--data", str(folder / "data"), "--port", "0", "--json"]
    with (
        (folder / "serve.log").open("w") as log,
        subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=log, text=True) as running,
    ):
        assert running.stdout is not None
        yield Served(json.loads(running.stdout.readline())["url"], f"{name}:{password}")
        running.send_signal(signal.SIGTERM)
        running.wait(STOP_S)


def logged_in(browser: Browser, platform: Served) -> Page:
    """Return a page of somebody who has logged in."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.set_default_timeout(WAIT_MS)
    name, _, password = platform.password.partition(":")
    page.goto(platform.url)
    page.get_by_label("User").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", name="Overview").wait_for()
    return page


def loaded(browser: Browser, platform: Served) -> tuple[float, int]:
    """Return when the first page had something to read, in ms, and the bytes that it took."""
    page = logged_in(browser, platform)
    page.context.new_cdp_session(page).send("Network.clearBrowserCache")
    page.goto(f"{platform.url}/console/")
    page.get_by_role("heading", name="Top talkers").wait_for()
    page.wait_for_load_state("networkidle")
    found = page.evaluate(LOADED)
    page.context.close()
    return found["paint"], found["bytes"]


def filtered(browser: Browser, platform: Served) -> list[tuple[str, float]]:
    """Return how long each of many filters took until its rows were there, in ms."""
    page, draw = logged_in(browser, platform), random.Random(SEED)
    page.goto(f"{platform.url}/console/incidents?order=-value")
    page.locator("tr[data-row]").first.wait_for()
    found: dict[str, tuple[str, float]] = {}
    for number in range(4 * FILTERS):
        question = QUESTIONS[number % len(QUESTIONS)]
        asked = [*(("filter", each) for each in question.filters(draw)), ("order", question.order)]
        address = f"/console/incidents?{urlencode(asked)}"
        if len(asked) > 1 and address not in found and len(found) < FILTERS:
            found[address] = (question.name, page.evaluate(FOUND, address))
    page.context.close()
    return list(found.values())


def told(loads: list[tuple[float, int]], rows: list[tuple[str, float]]) -> Report:
    """Return what was measured."""
    paints, sizes = zip(*loads, strict=True)
    took = [each for _, each in rows]
    slowest = sorted(rows, key=lambda row: -row[1])[:10]
    return Report(
        [
            Figure("incidents", COUNT),
            Figure("first paint, median", float(np.median(paints)), "ms", "1,500", "1,000"),
            Figure("first page over the wire", max(sizes) / 1e3, "kB", "600", "300"),
            Figure("filters", len(took)),
            Figure("filter to result, p50", float(np.median(took)), "ms"),
            Figure("filter to result, p95", float(np.quantile(took, 0.95)), "ms", "400", "150"),
        ],
        [Table("Slowest filters", ("filter", "ms"), [(name, f"{each:.0f}") for name, each in slowest])],
        [METHOD],
    )


if __name__ == "__main__":
    from benches.report import markdown

    path = Path(sys.argv[1])
    if not (path / "data").exists():
        fill(path)
    print(markdown("console", __doc__, seen(path)))
