"""What a run costs: wall time, processor time and memory."""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import dataclass, field

BYTES_PER_MAXRSS = 1 if sys.platform == "darwin" else 1024
"""getrusage(2) counts kibibytes on Linux and bytes on macOS."""


@dataclass(frozen=True)
class Cost:
    """Holds what a run took so far."""

    elapsed_s: float
    cpu_s: float
    peak_rss_bytes: int


@dataclass(frozen=True)
class Meter:
    """Measures what a run takes from the moment it is made."""

    started_s: float = field(default_factory=time.monotonic)
    started_cpu_s: float = field(default_factory=time.process_time)

    def cost(self) -> Cost:
        """Return the cost since the start; the memory peak is that of the whole process."""
        return Cost(
            elapsed_s=round(time.monotonic() - self.started_s, 6),
            cpu_s=round(time.process_time() - self.started_cpu_s, 6),
            peak_rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * BYTES_PER_MAXRSS,
        )
