"""Layers for MITRE's ATT&CK Navigator: which techniques incidents show, and how strongly."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from infraspectre.intel.attack import attack_table
from infraspectre.records import Decision, TacticTechnique
from infraspectre.records.words import plural

FORMAT = {"layer": "4.5", "navigator": "5.1.0"}
"""The version of the layer format, and that of the Navigator that reads it (mitre-attack/attack-navigator, layers)."""
COLOURS = ["#fff3c4", "#a3123a"]
"""From the least to the highest score."""
MOST_INCIDENTS = 16
"""Incidents named beside a technique; the rest is counted."""


def layer(decisions: Iterable[Decision], name: str) -> dict[str, Any]:
    """Return a layer in which a technique has the score of the most threatening incident that shows it."""
    version = attack_table().version
    shown: dict[TacticTechnique, list[Decision]] = {}
    for decision in decisions:
        for each in decision.incident.techniques:
            shown.setdefault(each, []).append(decision)
    return {
        "name": name,
        "versions": {"attack": version.partition(".")[0], **FORMAT},
        "domain": "enterprise-attack",
        "description": f"Techniques that InfraSpectre saw, by the score of their incidents; ATT&CK {version}",
        "sorting": 3,
        "techniques": [technique_object(each, its) for each, its in sorted(shown.items())],
        "gradient": {"colors": COLOURS, "minValue": 0, "maxValue": 100},
        "legendItems": [],
        "hideDisabled": False,
        "selectSubtechniquesWithParent": False,
    }


def technique_object(shown: TacticTechnique, decisions: list[Decision]) -> dict[str, Any]:
    """Return how a layer tells of a technique."""
    ranked = sorted(decisions, key=lambda each: (-each.threat_score.value, each.incident.incident_id))
    named = [
        {
            "name": each.incident.incident_id,
            "value": f"{each.threat_score.value:g} {each.threat_score.level}: {each.incident.title}",
        }
        for each in ranked[:MOST_INCIDENTS]
    ]
    return {
        "techniqueID": shown.id,
        "tactic": shown.tactic,
        "score": ranked[0].threat_score.value,
        "comment": f"shown by {plural(len(ranked), 'incident')}",
        "enabled": True,
        "metadata": named,
        "showSubtechniques": "." in shown.id,
    }
