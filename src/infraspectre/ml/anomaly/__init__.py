"""Detectors that learn from benign rows what is usual, and say how unusual others are."""

from infraspectre.ml.anomaly.ensemble import PARTS, Ensemble
from infraspectre.ml.detector import Detector

DETECTORS: tuple[type[Detector], ...] = (*PARTS, Ensemble)
"""All of them, each of which passes `tests/ml/test_detectors.py` by being listed."""
