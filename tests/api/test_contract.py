"""The API against its own description: schemathesis sends what it allows and what it does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from benches.api_fuzz import FREE, described, fuzz

from api_platform import fill
from infraspectre.adapters.column_store import ParquetTables
from infraspectre.adapters.record_store import open_sqlite
from infraspectre.serving.platform import Platform
from infraspectre.settings import Settings
from log_fakes import MemoryLog, SetClock

EXAMPLES = 3


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory, analyzed: Path) -> Iterator[Any]:
    clock = SetClock()
    folder = tmp_path_factory.mktemp("api")
    records, tables = open_sqlite(folder / "records.db", clock), ParquetTables(folder / "tables", clock)
    platform = Platform(records, tables, MemoryLog(clock), Settings(access=FREE), clock)
    fill(platform, analyzed)
    yield described(platform)
    for part in (records, tables, platform.scoring):
        part.close()


def test_every_operation_answers_as_it_is_described(schema: Any) -> None:
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) > 15
    for operation in operations:
        fuzz(operation, EXAMPLES)
