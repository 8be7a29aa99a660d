"""Doubles of the core's signatures: rules that look for texts anywhere in a capture's bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from infraspectre import _core

CONTENT = re.compile(r'content:"([^"]*)"')
SID = re.compile(r"sid:(\d+)")


class FakeRuleSet:
    """Takes each line that begins with alert; one with the keyword `nonsense` is refused."""

    def __init__(self, paths: Sequence[str], settings: Mapping[str, str] | None = None) -> None:
        self.settings = dict(settings or {})
        self.rules: list[dict[str, Any]] = []
        self.refused: list[dict[str, Any]] = []
        for path in paths:
            for line, text in enumerate(Path(path).read_text().splitlines(), start=1):
                if text.startswith("alert"):
                    self._take(path, line, text)

    def _take(self, path: str, line: int, text: str) -> None:
        found = SID.search(text)
        rule = {"file": path, "line": line, "gid": 1, "sid": int(found[1]) if found else None}
        if "nonsense" in text:
            reason = {"reason": "there is no keyword nonsense", "suggestion": "did you mean noalert?", "text": text}
            self.refused.append(rule | reason)
        else:
            self.rules.append(rule | {"msg": f"rule {rule['sid']}", "content": CONTENT.findall(text)})

    def __len__(self) -> int:
        return len(self.rules)


class FakeAlertReader:
    """Raises one alert per capture for each rule whose texts the file holds."""

    def __init__(
        self,
        paths: Sequence[str],
        rules: FakeRuleSet,
        settings: Mapping[str, str] | None = None,
        read_ahead: bool = True,
    ) -> None:
        self._paths = paths
        self._rules = rules
        self._alerts = 0

    def __iter__(self) -> Iterator[bytes]:
        for path in self._paths:
            data = Path(path).read_bytes()
            for rule in self._rules.rules:
                if all(text.encode() in data for text in rule["content"]):
                    self._alerts += 1
                    yield json.dumps(alert(rule["sid"]), separators=(",", ":")).encode() + b"\n"

    def summary(self) -> dict[str, Any]:
        nothing: dict[str, Any] = {"malformed": {}, "without_flow": {}, "unreadable": {}, "shed": {}}
        counts = {"packets": len(self._paths), "bytes": 4, "flows": 1, "ambiguous_fragment_bytes": 0}
        return nothing | counts | {"capture_start": None, "capture_end": None, "alerts": self._alerts}

    def progress(self) -> tuple[int, int]:
        return 1, 1

    def profile(self) -> list[dict[str, Any]]:
        cost = {"gid": 1, "checks": len(self._paths), "matches": 1}
        return [cost | {"sid": rule["sid"], "ns": rule["sid"], "msg": rule["msg"]} for rule in self._rules.rules]


def alert(sid: int, **changes: Any) -> dict[str, Any]:
    """Return an alert as Suricata writes it."""
    about = {"action": "allowed", "gid": 1, "signature_id": sid, "rev": 1, "signature": f"rule {sid}", "severity": 1}
    return {
        "timestamp": "2023-11-14T22:13:20.000000+0000",
        "flow_id": 77,
        "pcap_cnt": 1,
        "event_type": "alert",
        "src_ip": "10.0.0.1",
        "src_port": 40000,
        "dest_ip": "10.0.0.2",
        "dest_port": 9,
        "proto": "UDP",
        "alert": about | {"category": "", "metadata": {}},
    } | changes


def use_fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the doubles in place of the core's own."""
    monkeypatch.setattr(_core, "RuleSet", FakeRuleSet, raising=False)
    monkeypatch.setattr(_core, "AlertReader", FakeAlertReader, raising=False)
