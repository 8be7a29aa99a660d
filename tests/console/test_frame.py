from __future__ import annotations

from playwright.sync_api import expect

from console_pages import Console

PAGES = {
    "/": "Overview", "/incidents": "Incidents", "/hosts": "Hosts", "/flows": "Flows", "/attack": "ATT&CK",
    "/graph": "Graph", "/intelligence": "Intelligence", "/rules": "Rules", "/models": "Models", "/sensors": "Sensors",
    "/integrations": "Integrations", "/health": "Health and jobs", "/users": "Users and keys", "/settings": "Settings",
    "/audit": "Audit",
}  # fmt: skip


def test_every_page_is_there_and_accessible(console: Console) -> None:
    for path, heading in PAGES.items():
        console.go(path, heading)
        console.page.wait_for_load_state("networkidle")
        assert console.violations() == [], path


def test_a_reload_keeps_the_session(console: Console) -> None:
    console.page.reload()
    expect(console.page.get_by_role("navigation", name="Pages")).to_be_visible()


def test_who_logs_out_is_out(console: Console) -> None:
    console.page.get_by_role("button", name="Log out").click()
    expect(console.page.get_by_role("button", name="Log in")).to_be_visible()
    console.page.reload()
    expect(console.page.get_by_role("button", name="Log in")).to_be_visible()
