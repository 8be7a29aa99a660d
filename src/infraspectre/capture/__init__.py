"""Capture: what an input is, judged by its content, and the flows of packet captures and of interfaces."""

from infraspectre.capture.inputs import InputKind, classify, classify_all
from infraspectre.capture.live import EarlyFlows, LiveAccount, LiveSource
from infraspectre.capture.reader import CaptureSource, FeatureSet

__all__ = [
    "CaptureSource",
    "EarlyFlows",
    "FeatureSet",
    "InputKind",
    "LiveAccount",
    "LiveSource",
    "classify",
    "classify_all",
]
