"""Hosts over the API: the list, its pages and bounds, and what is told of one."""

from __future__ import annotations

from typing import Any

from litestar.testing import TestClient

from api_platform import of
from infraspectre.api.frame import Api
from infraspectre.serving.platform import Platform

PATH = "/api/v1/hosts"
VICTIM = "10.20.0.13"


def hosts(asking: TestClient[Api], stored: Platform, tenant: str = "default", **query: Any) -> Any:
    answer = asking.get(PATH, params=query, headers=of(stored, tenant=tenant))
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_hosts_are_listed_worst_first(
    asking: TestClient[Api], stored: Platform, incidents: list[dict[str, Any]]
) -> None:
    page = hosts(asking, stored)
    values = [each["value"] for each in page["items"]]
    assert values == sorted(values, key=lambda value: -1 if value is None else value, reverse=True)
