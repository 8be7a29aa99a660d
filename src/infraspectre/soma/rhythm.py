"""Rhythms: whether calls come from a timer, however it is shaken, or from people and chance."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from infraspectre.ml.robust import Vector, relative_spread

CHANCE = 0.437
"""Irregularity of gaps between events that come by chance (a Poisson process), cut as below; uncut it is .577."""
DOUBT = 0.75
"""One and a half standard errors of the irregularity of n gaps by chance, times the root of n, cut as below."""
TIMER = 0.35
"""Irregularity of a period with 95% jitter of whose calls a third is left out, in 19 of 20 cases less."""
SAME_CALL = 0.02
"""Calls closer than this share of the long gaps are one call: its redirects and its parallel connections."""
PAUSE = 5.0
"""Gaps over this multiple of the median are pauses: nights, machines switched off, orders to be silent."""
PAUSES = 0.15
"""Share of pauses that a timer has at most; what comes in sessions has more."""


class Rhythm(NamedTuple):
    """Describes when calls came."""

    calls: int
    period_s: float
    gap_spread: float
    """Robust spread of the gaps over their median."""
    irregularity: float
    """Log of the mean gap less the mean of the logs: 0 for equal gaps, .24 for 95% jitter, .44 by chance."""

    @property
    def is_timer(self) -> bool:
        """Tell whether chance would hardly be so regular; for few gaps only near equal ones are."""
        return self.irregularity <= min(TIMER, CHANCE - DOUBT / math.sqrt(max(1, self.calls - 1)))


def rhythm_of(times_s: Vector, shortest_gap_s: float) -> Rhythm | None:
    """Measure the rhythm of calls; None with fewer than four, or if they come in sessions.

    Irregularity is the statistic by which gamma distributions are told apart (Thom, A Note on the Gamma Distribution,
    1958): unlike a spread it sees that a timer's gaps, however shaken, have no long tail.
    """
    times = np.sort(times_s)
    gaps = _gaps(times, shortest_gap_s)
    if len(gaps) > 2:
        gaps = _gaps(times, max(shortest_gap_s, SAME_CALL * float(np.quantile(gaps, 0.75))))
    if len(gaps) < 3:
        return None
    kept = gaps[gaps <= PAUSE * np.median(gaps)]
    if len(kept) < 3 or len(gaps) - len(kept) > PAUSES * len(gaps) + 1:
        return None
    irregularity = float(np.log(kept.mean()) - np.log(kept).mean())
    return Rhythm(len(gaps) + 1, float(np.median(kept)), relative_spread(kept), irregularity)


def _gaps(times: Vector, shortest: float) -> Vector:
    """Return gaps between calls, those closer than `shortest` to the one before taken as one."""
    return np.asarray(np.diff(times[np.diff(times, prepend=-np.inf) >= shortest]))
