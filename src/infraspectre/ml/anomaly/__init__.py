"""Detectors that learn from benign rows what is usual, and say how unusual others are."""

from infraspectre.ml.anomaly.autoencoder import Autoencoder
from infraspectre.ml.anomaly.damped import DampedEnsemble
from infraspectre.ml.anomaly.distance import Mahalanobis, MedianDeviations
from infraspectre.ml.anomaly.ensemble import Ensemble
from infraspectre.ml.anomaly.forest import IsolationForest
from infraspectre.ml.anomaly.neighbours import NearestPrototypes
from infraspectre.ml.detector import Detector

DETECTORS: tuple[type[Detector], ...] = (
    NearestPrototypes,
    IsolationForest,
    Autoencoder,
    MedianDeviations,
    Mahalanobis,
    DampedEnsemble,
    Ensemble,
)
"""All of them; the suite of every detector takes them from here."""

__all__ = [
    "DETECTORS",
    "Autoencoder",
    "DampedEnsemble",
    "Ensemble",
    "IsolationForest",
    "Mahalanobis",
    "MedianDeviations",
    "NearestPrototypes",
]
