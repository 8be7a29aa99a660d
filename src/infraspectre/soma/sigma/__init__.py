"""Sigma rules over flows, application records and logs: read, compiled together, matched in batches, correlated."""

from infraspectre.soma.sigma.detector import SigmaDetector, load

__all__ = ["SigmaDetector", "load"]
