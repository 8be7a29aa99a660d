"""The API against its own description: schemathesis sends what it allows and what it does not."""

from __future__ import annotations

from pathlib import Path

import pytest
import schemathesis

from api_fakes import bearer, key_of
from infraspectre.adapters.record_store import open_sqlite
from infraspectre.api.app import make_app
from infraspectre.serving.platform import Platform
from infraspectre.settings import AccessSettings, Settings
from log_fakes import MemoryLog, SetClock

EXAMPLES = 12


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> tuple[schemathesis.BaseSchema, dict[str, str]]:
    clock = SetClock()
    records = open_sqlite(Path(tmp_path_factory.mktemp("api")) / "records.db", clock)
    access = AccessSettings(password_kib=32, requests_per_s=1e6, logins_per_minute=1e4)
    platform = Platform(records, None, MemoryLog(clock), Settings(access=access), clock)  # type: ignore[arg-type]
    app = make_app(platform)
    return schemathesis.openapi.from_asgi("/api/v1/openapi.json", app), bearer(key_of(platform))
