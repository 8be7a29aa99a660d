"""Settings over the API: all of them, without what would let somebody in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from litestar.testing import TestClient
from msgspec.structs import replace as changed

from api_fakes import bearer, key_of
from infraspectre import config
from infraspectre.api.app import make_app
from infraspectre.api.frame import Api
from infraspectre.api.routes.settings import flattened
from infraspectre.serving.platform import Platform
from infraspectre.settings import ModelSettings, Settings

PATH = "/api/v1/settings"


def told(client: TestClient[Api], platform: Platform) -> dict[str, Any]:
    answer = client.get(PATH, headers=bearer(key_of(platform)))
    assert answer.status_code == 200, answer.text
    return {each["name"]: each for each in answer.json()["items"]}


def test_every_setting_is_told(client: TestClient[Api], platform: Platform) -> None:
    known = told(client, platform)
    assert set(known) == {each.name for _, each in flattened(config.described(Settings))}
    rate = known["access.requests_per_s"]
    assert (rate["section"], rate["default"], rate["value"], rate["is_set"]) == ("access", 100.0, 10_000.0, True)
    assert rate["type"].startswith("number")
    port = known["server.port"]
    assert (port["value"], port["default"], port["is_set"]) == (8440, 8440, False)
    assert known["access.refresh_s"]["meaning"]


def test_no_secret_is_told(platform: Platform) -> None:
    hook = changed(platform.settings.response.webhook, url="https://hooks.example/services/T0/s3cr3t?key=s3cr3t")
    settings = changed(
        platform.settings,
        models=ModelSettings("https://ada:s3cr3t@registry.example/models?token=s3cr3t#s3cr3t"),
        response=changed(platform.settings.response, webhook=hook),
    )
    with TestClient(make_app(replace(platform, settings=settings))) as client:
        known = told(client, platform)
        assert known["models.registry"]["value"] == "https://registry.example/models"
        assert known["response.webhook.url"]["value"] == "https://hooks.example"
        assert "s3cr3t" not in str(known)


@pytest.mark.parametrize(
    ("role", "tenant"), [("engineer", "default"), ("viewer", "default"), ("administrator", "other")]
)
def test_settings_are_for_those_who_run_the_platform(
    client: TestClient[Api], platform: Platform, role: Any, tenant: str
) -> None:
    assert client.get(PATH, headers=bearer(key_of(platform, role, tenant))).status_code == 403
