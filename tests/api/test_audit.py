"""The audit as administrators read it: every event, wherever the log begins a new file or has lost something."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from litestar.testing import TestClient

from api_fakes import bearer, key_of
from infraspectre.adapters.log.local import LocalLog
from infraspectre.adapters.log.segments import segment_path, segments_in
from infraspectre.adapters.log.writing import Limits
from infraspectre.api.app import make_app
from infraspectre.records.access import AuditEvent
from infraspectre.records.feed import AUDIT_TOPIC
from infraspectre.serving.platform import Platform
from log_fakes import SetClock

EVENTS = 120


def event(number: int) -> bytes:
    told = AuditEvent("default", "2026-01-01T00:00:00Z", f"s{number}", "viewer", "do", "/" + "x" * 900, 200, "r", "a")
    return msgspec.json.encode(told)


@pytest.fixture
def written(platform: Platform, tmp_path: Path, clock: SetClock) -> Iterator[Platform]:
    """A platform with a log whose files are small, and an audit in several of them."""
    log = LocalLog(tmp_path / "log", clock, Limits(segment_bytes=1 << 15))
    for number in range(EVENTS):
        log.topic(AUDIT_TOPIC).append([event(number)]).result()
    yield replace(platform, log=log)
    log.close()


def read(platform: Platform, limit: int) -> list[str]:
    """Return the subjects of all pages."""
    found: list[str] = []
    after: str | None = ""
    headers = bearer(key_of(platform))
    with TestClient(make_app(platform)) as client:
        while after is not None:
            asked = {"limit": limit} | ({"after": after} if after else {})
            page = client.get("/api/v1/audit", params=asked, headers=headers).json()
            found += [each["subject"] for each in page["items"]]
            after = page["next"]
    return found


@pytest.mark.parametrize("limit", [7, 1_000])
def test_no_event_is_passed_over_where_a_file_ends(written: Platform, limit: int) -> None:
    assert len(segments_in(written.log.folder / "topics" / AUDIT_TOPIC)) > 2  # type: ignore[attr-defined]
    assert read(written, limit) == [f"s{number}" for number in reversed(range(EVENTS))]


def test_what_is_damaged_hides_no_other_event(written: Platform) -> None:
    folder = written.log.folder / "topics" / AUDIT_TOPIC  # type: ignore[attr-defined]
    path = segment_path(folder, segments_in(folder)[1])
    data = bytearray(path.read_bytes())
    data[300] ^= 1
    path.write_bytes(data)
    found = read(written, 50)
    assert EVENTS - 2 <= len(found) < EVENTS
    assert found == sorted(found, key=lambda subject: -int(subject[1:]))
