"""What happens elsewhere shows in the console without a reload."""

from __future__ import annotations

import httpx
from playwright.sync_api import expect

from console_pages import PASSWORD, Console


def assigned(client: httpx.Client, incident_id: str, assignee: str) -> None:
    """Give an incident to somebody, as another program would."""
    path = f"/api/v1/incidents/{incident_id}"
    known = client.get(path)
    client.patch(path, json={"assignee": assignee}, headers={"if-match": known.headers["etag"]}).raise_for_status()


def test_what_others_decide_shows_in_the_list(analyst: Console) -> None:
    with httpx.Client(base_url=analyst.url, timeout=60) as client:
        token = client.post("/api/v1/sessions", json={"user": "engineer", "password": PASSWORD}).json()["access_token"]
        client.headers["authorization"] = f"Bearer {token}"
        shown: dict[str, str | int] = {
            "filter": "status=new|open",
            "order": "-value",
            "limit": 1,
        }  # other tests close some
        first = client.get("/api/v1/incidents", params=shown).json()["items"][0]
        page = analyst.go("/incidents", "Incidents")
        expect(page.get_by_text(first["title"]).first).to_be_visible()
        expect(page.get_by_role("status").filter(has_text="live")).to_be_visible()
        assigned(client, first["incident_id"], "engineer")
        expect(page.get_by_role("main").get_by_text("engineer").first).to_be_visible()
        assigned(client, first["incident_id"], "")
        expect(page.get_by_role("main").get_by_text("engineer")).to_have_count(0)
