"""The console in a browser: who is logged in, and what every page has to keep to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect

PASSWORD = "correct horse battery staple"
AXE = Path(__file__).parents[1] / "console/node_modules/axe-core/axe.min.js"
Colours = Literal["light", "dark"]
PUSHED = "address => history.pushState(null, '', address)"
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


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
        cls,
        browser: Browser,
        url: str,
        user: str,
        colours: Colours = "dark",
        width: int = 1440,
        height: int = 900,
        tenant: str = "",
    ) -> Iterator[Console]:
        """Yield the console of somebody who has logged in; raises AssertionError for errors and strangers."""
        context = browser.new_context(color_scheme=colours, viewport={"width": width, "height": height})
        opened = cls(context.new_page(), url)
        opened.log_in(user, tenant)
        with opened.lent():
            yield opened
        context.close()

    @contextmanager
    def lent(self) -> Iterator[Console]:
        """Yield this console to one test; raises AssertionError where a page had an error or asked a stranger."""
        yield self
        self._leave()
        errors, strangers = self.errors[:], self.strangers[:]
        self.errors.clear()
        self.strangers.clear()
        assert errors == [], errors
        assert strangers == [], strangers

    def _leave(self) -> None:
        """Leave a page, so that it asks for nothing any more."""
        self.page.evaluate(PUSHED, "/console/nowhere")

    def log_in(self, user: str, tenant: str = "") -> None:
        """Log in as people do, at a page that asks for little."""
        self.page.goto(f"{self.url}/console/settings")
        if tenant:
            self.page.get_by_text("Another tenant").click()
            self.page.get_by_label("Tenant").fill(tenant)
        self.page.get_by_label("User").fill(user)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Log in").click()
        expect(self.page.get_by_role("banner")).to_be_visible()

    def go(self, path: str, heading: str) -> Page:
        """Go to a page from elsewhere by the router, so that it begins anew, and wait for its heading."""
        self._leave()
        expect(self.page.get_by_role("heading", level=1, name="There is no such page")).to_be_visible()
        self.page.evaluate(PUSHED, f"/console{path}")
        expect(self.page.get_by_role("heading", level=1, name=heading)).to_be_visible()
        return self.page

    def turn(self, address: str) -> None:
        """Go to a page without loading the console anew, and wait until all that it asked for is there."""
        self.page.evaluate(PUSHED, address)
        expect(self.page.get_by_role("heading", level=1)).to_be_visible()
        expect(self.page.locator("main [role=status]").filter(has_text="Loading ")).to_have_count(0)

    def violations(self, rules: Sequence[str] = RULES) -> list[dict[str, Any]]:
        """Return what is wrong with the page by WCAG 2.2 A and AA, as axe finds it."""
        if self.page.evaluate("window.axe === undefined"):
            self.page.evaluate(AXE.read_text())
        found = self.page.evaluate("rules => axe.run({runOnly: rules, resultTypes: ['violations']})", list(rules))
        return [{"id": each["id"], "nodes": [node["html"] for node in each["nodes"]]} for each in found["violations"]]

    def _hear(self, message: ConsoleMessage) -> None:
        is_login = "401" in message.text  # a session that ended is told so, once, before the login
        if message.type == "error" and not is_login:
            self.errors.append(message.text)

    def _see(self, request: Request) -> None:
        if not request.url.startswith((self.url, self.url.replace("http", "ws", 1), "data:", "blob:")):
            self.strangers.append(request.url)
