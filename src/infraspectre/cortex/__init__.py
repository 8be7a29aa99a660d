"""Cortex joins detections that tell one story into incidents."""

from infraspectre.cortex.cortex import Cortex, CortexSettings

__all__ = ["Cortex", "CortexSettings"]
