"""How likely an incident is an attack, and the interval in which its outcome lies.

The likelihood is a logistic function of a few traits, each of which only adds (no weight is negative), so that more
evidence never lowers it. Weights and intervals are learnt, see `infraspectre.intel.calibration`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from infraspectre.intel.calibration import Calibration
from infraspectre.intel.families import family
from infraspectre.ml.robust import logistic
from infraspectre.records import Detection, Level
from infraspectre.records.detection import SEVERITIES
from infraspectre.reflex.evidence import follow_up, span_s, strongest, strongest_by

CONFIDENCE = 0.9
"""Share of outcomes that intervals hold."""
SUREST = 1e-4
"""Probabilities of findings nearer to 0 or 1 say no more."""
LONGEST_S = 86_400.0
DIGITS = 6
"""Digits of probabilities: enough that hardly two incidents have the same, which no interval could tell apart."""
NOTHING = 1e-6
"""Points that are an error of rounding."""


def traits(detections: Sequence[Detection]) -> dict[str, float]:
    """Return what tells attacks from others, each trait growing with the evidence.

    `strongest` is the logarithm of the odds of the most probable finding; `detectors`, `tactics` and `families` add up
    the probabilities of the best findings of further ones; `follow_up` is 1 if a victim became an actor; `persistence`
    is the logarithm of 1 + the hours that it lasted, up to a day.
    """
    best = max(each.probability for each in detections)
    return {
        "strongest": _log_odds(best),
        "severity": max(SEVERITIES.index(each.severity) for each in detections) / (len(SEVERITIES) - 1),
        "detectors": sum(strongest_by(detections, lambda each: each.detector)[1:]),
        "tactics": sum(strongest_by(detections, lambda each: family(each.category).tactic)[1:]),
        "follow_up": float(follow_up(detections) is not None),
        "persistence": math.log1p(min(span_s(detections), LONGEST_S) / 3600),
    }


def probability(detections: Sequence[Detection], learnt: Calibration) -> float:
    """Return the probability that an incident is an attack."""
    found = traits(detections)
    odds = learnt.intercept + sum(weight * found[name] for name, weight in learnt.traits.items())
    return round(logistic(odds), DIGITS)


def interval(
    value: float, likelihood: float, detections: Sequence[Detection], level: Level, learnt: Calibration, lost: float
) -> tuple[float, float]:
    """Return the interval in which the outcome lies, 100 or 0, and which holds the value of the score, too.

    Its confidence is CONFIDENCE and what was `lost` of the traffic, a share: whatever that hid, no more than so many
    outcomes can differ (Barber et al., Conformal Prediction beyond Exchangeability, 2023, theorem 2).
    """
    confidence = min(CONFIDENCE + lost, 1.0)
    below, above = learnt.widths(stratum(level), strongest(detections).category, confidence)
    low = _distance(100 * (likelihood - below))
    high = 100 - _distance(100 * (1 - likelihood - above))
    return round(min(low, value), 1), round(max(high, value), 1)


def stratum(level: Level) -> str:
    """Return whether an incident is one that analysts are asked to read."""
    return "raised" if SEVERITIES.index(level) >= SEVERITIES.index("medium") else "quiet"


def _distance(points: float) -> float:
    """Return how far the interval ends before an end of the scale: 0 only where it holds that end."""
    return 0.0 if points < NOTHING else max(round(points, 1), 0.1)


def _log_odds(share: float) -> float:
    share = min(max(share, SUREST), 1 - SUREST)
    return math.log(share / (1 - share))
