"""The console in a browser: who is logged in, and what every page has to keep to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect

PASSWORD = "correct horse battery staple"
AXE = Path(__file__).parents[1] / "console/node_modules/axe-core/axe.min.js"
Colours = Literal["light", "dark"]


class Console:
    """Is a tab of a browser in which somebody uses the console."""

    def __init__(self, page: Page, url: str) -> None:
        """Note what a page says and asks for from now on."""
        self.page = page
        self.url = url
        self.errors: list[str] = []
        self.strangers: list[str] = []
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._see)

    @classmethod
    @contextmanager
    def of(
        cls, browser: Browser, url: str, user: str, colours: Colours = "dark", width: int = 1440, height: int = 900
    ) -> Iterator[Console]:
        """Yield the console of somebody who has logged in; raises AssertionError for errors and strangers."""
        context = browser.new_context(color_scheme=colours, viewport={"width": width, "height": height})
        opened = cls(context.new_page(), url)
        opened.log_in(user)
        yield opened
        context.close()
        assert opened.errors == [], opened.errors
        assert opened.strangers == [], opened.strangers

    def log_in(self, user: str) -> None:
        """Log in as people do."""
        self.page.goto(self.url)
        self.page.get_by_label("User").fill(user)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Log in").click()
        expect(self.page.get_by_role("banner")).to_be_visible()

    def go(self, path: str, heading: str) -> Page:
        """Go to a page by the router, and wait for its heading."""
        self.page.goto(f"{self.url}/console{path}")
        expect(self.page.get_by_role("heading", level=1, name=heading)).to_be_visible()
        return self.page

    def violations(self) -> list[dict[str, Any]]:
        """Return what is wrong with the page by WCAG 2.2 A and AA, as axe finds it."""
        self.page.evaluate(AXE.read_text())
        tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
        found = self.page.evaluate("tags => axe.run(document, {runOnly: tags})", tags)
        return [{"id": each["id"], "nodes": [node["html"] for node in each["nodes"]]} for each in found["violations"]]

    def _hear(self, message: ConsoleMessage) -> None:
        is_login = "401" in message.text  # a session that ended is told so, once, before the login
        if message.type == "error" and not is_login:
            self.errors.append(message.text)

    def _see(self, request: Request) -> None:
        if not request.url.startswith((self.url, self.url.replace("http", "ws", 1), "data:", "blob:")):
            self.strangers.append(request.url)
