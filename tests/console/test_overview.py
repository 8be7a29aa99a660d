"""The overview: what needs attention, and how the day went."""

from __future__ import annotations

from playwright.sync_api import expect

from console_pages import Console

PANELS = (
    "Last 24 hours", "Needs attention", "Platform", "Happening now", "Detections", "Traffic", "Top talkers",
    "Top techniques",
)  # fmt: skip


def test_the_overview_says_what_needs_attention(viewer: Console) -> None:
    page = viewer.go("/", "Overview")
    for title in PANELS:
        expect(page.get_by_role("region", name=title)).to_be_visible()
    expect(page.get_by_role("table", name="The worst open incidents").locator("tr[data-row]").first).to_be_visible()
    expect(page.get_by_role("region", name="Platform").get_by_text("records")).to_be_visible()
    page.get_by_role("table", name="The worst open incidents").get_by_role("link").first.click()
    expect(page.get_by_role("heading", name="What happened")).to_be_visible()
