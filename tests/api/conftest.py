from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from api_fakes import Records
from api_platform import close_platform, fill, open_platform
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


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[Platform]:
    """A platform on real stores."""
    platform = open_platform(tmp_path)
    yield platform
    close_platform(platform)


@pytest.fixture
def asking(stored: Platform) -> Iterator[TestClient[Api]]:
    """A client of the platform on real stores."""
    with TestClient(make_app(stored)) as client:
        yield client


@pytest.fixture
def incidents(stored: Platform, analyzed: Path) -> list[dict[str, Any]]:
    """Those of the bundled capture, in the stores of the default tenant."""
    return fill(stored, analyzed)
