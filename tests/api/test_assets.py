"""Assets over the API: one for each network, changed by who may."""

from __future__ import annotations

from typing import Any

import pytest
from litestar.testing import TestClient

from api_fakes import bearer, key_of
from infraspectre.api.frame import Api
from infraspectre.api.routes import assets
from infraspectre.serving.platform import Platform

PATH = "/api/v1/assets"


def test_an_asset_is_added_changed_and_removed(client: TestClient[Api], platform: Platform) -> None:
    headers = bearer(key_of(platform, "engineer"))
    body = {"network": "10.0.0.9/8", "name": "lan", "criticality": "high", "roles": ["office"], "note": "since 2019"}
    made = client.post(PATH, json=body, headers=headers)
    assert made.status_code == 201
    known = made.json()
    assert known == body | {"asset_id": "10.0.0.0_8", "network": "10.0.0.0/8", "owner": ""}
    place = made.headers["location"]
    assert client.get(place, headers=bearer(key_of(platform, "viewer"))).json() == known
    assert client.post(PATH, json={"network": "10.0.0.0/8"}, headers=headers).status_code == 409
    assert client.patch(place, json={"owner": "ada"}, headers=headers).status_code == 428
    tag = {"if-match": made.headers["etag"]}
    changed = client.patch(place, json={"owner": "ada", "criticality": None}, headers=headers | tag)
    assert changed.json() == known | {"owner": "ada", "criticality": None}
    assert client.patch(place, json={"owner": "eve"}, headers=headers | tag).status_code == 412
    assert client.delete(place, headers=headers).status_code == 204
    assert client.delete(place, headers=headers).status_code == 404


def test_assets_are_found_and_are_the_tenant_s_own(client: TestClient[Api], platform: Platform) -> None:
    own, strange = (bearer(key_of(platform, "engineer", tenant)) for tenant in ("default", "other"))
    for network, role in (("10.0.0.1", "printer"), ("2001:db8::/32", "lab")):
        assert client.post(PATH, json={"network": network, "roles": [role]}, headers=own).status_code == 201
    found = client.get(PATH, params={"filter": "roles=printer", "fields": "network"}, headers=own).json()["items"]
    assert found == [{"network": "10.0.0.1"}]
    assert client.get(PATH, headers=strange).json()["items"] == []
    assert client.get(f"{PATH}/10.0.0.1", headers=strange).status_code == 404
    assert client.get(f"{PATH}/2001:db8::_32", headers=own).status_code == 200
    assert client.post(PATH, json={"network": "10.0.0.1"}, headers=strange).status_code == 201


def test_an_asset_of_an_address_is_told_of_it(client: TestClient[Api], platform: Platform) -> None:
    headers = bearer(key_of(platform, "engineer"))
    assert client.post(PATH, json={"network": "10.0.0.0/24", "name": "lab", "note": "x"}, headers=headers).is_success
    told = client.post("/api/v1/enrich", json={"values": ["10.0.0.7"]}, headers=headers).json()["values"][0]
    assert told["asset"]["name"] == "lab"


WRONG: list[tuple[dict[str, Any], int]] = [
    ({"network": "10.0.0.0/33"}, 422),
    ({"network": "printer"}, 422),
    ({"network": "10.0.0.1", "roles": [""]}, 422),
    ({"network": "10.0.0.1", "roles": ["x" * 65]}, 422),
    ({"network": "10.0.0.1", "roles": ["x"] * 21}, 400),
    ({"network": "10.0.0.1", "criticality": "huge"}, 400),
    ({"network": "10.0.0.1", "asset_id": "mine"}, 400),
    ({"name": "lan"}, 400),
]


def test_what_is_no_asset_is_refused(client: TestClient[Api], platform: Platform) -> None:
    headers = bearer(key_of(platform, "engineer"))
    for body, status in WRONG:
        assert client.post(PATH, json=body, headers=headers).status_code == status, body


def test_who_may_not_change_is_refused(client: TestClient[Api], platform: Platform) -> None:
    for role in ("viewer", "analyst"):
        headers = bearer(key_of(platform, role))
        assert client.post(PATH, json={"network": "10.0.0.1"}, headers=headers).status_code == 403
        assert client.get(PATH, headers=headers).status_code == 200


def test_assets_of_a_tenant_are_bounded(
    client: TestClient[Api], platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assets, "MOST_ASSETS", 1)
    headers = bearer(key_of(platform, "engineer"))
    answers = [client.post(PATH, json={"network": f"10.0.0.{n}"}, headers=headers).status_code for n in range(2)]
    assert answers == [201, 422]
