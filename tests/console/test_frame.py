"""What holds for every page: it can be read in light, in dark and on a telephone, by everybody."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from console_pages import Console

PAGES = {
    "/": "Overview", "/incidents": "Incidents", "/hosts": "Hosts", "/flows": "Flows", "/attack": "ATT&CK",
    "/attack?layer=gaps": "ATT&CK", "/graph?days=365": "Graph", "/intelligence": "Intelligence",
    "/intelligence?tab=reports": "Intelligence", "/intelligence?tab=look-up": "Intelligence",
    "/intelligence?tab=imports": "Intelligence", "/rules": "Rules", "/rules?tab=try": "Rules", "/models": "Models",
    "/models/builtin%3Aflow": "builtin:flow", "/sensors": "Sensors", "/integrations": "Integrations",
    "/integrations?tab=webhooks": "Integrations", "/health": "Health and jobs", "/users": "Users and keys",
    "/users?tab=keys": "Users and keys", "/users?tab=tenants": "Users and keys", "/settings": "Settings",
    "/settings?tab=platform": "Settings", "/audit": "Audit",
}  # fmt: skip
DETAILS = ("/incidents", "/hosts", "/rules")
WIDE = {"width": 1440, "height": 900}
NARROW = {"width": 390, "height": 844}


def assert_readable(console: Console) -> None:
    """Assert that the page can be read in light and dark, and on narrow screens without scrolling sideways."""
    page = console.page
    assert console.violations() == []
    page.emulate_media(color_scheme="dark")
    assert console.violations(["color-contrast"]) == []
    page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    expect(page.get_by_role("button", name="Pages")).to_be_visible()
    assert console.violations() == []
    assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth"), page.url
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", PAGES)
def test_every_page_can_be_read(administrator: Console, path: str) -> None:
    administrator.turn(f"/console{path}")
    expect(administrator.page.get_by_role("heading", level=1, name=PAGES[path])).to_be_visible()
    expect(administrator.page.locator("main").get_by_role("alert")).to_have_count(0)
    assert_readable(administrator)


@pytest.mark.parametrize("path", DETAILS)
def test_every_detail_can_be_read(administrator: Console, path: str) -> None:
    administrator.turn(f"/console{path}")
    link = administrator.page.locator(f'main tr[data-row] a[href^="/console{path}/"]').first
    expect(link).to_be_visible()
    administrator.turn(link.get_attribute("href") or "")
    expect(administrator.page.locator("main").get_by_role("alert")).to_have_count(0)
    assert_readable(administrator)


def test_a_reload_keeps_the_session(viewer: Console) -> None:
    viewer.page.reload()
    expect(viewer.page.get_by_role("navigation", name="Pages")).to_be_visible()


def test_who_logs_out_is_out(browser: Browser, served: str) -> None:
    with Console.of(browser, served, "viewer") as console:
        console.page.get_by_role("button", name="Log out", exact=True).click()
        expect(console.page.get_by_role("button", name="Log in")).to_be_visible()
        console.page.reload()
        expect(console.page.get_by_role("button", name="Log in")).to_be_visible()
