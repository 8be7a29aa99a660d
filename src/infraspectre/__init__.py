"""InfraSpectre turns network traffic into explained incidents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infraspectre.lazy import lazy

if TYPE_CHECKING:
    from infraspectre.app import Analysis, analyze, flows, load_intel
    from infraspectre.records import FlowBatch
    from infraspectre.rulebook import load_rules, load_yara
    from infraspectre.soma import Detector
    from infraspectre.soma.sigma import load_sigma

__version__ = "0.1.0"
__all__ = [
    "Analysis",
    "Detector",
    "FlowBatch",
    "__version__",
    "analyze",
    "flows",
    "load_intel",
    "load_rules",
    "load_sigma",
    "load_yara",
]

_HOMES = {
    "Analysis": "app",
    "analyze": "app",
    "flows": "app",
    "load_intel": "app",
    "FlowBatch": "records",
    "Detector": "soma",
    "load_rules": "rulebook",
    "load_sigma": "soma.sigma",
    "load_yara": "rulebook",
}
__getattr__ = lazy(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
