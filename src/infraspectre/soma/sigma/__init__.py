"""Sigma rules over flows, application records and logs: read, compiled together, matched in batches, correlated."""

from infraspectre.soma.sigma.detector import SigmaDetector
from infraspectre.soma.sigma.seating import SigmaRules, load_sigma

__all__ = ["SigmaDetector", "SigmaRules", "load_sigma"]
