from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from litestar.testing import TestClient

from infraspectre.adapters.record_store import open_sqlite
from infraspectre.api.app import make_app
from infraspectre.api.frame import Api
from infraspectre.serving.platform import Platform
from infraspectre.settings import AccessSettings, Settings
from log_fakes import MemoryLog, SetClock


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def platform(tmp_path: Path, clock: SetClock) -> Iterator[Platform]:
    records = open_sqlite(tmp_path / "records.db", clock)
    settings = Settings(access=AccessSettings(password_kib=32, requests_per_s=10_000.0))
    yield Platform(records, None, MemoryLog(clock), settings, clock)  # type: ignore[arg-type]
    records.close()


@pytest.fixture
def app(platform: Platform) -> Api:
    return make_app(platform)


@pytest.fixture
def client(app: Api) -> Iterator[TestClient[Api]]:
    with TestClient(app) as client:
        yield client
