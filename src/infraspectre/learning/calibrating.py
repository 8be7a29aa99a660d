"""Learns from incidents whose truth is known how likely incidents are attacks, and how far that may be wrong."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from infraspectre.intel.calibration import LEAST_EXAMPLES, POOL, Calibration, Line, Residuals
from infraspectre.intel.families import family, normal
from infraspectre.ml.monotone import fit_monotone
from infraspectre.records import Detection, Level
from infraspectre.reflex.evidence import strongest
from infraspectre.reflex.likelihood import DIGITS, probability, stratum, traits

PRIOR = np.array([-3.3, 6.0])
"""Line of all families before anything is known: even odds at a score of .55, see `infraspectre.soma.detector`."""
RIDGE = 0.1
"""Weight of the prior: less than that of a few rows."""
NAMES = ("strongest", "severity", "detectors", "tactics", "follow_up", "persistence")
"""Traits that are weighed, see `infraspectre.reflex.likelihood.traits`."""
CENTRE = np.array([0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
"""Before anything is known, an incident is as likely as its most probable finding."""
LEAST_WEIGHT = 1e-3
MOST_RESIDUALS = 512
"""Residuals kept for a group, evenly spaced; their 90% quantile is then off by less than a quarter of a percent."""


class Example(msgspec.Struct, frozen=True):
    """Is an incident of which the truth is known."""

    origin: str
    """Where it came from: a day or a capture."""
    level: Level
    detections: list[Detection]
    is_attack: bool
    true_detections: set[str]
    """Identities of the detections that are about an attack."""


def learn(examples: Sequence[Example]) -> Calibration:
    """Learn weights, and how far what they say is from the outcomes of the same examples.

    A dozen numbers learnt from hundreds of incidents hardly know any single one. On days left out, intervals made so
    held 91% of outcomes; with residuals by weights of other folds, whose scales differ, they held 94%.
    """
    learnt = _weights(examples)
    return msgspec.structs.replace(learnt, residuals=_grouped(_residuals(examples, learnt)))


def _weights(examples: Sequence[Example]) -> Calibration:
    """Learn the lines of findings, and from what these say the weights of incidents' traits."""
    learnt = Calibration(_lines(examples), 0.0, {}, {})
    told = [traits(judged(each, learnt)) for each in examples]
    rows = np.array([[found[name] for name in NAMES] for found in told])
    outcomes = np.array([float(each.is_attack) for each in examples])
    weights = fit_monotone(rows, outcomes, CENTRE, RIDGE)
    kept = {name: round(float(w), 4) for name, w in zip(NAMES, weights[1:], strict=True) if w > LEAST_WEIGHT}
    return msgspec.structs.replace(learnt, intercept=round(float(weights[0]), 4), traits=kept)


def judged(example: Example, learnt: Calibration) -> list[Detection]:
    """Return the detections of an incident with the probabilities that a calibration gives them."""
    return [
        msgspec.structs.replace(each, probability=round(learnt.probability(each.category, each.score), 4))
        for each in example.detections
    ]


def likelihood(example: Example, learnt: Calibration) -> float:
    """Return how likely a calibration calls an incident."""
    return probability(judged(example, learnt), learnt)


def _lines(examples: Iterable[Example]) -> dict[str, Line]:
    """Fit the line of each family of findings, drawn to that of all families."""
    rows: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for example in examples:
        for each in example.detections:
            rows[family(each.category).name].append((each.score, float(each.detection_id in example.true_detections)))
    pooled = _fitted([row for its in rows.values() for row in its], PRIOR)
    lines = {name: _line(_fitted(its, pooled)) for name, its in sorted(rows.items())}
    return {POOL: _line(pooled)} | lines


def _fitted(rows: Sequence[tuple[float, float]], centre: np.ndarray) -> np.ndarray:
    values = np.array(rows)
    return fit_monotone(values[:, :1], values[:, 1], centre, RIDGE)


def _line(fitted: np.ndarray) -> Line:
    return Line(round(float(fitted[0]), 4), round(float(fitted[1]), 4))


class Residual(NamedTuple):
    """Says how far a likelihood was from the outcome, and in which groups that counts."""

    groups: tuple[str, ...]
    is_attack: bool
    distance: float


def _residuals(examples: Iterable[Example], learnt: Calibration) -> Iterator[Residual]:
    """Yield how far likelihoods are from outcomes."""
    for each in examples:
        likely, category = likelihood(each, learnt), strongest(each.detections).category
        names = sorted({normal(category), family(category).name, POOL})
        groups = tuple(f"{stratum(each.level)}/{name}" for name in names)
        yield Residual(groups, each.is_attack, 1 - likely if each.is_attack else likely)


def _grouped(residuals: Iterable[Residual]) -> dict[str, Residuals]:
    """Collect residuals by stratum, and within it by category and family that have enough of them, and all together."""
    found: dict[str, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for each in residuals:
        for name in each.groups:
            found[name][0 if each.is_attack else 1].append(each.distance)
    return {
        name: Residuals(_spaced(attacks), _spaced(others))
        for name, (attacks, others) in sorted(found.items())
        if name.endswith(f"/{POOL}") or max(len(attacks), len(others)) >= LEAST_EXAMPLES
    }


def _spaced(values: list[float]) -> list[float]:
    ordered = sorted(values)
    places = np.unique(np.linspace(0, len(ordered) - 1, min(MOST_RESIDUALS, len(ordered))).round().astype(int))
    return [round(ordered[place], DIGITS) for place in places] if ordered else []
