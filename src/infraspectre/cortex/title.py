"""Titles: what happened, in one plain line."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from infraspectre.intel.families import noun, preposition
from infraspectre.records import Detection
from infraspectre.records.detection import SEVERITIES

MOST_PHASES = 3
"""A longer title is no longer read; the rest is counted."""


def title(detections: Sequence[Detection]) -> str:
    """Say what happened, from detections in time order, such as 'Port scan of A by B, then SSH brute force'."""
    phases = _phases(detections)
    first = phases[0]
    text = _opening(first)
    for earlier, phase in pairwise(phases[:MOST_PHASES]):
        text += f", then {_continued(phase, earlier)}"
    hidden = len(phases) - MOST_PHASES
    return f"{text} and {hidden} more" if hidden > 0 else text


def _phases(detections: Sequence[Detection]) -> list[Detection]:
    """Return one detection for each kind of activity, without the weak ones where there are others."""
    strong = [each for each in detections if SEVERITIES.index(each.severity) >= SEVERITIES.index("medium")]
    first_of_kind: dict[str, Detection] = {}
    for detection in strong or detections:
        first_of_kind.setdefault(noun(detection.category), detection)
    return list(first_of_kind.values())


def _opening(detection: Detection) -> str:
    words = [noun(detection.category)]
    if detection.resp:
        words += [preposition(detection.category), detection.resp]
    if detection.orig:
        words += ["from" if preposition(detection.category) in ("to", "through") else "by", detection.orig]
    return " ".join(words)


def _continued(phase: Detection, earlier: Detection) -> str:
    text = noun(phase.category)
    first_word = text.split(" ", 1)[0]
    text = text if first_word.isupper() else text[:1].lower() + text[1:]
    if phase.resp and phase.resp != earlier.resp:
        text += f" {preposition(phase.category)} {phase.resp}"
    if phase.orig and phase.orig != earlier.orig:
        text += f" by {phase.orig}"
    return text
