"""Saved views: whose they are, who sees them, and what they may ask."""

from __future__ import annotations

from typing import Any

import pytest
from litestar.testing import TestClient

from api_fakes import bearer, key_of
from infraspectre.api.frame import Api
from infraspectre.api.routes import views
from infraspectre.records.access import Role
from infraspectre.serving.platform import Platform

PATH = "/api/v1/views"


@pytest.fixture
def who(platform: Platform) -> Any:
    """Return the headers of a role of a tenant; each is one subject."""

    def headers(role: Role, tenant: str = "default") -> dict[str, str]:
        return bearer(key_of(platform, role, tenant))

    return headers


def saved(client: TestClient[Api], headers: dict[str, str], **body: Any) -> Any:
    return client.post(PATH, json={"name": "mine", "page": "incidents"} | body, headers=headers)


def test_own_and_shared_views_are_seen(client: TestClient[Api], who: Any) -> None:
    question = {"filters": ["level=high|critical", "status=new"], "order": "-value", "fields": ["title", "value"]}
    mine = saved(client, who("viewer"), question=question)
    assert mine.status_code == 201
    assert mine.json()["question"] == question
    assert mine.headers["location"] == f"{PATH}/{mine.json()['view_id']}"
    shared = saved(client, who("engineer"), name="ours", page="hosts", shared=True).json()
    saved(client, who("analyst"), name="hers")

    def names(role: Role, tenant: str = "default", **query: str) -> set[str]:
        items = client.get(PATH, params=query, headers=who(role, tenant)).json()["items"]
        return {each["name"] for each in items}

    assert names("viewer") == {"mine", "ours"}
    assert names("analyst") == {"hers", "ours"}
    assert names("viewer", filter="page=hosts") == {"ours"}
    assert names("administrator", "other") == set()
    gone = client.delete(f"{PATH}/{shared['view_id']}", headers=who("analyst"))
    assert gone.status_code == 404
    assert client.delete(f"{PATH}/{shared['view_id']}", headers=who("administrator")).status_code == 204
    assert names("analyst") == {"hers"}


def test_nobody_removes_the_views_of_others(client: TestClient[Api], who: Any) -> None:
    view_id = saved(client, who("viewer")).json()["view_id"]
    for role, tenant in (("analyst", "default"), ("administrator", "default"), ("viewer", "other")):
        assert client.delete(f"{PATH}/{view_id}", headers=who(role, tenant)).status_code == 404
    assert client.delete(f"{PATH}/{view_id}", headers=who("viewer")).status_code == 204


def test_who_may_not_share_is_refused(client: TestClient[Api], who: Any) -> None:
    assert saved(client, who("analyst"), shared=True).status_code == 403
    assert saved(client, who("sensor")).status_code == 403


WRONG: list[tuple[dict[str, Any], int]] = [
    ({"question": {"filters": ["secret=1"]}}, 422),
    ({"question": {"filters": ["value>x"]}}, 422),
    ({"question": {"order": "-entities"}}, 422),
    ({"question": {"fields": ["digest"]}}, 422),
    ({"question": {"filters": ["title~" + "x" * 1_000]}}, 422),
    ({"page": "flows", "question": {"filters": ["level=high"]}}, 422),
    ({"question": {"filters": ["level=high"] * 21}}, 400),
    ({"page": "users"}, 400),
    ({"name": ""}, 400),
    ({"owner": "ada"}, 400),
]


def test_what_no_list_can_be_asked_is_not_saved(client: TestClient[Api], who: Any) -> None:
    for body, status in WRONG:
        assert saved(client, who("viewer"), **body).status_code == status, body
    assert client.get(PATH, headers=who("viewer")).json()["items"] == []


def test_views_of_a_user_are_bounded(client: TestClient[Api], who: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "MOST_VIEWS", 2)
    answers = [saved(client, who("viewer")).status_code for _ in range(3)]
    assert answers == [201, 201, 422]
    assert saved(client, who("analyst")).status_code == 201
