"""Cortex joins detections that tell one story into incidents."""

from infraspectre.cortex.cortex import Cortex, CortexSettings
from infraspectre.cortex.rules import Rules, load_rules

__all__ = ["Cortex", "CortexSettings", "Rules", "load_rules"]
