"""Alerts, kept in a temporary file once they are many."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import SpooledTemporaryFile, gettempdir
from typing import Any
from weakref import finalize

import msgspec

from infraspectre.files import writing_to

KEPT_BYTES = 1 << 24
"""Bytes of alerts, as text, that stay in memory."""


class AlertLog:
    """Keeps objects in the order in which they came; an engine may have raised millions of alerts."""

    def __init__(self) -> None:
        """Start with no alert."""
        self._file = SpooledTemporaryFile(max_size=KEPT_BYTES)  # noqa: SIM115 - it lives as long as the log
        self._count = 0
        finalize(self, self._file.close)

    def append(self, alert: dict[str, Any]) -> None:
        """Add an alert."""
        self.append_line(msgspec.json.encode(alert) + b"\n")

    def append_line(self, line: bytes) -> None:
        """Add an alert that is a line of JSON already."""
        with writing_to(Path(gettempdir())):
            self._file.write(line)
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self._file.seek(0)
        yield from map(msgspec.json.decode, self._file)
