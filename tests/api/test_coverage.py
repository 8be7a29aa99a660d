"""The ATT&CK matrix over the API."""

from __future__ import annotations

from typing import Any

from litestar.testing import TestClient

from api_platform import of
from infraspectre.api.frame import Api
from infraspectre.serving.platform import Platform

PATH = "/api/v1/attack"


def matrix(asking: TestClient[Api], stored: Platform, tenant: str = "default", **query: Any) -> dict[str, Any]:
    answer = asking.get(PATH, params=query, headers=of(stored, "viewer", tenant))
    assert answer.status_code == 200, answer.text
    return {each["id"]: each for each in answer.json()["techniques"]}


def test_techniques_tell_what_covers_and_what_names_them(
    asking: TestClient[Api], stored: Platform, incidents: list[dict[str, Any]]
) -> None:
    named = {each["id"] for incident in incidents for each in incident["techniques"]}
    known = matrix(asking, stored)
    assert {identity for identity, each in known.items() if each["incidents"]} == named
    worst = {each["id"] for each in incidents[0]["techniques"]}
    assert incidents[0]["threat_score"]["level"] == "critical"
    assert {known[identity]["worst"] for identity in worst} == {"critical"}
    assert known["T1046"]["detections"] > 0
    assert "scan" in known["T1046"]["detectors"]
    assert known["T1046"]["proofs"]
    assert (known["T1595.001"]["parent"], known["T1595.001"]["tactics"]) == ("T1595", ["reconnaissance"])


def test_what_is_older_or_another_tenant_s_does_not_count(
    asking: TestClient[Api], stored: Platform, incidents: list[dict[str, Any]]
) -> None:
    assert sum(each["incidents"] for each in matrix(asking, stored, days=2).values()) > 0
    for known in (matrix(asking, stored, "other"), matrix(asking, stored, "other", days=365)):
        assert not any(each["incidents"] or each["detections"] or each["worst"] for each in known.values())


def test_a_span_that_is_none_is_refused(asking: TestClient[Api], stored: Platform) -> None:
    for days in ("0", "366", "many"):
        assert asking.get(PATH, params={"days": days}, headers=of(stored)).status_code == 400
