"""How soon a graph of 10,000 nodes is placed in the console, and how many frames a second it is moved with."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from benches.process import ROOT
from benches.report import Figure, Report, UnavailableError

if TYPE_CHECKING:
    from playwright.sync_api import Page

NODES, SEED = 10_000, 7
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
STATIC = ROOT / "src/infraspectre/api/static/index.html"
PASSWORD = "of a benchmark alone"
KINDS = {"address": 40, "host": 30, "name": 20, "technique": 3, "incident": 5, "campaign": 1, "indicator": 1}
PLACED_S, STOP_S = 120, 60
STEPS, LOOKS = 150, 10
MOVES = """async ({steps, isHeld}) => {
  const box = document.querySelector('[data-placed]').getBoundingClientRect();
  window.at ??= {x: box.x + 300, y: box.y + 250, step: 0};
  const at = window.at;
  const press = (type, target) => target.dispatchEvent(new PointerEvent(
    type, {clientX: at.x, clientY: at.y, bubbles: true, button: 0, buttons: 1, pointerType: 'mouse'}));
  if (at.step === 0) press('pointerdown', document.elementFromPoint(at.x, at.y));
  const frames = [];
  const begun = await new Promise(requestAnimationFrame);
  for (let last = begun, end = at.step + steps; at.step < end && last - begun < 20_000; at.step++) {
    at.x += at.step % 60 < 30 ? 4 : -4;
    at.y += at.step % 40 < 20 ? 2 : -2;
    press('pointermove', document);
    const now = await new Promise(requestAnimationFrame);
    frames.push(now - last);
    last = now;
  }
  if (isHeld) return frames;
  press('pointerup', document);
  delete window.at;
  return frames;
}"""
"""Drags the picture about, and returns how long each frame took (ms); held, the next call goes on with the drag."""


class Seen(NamedTuple):
    """Holds after how many seconds a graph was drawn, how long frames took (ms), and how many pictures differed."""

    placed_s: float
    frames: list[float]
    moved: int


def measure() -> Report:
    """Measure the graph explorer in Chromium, which draws without a graphics card where there is none."""
    if CHROMIUM is None or not STATIC.exists():
        raise UnavailableError("there is no Chromium, or the console is not built: run make console")
    with TemporaryDirectory(prefix="infraspectre-bench-") as folder, served(Path(folder)) as url:
        seen = moved(url)
    frames = sorted(seen.frames)
    if seen.moved < LOOKS:
        raise RuntimeError(f"only {seen.moved} of {LOOKS} pictures differ from the one before: it did not move")
    usual, slow = frames[len(frames) // 2], frames[len(frames) * 95 // 100]
    return Report(
        [
            Figure("10,000 nodes placed and drawn", seen.placed_s, "s"),
            Figure(f"pictures of {LOOKS}, a move apart, that differ from the one before", seen.moved),
            Figure("frames a second while moved", 1000 * len(frames) / sum(frames), "frames/s", "", "30 frames/s"),
            Figure("time of a frame, median", usual, "ms"),
            Figure("time of a frame, 95th percentile", slow, "ms"),
        ],
        notes=["A large picture moves as it was drawn while it is dragged, and is drawn anew where it comes to rest."],
    )


def graph() -> dict[str, Any]:
    """Return a graph as the API answers: few nodes have most of the edges."""
    chance = random.Random(SEED)
    kinds = chance.choices(list(KINDS), list(KINDS.values()), k=NODES)
    nodes = [
        {"id": f"{kind}:{number}", "kind": kind, "label": f"{kind}-{number}.example", "level": "low", "count": 1}
        for number, kind in enumerate(kinds)
    ]
    hubs = chance.sample(range(NODES), NODES // 60)
    ends = [(node, chance.choice(hubs[: 1 + node % len(hubs)])) for node in range(NODES) for _ in range(1 + node % 2)]
    edges = [
        {"source": nodes[one]["id"], "target": nodes[other]["id"], "kind": "talked", "count": 1}
        for one, other in ends
        if one != other
    ]
    left = {"nodes": 0, "edges": 0}
    told = {"start": "2026-01-01T00:00:00Z", "incidents": 1, "is_whole": True}
    return {"nodes": nodes, "edges": edges, "left_out": left} | told


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Yield the address of an empty platform with an administrator."""
    secret, data = folder / "password", folder / "data"
    secret.write_text(PASSWORD)
    infraspectre = [sys.executable, "-m", "infraspectre.cli"]
    kept = ["--password-file", str(secret), "--store", str(data / "store"), "--quiet"]
    subprocess.run([*infraspectre, "users", "add", "bench", "--role", "administrator", *kept], check=True)
    serve = [*infraspectre, "serve", "--data", str(data), "--port", "0", "--json"]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=log, text=True) as running,
    ):
        assert running.stdout is not None
        yield msgspec.json.decode(running.stdout.readline())["url"]
        running.terminate()
        running.wait(STOP_S)


def moved(url: str) -> Seen:
    """Drag the graph about in a browser, once by the clock and once to see that what is drawn moves."""
    from playwright.sync_api import sync_playwright  # only here: other benchmarks run without a browser

    body = msgspec.json.encode(graph())
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.route("**/api/v1/graph*", lambda route: route.fulfill(body=body, content_type="application/json"))
        page.goto(f"{url}/console/settings")
        page.get_by_label("User").fill("bench")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("link", name="Graph").click()
        begun = page.evaluate("performance.now()")
        page.wait_for_selector("[data-placed=true]", timeout=PLACED_S * 1000)
        placed = page.evaluate("performance.now()") - begun
        timed = page.evaluate(MOVES, {"steps": STEPS, "isHeld": False})
        pictures = [looked(page) for _ in range(LOOKS + 1)]
        browser.close()
    return Seen(placed / 1000, timed, sum(one != other for one, other in pairwise(pictures)))


def looked(page: Page) -> bytes:
    """Return the picture as people see it after another move of a drag that goes on."""
    page.evaluate(MOVES, {"steps": 1, "isHeld": True})
    return page.locator("[data-placed]").screenshot()
