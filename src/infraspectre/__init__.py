"""InfraSpectre turns network traffic into explained incidents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from infraspectre.app import Analysis, analyze, flows
    from infraspectre.records import FlowBatch
    from infraspectre.soma import Detector

__version__ = "0.1.0"
__all__ = ["Analysis", "Detector", "FlowBatch", "__version__", "analyze", "flows"]

_HOMES = {"Analysis": "app", "analyze": "app", "flows": "app", "FlowBatch": "records", "Detector": "soma"}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that importing the package costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
