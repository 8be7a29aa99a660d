"""The overview: what needs attention, and how the day went."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from console_pages import Console

PANELS = (
    "Last 24 hours", "Needs attention", "Platform", "Happening now", "Detections", "Traffic", "Top talkers",
    "Top techniques",
)  # fmt: skip


@pytest.mark.parametrize(("colours", "width"), [("light", 1440), ("dark", 390)])
def test_the_overview_says_what_needs_attention(browser: Browser, served: str, colours: str, width: int) -> None:
    with Console.of(browser, served, "viewer", colours, width) as console:  # type: ignore[arg-type]
        page = console.go("/", "Overview")
        for title in PANELS:
            expect(page.get_by_role("region", name=title)).to_be_visible()
        expect(page.get_by_role("table", name="The worst open incidents").locator("tr[data-row]").first).to_be_visible()
        expect(page.get_by_role("region", name="Platform").get_by_text("records")).to_be_visible()
        page.wait_for_load_state("networkidle")
        assert console.violations() == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.get_by_role("table", name="The worst open incidents").get_by_role("link").first.click()
        expect(page.get_by_role("heading", name="What happened")).to_be_visible()
