"""Reflex judges incidents: how bad, how sure, why, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infraspectre.lazy import lazy

if TYPE_CHECKING:
    from infraspectre.reflex.reflex import Reflex
    from infraspectre.reflex.score import ReflexSettings

__all__ = ["Reflex", "ReflexSettings"]

__getattr__ = lazy(__name__, {"Reflex": "reflex", "ReflexSettings": "score"})
