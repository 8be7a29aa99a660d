"""Calibration: what scores have meant on traffic whose truth is known; `python -m benches.calibration` learns it.

An incident's interval says where its outcome lies: 100 if somebody attacked, 0 if nobody did. Of a hundred later
incidents it holds the outcome of about ninety, and that both of those which are attacks and of those which are not, as
it is learnt from the two apart (label-conditional split conformal prediction: Vovk, Gammerman and Shafer, Algorithmic
Learning in a Random World, 2005, section 4.5; Vovk, 2012). So it holds however rare attacks are in a network.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files

import msgspec

from infraspectre.intel.families import family, normal
from infraspectre.ml.robust import logistic

LEAST_EXAMPLES = 20
"""Incidents of one outcome below which a family falls back to all families: the 90% quantile of fewer is their largest
or second largest, and says little."""
POOL = "any"


class Line(msgspec.Struct, frozen=True):
    """Holds the intercept and slope of the logarithm of odds against a score (Platt, 1999)."""

    intercept: float
    slope: float

    def probability(self, score: float) -> float:
        """Return the probability of a score from 0 to 1."""
        return logistic(self.intercept + self.slope * score)


class Residuals(msgspec.Struct, frozen=True):
    """Holds how far probabilities were from the outcomes, for attacks and for others, ascending."""

    attacks: list[float] = []
    others: list[float] = []


class Calibration(msgspec.Struct, frozen=True):
    """Holds what was learnt: lines by family, weights of traits of incidents, and residuals by group of incidents."""

    findings: dict[str, Line]
    intercept: float
    traits: dict[str, float]
    residuals: dict[str, Residuals]

    def probability(self, category: str, score: float) -> float:
        """Return how probable it is that a finding is true, by its family; by all families for one never seen."""
        line = self.findings.get(family(category).name) or self.findings[POOL]
        return line.probability(min(max(score, 0.0), 1.0))

    def widths(self, stratum: str, category: str, confidence: float) -> tuple[float, float]:
        """Return how far an outcome may lie below and above a probability, with a confidence from 0 to 1."""
        below = self._quantile([each.others for each in self._groups(stratum, category)], confidence)
        above = self._quantile([each.attacks for each in self._groups(stratum, category)], confidence)
        return below, above

    def _groups(self, stratum: str, category: str) -> Iterator[Residuals]:
        """Yield the groups of an incident, the narrowest first: a category names the protocol where it matters."""
        for name in (normal(category), family(category).name, POOL):
            if (found := self.residuals.get(f"{stratum}/{name}")) is not None:
                yield found

    @staticmethod
    def _quantile(candidates: Sequence[Sequence[float]], confidence: float) -> float:
        enough = next(
            (each for each in candidates if len(each) >= LEAST_EXAMPLES), candidates[-1] if candidates else ()
        )
        place = round((len(enough) + 1) * confidence)  # the next of n is below the k-th with probability k / (n + 1)
        return enough[place - 1] if place <= len(enough) else 1.0


@cache
def calibration() -> Calibration:
    """Load the calibration that comes with the package, once."""
    data = (files("infraspectre.intel") / "data" / "calibration.json").read_bytes()
    return msgspec.json.decode(data, type=Calibration)
