"""How soon a graph of 10,000 nodes is placed in the console, and how many frames a second it is moved with."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import msgspec

from benches.process import ROOT
from benches.report import Figure, Report, UnavailableError

NODES, SEED = 10_000, 7
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
STATIC = ROOT / "src/infraspectre/api/static/index.html"
PASSWORD = "of a benchmark alone"
KINDS = {"address": 40, "host": 30, "name": 20, "technique": 3, "incident": 5, "campaign": 1, "indicator": 1}
PLACED_S, STOP_S = 120, 60
STEPS, LOOKS = 150, 10
MOVES = """async ({steps, isLooking}) => {
  const box = document.querySelector('[data-placed]').getBoundingClientRect();
  let [x, y] = [box.x + 300, box.y + 250];
  const press = (type, target) => target.dispatchEvent(
    new PointerEvent(type, {clientX: x, clientY: y, bubbles: true, button: 0, buttons: 1, pointerType: 'mouse'}));
  const small = new OffscreenCanvas(360, 200).getContext('2d', {willReadFrequently: true});
  const seen = () => {
    small.clearRect(0, 0, 360, 200);
    for (const each of document.querySelectorAll('[data-placed] canvas')) small.drawImage(each, 0, 0, 360, 200);
    return small.getImageData(0, 0, 360, 200).data;
  };
  press('pointerdown', document.elementFromPoint(x, y));
  const frames = [], moved = [];
  let last = await new Promise(requestAnimationFrame), before = null;
  const begun = last;
  for (let step = 0; step < steps && last - begun < 20_000; step++) {
    x += step % 60 < 30 ? 4 : -4;
    y += step % 40 < 20 ? 2 : -2;
    press('pointermove', document);
    const now = await new Promise(requestAnimationFrame);
    frames.push(now - last);
    last = now;
    if (!isLooking) continue;
    const pixels = seen();
    if (before) moved.push(pixels.reduce((sum, value, at) => sum + (at % 4 === 3 && value !== before[at] ? 1 : 0), 0));
    before = pixels;
  }
  press('pointerup', document);
  return {frames, moved};
}"""
"""Drags the picture about; returns how long each frame took (ms), and how many pixels each drew otherwise if asked.

The graph asks for its frame before we do, so that what it drew is still there when it is looked at.
"""


class Seen(NamedTuple):
    """Holds after how many seconds a graph was drawn, how long frames took (ms), and pixels that changed in each."""

    placed_s: float
    frames: list[float]
    moved: list[int]


def measure() -> Report:
    """Measure the graph explorer in Chromium, which draws without a graphics card where there is none."""
    if CHROMIUM is None or not STATIC.exists():
        raise UnavailableError("there is no Chromium, or the console is not built: run make console")
    with TemporaryDirectory(prefix="infraspectre-bench-") as folder, served(Path(folder)) as url:
        seen = moved(url)
    frames, still = sorted(seen.frames), sum(each == 0 for each in seen.moved)
    if not seen.moved or still:
        raise RuntimeError(f"{still} of {len(seen.moved)} frames drew the same picture: nothing moved")
    usual, slow = frames[len(frames) // 2], frames[len(frames) * 95 // 100]
    return Report(
        [
            Figure("10,000 nodes placed and drawn", seen.placed_s, "s"),
            Figure("pixels of 72,000 that a frame drew otherwise, fewest", min(seen.moved), "pixels"),
            Figure("frames a second while moved", 1000 * len(frames) / sum(frames), "frames/s", "", "30 frames/s"),
            Figure("time of a frame, median", usual, "ms"),
            Figure("time of a frame, 95th percentile", slow, "ms"),
        ],
        notes=["Edges and labels are left out while the picture moves, where there are more than 3,000 edges."],
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
        timed = page.evaluate(MOVES, {"steps": STEPS, "isLooking": False})
        looked = page.evaluate(MOVES, {"steps": LOOKS, "isLooking": True})
        browser.close()
    return Seen(placed / 1000, timed["frames"], looked["moved"])
