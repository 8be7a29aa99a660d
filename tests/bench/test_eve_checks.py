from __future__ import annotations

from typing import Any

import pytest
from benches.eve_checks import failures, holds

EVENT: dict[str, Any] = {
    "event_type": "alert",
    "alert": {"signature_id": 5, "xff": None},
    "files": [{"filename": "a.txt"}],
    "vlan": [6, 7],
    "ftp": {"reply": ["Goodbye."], "reply_received": "yes"},
    "stream": 1,
}


@pytest.mark.parametrize(
    ("key", "expected", "is_so"),
    [
        ("event_type", "alert", True),
        ("alert.signature_id", 5, True),
        ("alert.signature_id", "5", False),
        ("stream", True, False),
        ("files[0].filename", "a.txt", True),
        ("files[1].filename", "a.txt", False),
        ("vlan[1]", 7, True),
        ("vlan.__len", 2, True),
        ("ftp.reply.__contains", "Goodbye.", True),
        ("ftp.reply.__contains", "Hello.", False),
        ("ftp.absent.__contains", "Goodbye.", False),
        ("ftp.reply_received.__startswith", "ye", True),
        ("has-key", "alert.signature_id", True),
        ("has-key", "http", False),
        ("not-has-key", "http", True),
        ("not-has-key", "alert.xff", True),
        ("not-has-key", "vlan", False),
    ],
)
def test_an_entry_holds(key: str, expected: object, is_so: bool) -> None:
    assert holds(key, expected, EVENT) is is_so


def test_checks_ask_for_exact_counts() -> None:
    pattern = {"event_type": "alert", "alert.signature_id": 5}
    checks = [{"match": pattern, "count": 2}, {"match": pattern, "count": 1}, {"match": {"pcap_cnt": 1}, "count": 0}]
    assert failures(checks, [EVENT, EVENT]) == [f"expected 1 of {pattern}, got 2"]
