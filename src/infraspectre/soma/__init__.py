"""Soma: detectors that find suspicious behaviour in flows."""

from infraspectre.soma.arp_poisoning import ArpPoisoning
from infraspectre.soma.detector import Case, Casebook, Detector, Finding, gathered
from infraspectre.soma.dga import Dga
from infraspectre.soma.signatures import Signatures
from infraspectre.soma.soma import CATALOGUE, PATIENCE, Patience, Soma

__all__ = [
    "CATALOGUE",
    "PATIENCE",
    "ArpPoisoning",
    "Case",
    "Casebook",
    "Detector",
    "Dga",
    "Finding",
    "Patience",
    "Signatures",
    "Soma",
    "gathered",
]
