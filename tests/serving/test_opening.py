"""A platform has the stores and the registry that its settings name."""

from __future__ import annotations

from pathlib import Path

from litestar.testing import TestClient

from api_fakes import bearer, key_of
from infraspectre.api.app import make_app
from infraspectre.modelbook import register
from infraspectre.modelbook.opening import BUILTIN_FOLDER
from infraspectre.serving.opening import close_platform, open_platform
from infraspectre.settings import DataSettings, ModelSettings, Settings


def test_models_are_of_the_registry_that_the_settings_name(tmp_path: Path) -> None:
    models = ModelSettings(str(tmp_path / "registry"))
    register(BUILTIN_FOLDER / "dga", "site", "production", "2026-01-01T00:00:00Z", models)
    platform = open_platform(Settings(data=DataSettings(str(tmp_path / "data")), models=models))
    try:
        with TestClient(make_app(platform)) as client:
            headers = bearer(key_of(platform, "engineer"))
            names = [each["name"] for each in client.get("/api/v1/registry", headers=headers).json()]
            asked = {"model": "registry:site", "row": {"qname": "a.example"}}
            predicted = client.post("/api/v1/predict", json=asked, headers=headers)
            moved = client.post("/api/v1/models/site/stage", json={"version": 1, "stage": "archived"}, headers=headers)
    finally:
        close_platform(platform)
    assert (names, predicted.status_code, moved.json()["moves"][-1]["stage"]) == (["site"], 200, "archived")
