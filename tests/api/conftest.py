from __future__ import annotations

from collections.abc import Iterator

import pytest
from litestar.testing import TestClient

from api_fakes import Records
from infraspectre.api.app import make_app
from infraspectre.api.frame import Api
from infraspectre.serving.platform import Platform


@pytest.fixture
def platform() -> Platform:
    return Platform(Records(), None, None)  # type: ignore[arg-type]


@pytest.fixture
def app(platform: Platform) -> Api:
    return make_app(platform)


@pytest.fixture
def client(app: Api) -> Iterator[TestClient[Api]]:
    with TestClient(app) as client:
        yield client
