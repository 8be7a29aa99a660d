"""The clock of this machine."""

from __future__ import annotations

import time


class SystemClock:
    """Tells the time of this machine."""

    def now(self) -> int:
        """Return nanoseconds since the epoch, UTC."""
        return time.time_ns()
