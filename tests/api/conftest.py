from __future__ import annotations

from collections.abc import Iterator

import pytest
from litestar.testing import TestClient

from api_fakes import FakeLog, Records
from infraspectre.api.app import make_app
from infraspectre.api.frame import Api
from infraspectre.serving.platform import Platform
from infraspectre.settings import AccessSettings, Settings


@pytest.fixture
def platform() -> Platform:
    settings = Settings(access=AccessSettings(password_kib=32, requests_per_s=1_000.0))
    return Platform(Records(), None, FakeLog(), settings)  # type: ignore[arg-type]


@pytest.fixture
def app(platform: Platform) -> Api:
    return make_app(platform)


@pytest.fixture
def client(app: Api) -> Iterator[TestClient[Api]]:
    with TestClient(app) as client:
        yield client
