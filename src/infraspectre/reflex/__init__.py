"""Reflex judges incidents: how bad, how sure, why, and what to do."""

from infraspectre.reflex.reflex import Reflex
from infraspectre.reflex.score import ReflexSettings

__all__ = ["Reflex", "ReflexSettings"]
