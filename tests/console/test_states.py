"""What pages say where there is nothing to show: no answer, nothing there, or a role that may not."""

from __future__ import annotations

from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import Browser, expect

from console_pages import PASSWORD, Console

TENANT = "quiet"
WAIT_S = 60


@pytest.fixture(scope="module")
def quiet(served: str) -> str:
    """Return the name of a tenant in which nothing happened yet, with an administrator."""
    with httpx.Client(base_url=served, timeout=WAIT_S) as client:
        login = {"user": "administrator", "password": PASSWORD}
        token = client.post("/api/v1/sessions", json=login).json()["access_token"]
        key = made(client, token, "tenants", {"name": TENANT, "title": "Nothing happened yet"})["key"]
        made(client, key, "users", {"name": "first", "role": "administrator", "password": PASSWORD})
    return TENANT


def made(client: httpx.Client, token: str, what: str, body: dict[str, str]) -> dict[str, str]:
    headers = {"authorization": f"Bearer {token}", "idempotency-key": str(uuid4())}
    answer = client.post(f"/api/v1/{what}", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    told: dict[str, str] = answer.json()
    return told


def test_a_server_that_is_gone_is_told_of_and_asked_again(administrator: Console) -> None:
    page = administrator.page
    page.reload()  # so that nothing is known from before
    expect(page.get_by_role("banner")).to_be_visible()
    page.route("**/api/v1/**", lambda route: route.abort())
    for path in ("/incidents", "/health", "/models"):  # the last one is asked again by nobody but us
        administrator.turn(f"/console{path}")
        expect(page.get_by_role("alert").first).to_contain_text("The server cannot be reached")
        assert administrator.violations() == [], path
    page.unroute("**/api/v1/**")
    page.get_by_role("button", name="Try again").first.click()
    expect(page.get_by_text("No model is registered yet")).to_be_visible()
    administrator.errors.clear()  # the browser tells of each request that came to nothing


EMPTY = {
    "/": "Nothing", "/incidents": "No incidents yet", "/hosts": "", "/flows": "",
    "/intelligence": "There are no such indicators", "/intelligence?tab=reports": "There are no reports",
    "/models": "No model is registered yet", "/sensors": "No sensor has sent anything yet",
    "/integrations": "Nobody else is told yet", "/integrations?tab=webhooks": "There are no webhooks yet",
    "/health": "No long work was asked for yet", "/attack": "", "/graph": "", "/rules": "", "/users": "first",
    "/audit": "add_user",
}  # fmt: skip


def test_a_tenant_in_which_nothing_happened_is_told_what_to_do(browser: Browser, served: str, quiet: str) -> None:
    with Console.of(browser, served, "first", tenant=quiet) as console:
        for path, said in EMPTY.items():
            console.turn(f"/console{path}")
            expect(console.page.locator("main")).to_contain_text(said)
            expect(console.page.locator("main").get_by_role("alert")).to_have_count(0)
            assert console.violations() == [], path


def test_a_list_without_open_incidents_says_that_all_are_closed(analyst: Console) -> None:
    page = analyst.page
    page.route("**/api/v1/incidents?filter=status*", lambda route: route.fulfill(json={"items": [], "next": None}))
    page.reload()  # so that nothing is known from before
    expect(page.get_by_role("banner")).to_be_visible()
    analyst.turn("/console/incidents")
    expect(page.get_by_text("All incidents are closed")).to_be_visible()
    page.unroute("**/api/v1/incidents?filter=status*")
    page.get_by_role("link", name="Show those that are closed").click()
    expect(page.get_by_text("Status: closed")).to_be_visible()


@pytest.mark.parametrize("path", ["/integrations", "/users", "/audit"])
def test_a_role_that_may_not_is_told_which_one_may(viewer: Console, path: str) -> None:
    viewer.turn(f"/console{path}")
    expect(viewer.page.get_by_text("Your role may not see")).to_be_visible()
    expect(viewer.page.get_by_text("yours is viewer")).to_be_visible()
    assert viewer.violations() == []
