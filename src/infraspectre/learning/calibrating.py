"""Learns from incidents whose truth is known how likely incidents are attacks, and how far that may be wrong."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from infraspectre.intel.calibration import LEAST_EXAMPLES, POOL, Calibration, Line, Residuals
from infraspectre.intel.families import family, normal
from infraspectre.ml.monotone import fit_monotone
from infraspectre.records import Detection, Level
from infraspectre.reflex.evidence import strongest
from infraspectre.reflex.likelihood import probability, stratum, traits

PRIOR = np.array([-3.3, 6.0])
"""Line of all families before anything is known: even odds at a score of .55, see `infraspectre.soma.detector`."""
RIDGE = 1.0
"""Weight of the prior: that of a few rows."""
MOST_RESIDUALS = 512
"""Residuals kept for a group, evenly spaced; their 90% quantile is then off by less than a quarter of a percent."""
LARGEST = 0.99


class Example(msgspec.Struct, frozen=True):
    """Is an incident of which the truth is known."""

    origin: str
    """Where it came from: a day or a capture; all that is of one origin is learnt from or measured with, never both."""
    level: Level
    detections: list[Detection]
    is_attack: bool
    true_detections: set[str]
    """Identities of the detections that are about an attack."""


def learn(examples: Sequence[Example]) -> Calibration:
    """Learn weights from one half of the origins, and from the other half how far they are wrong."""
    training = [each for each in examples if _side(each.origin) == 0]
    held_out = [each for each in examples if _side(each.origin) == 1]
    lines = _lines(training)
    learnt = Calibration(lines, 0.0, {}, {})
    names = list(traits(training[0].detections))
    rows = np.array([[traits(judged(each, learnt))[name] for name in names] for each in training])
    outcomes = np.array([float(each.is_attack) for each in training])
    centre = np.array([0.0] + [float(name == "strongest") for name in names])
    weights = fit_monotone(rows, outcomes, centre, RIDGE)
    kept = {name: round(float(w), 4) for name, w in zip(names, weights[1:], strict=True) if w > 1e-4}
    learnt = msgspec.structs.replace(learnt, intercept=round(float(weights[0]), 4), traits=kept)
    return msgspec.structs.replace(learnt, residuals=_residuals(held_out, learnt))


def judged(example: Example, learnt: Calibration) -> list[Detection]:
    """Return the detections of an incident with the probabilities that a calibration gives them."""
    return [
        msgspec.structs.replace(each, probability=round(learnt.probability(each.category, each.score), 4))
        for each in example.detections
    ]


def likelihood(example: Example, learnt: Calibration) -> float:
    """Return how likely a calibration calls an incident."""
    return probability(judged(example, learnt), learnt, LARGEST)


def _side(origin: str) -> int:
    return hashlib.blake2b(origin.encode(), digest_size=1).digest()[0] & 1


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


def _residuals(examples: Iterable[Example], learnt: Calibration) -> dict[str, Residuals]:
    """Collect how far likelihoods are from outcomes, by stratum and by category, family and all together."""
    attacks: dict[str, list[float]] = defaultdict(list)
    others: dict[str, list[float]] = defaultdict(list)
    for example in examples:
        likely, category = likelihood(example, learnt), strongest(example.detections).category
        side, far = (attacks, 1 - likely) if example.is_attack else (others, likely)
        for name in {normal(category), family(category).name, POOL}:
            side[f"{stratum(example.level)}/{name}"].append(far)
    return {
        name: Residuals(_spaced(attacks[name]), _spaced(others[name]))
        for name in sorted(attacks.keys() | others.keys())
        if name.endswith(f"/{POOL}") or max(len(attacks[name]), len(others[name])) >= LEAST_EXAMPLES
    }


def _spaced(values: list[float]) -> list[float]:
    ordered = sorted(values)
    places = np.unique(np.linspace(0, len(ordered) - 1, min(MOST_RESIDUALS, len(ordered))).round().astype(int))
    return [round(ordered[place], 4) for place in places] if ordered else []
