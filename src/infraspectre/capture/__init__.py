"""Capture: what an input is, judged by its content, and the flows of packet captures."""

from infraspectre.capture.inputs import InputKind, classify, classify_all
from infraspectre.capture.reader import CaptureSource, FeatureSet

__all__ = ["CaptureSource", "FeatureSet", "InputKind", "classify", "classify_all"]
