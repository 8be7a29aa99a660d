"""The nouns every layer shares: frozen, typed, versioned records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infraspectre.lazy import lazy

if TYPE_CHECKING:
    from infraspectre.records.detection import Detection, Evidence, Severity, Technique
    from infraspectre.records.flows import FlowBatch
    from infraspectre.records.incident import (
        Asset,
        Attribution,
        Decision,
        Escalation,
        Explanation,
        Incident,
        Join,
        Level,
        Progress,
        ResponsePlan,
        ResponseStep,
        Statement,
        TacticTechnique,
        ThreatScore,
    )
    from infraspectre.records.summary import Summary

SCHEMA_VERSION = 1

__all__ = [
    "SCHEMA_VERSION",
    "Asset",
    "Attribution",
    "Decision",
    "Detection",
    "Escalation",
    "Evidence",
    "Explanation",
    "FlowBatch",
    "Incident",
    "Join",
    "Level",
    "Progress",
    "ResponsePlan",
    "ResponseStep",
    "Severity",
    "Statement",
    "Summary",
    "TacticTechnique",
    "Technique",
    "ThreatScore",
]

_HOMES = dict.fromkeys(__all__, "incident") | {
    "Detection": "detection",
    "Evidence": "detection",
    "FlowBatch": "flows",
    "Severity": "detection",
    "Summary": "summary",
    "Technique": "detection",
}
__getattr__ = lazy(__name__, _HOMES)
