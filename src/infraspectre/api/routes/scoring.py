"""Custom scoring: what incidents would score if evidence counted otherwise."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import post
from litestar.params import JSONBody
from msgspec import Meta

from infraspectre.api.given import GivenPlatform, GivenPrincipal
from infraspectre.api.problems import RefusedError
from infraspectre.errors import InputError
from infraspectre.ports import Stored
from infraspectre.records import ThreatScore
from infraspectre.records.access import Principal
from infraspectre.records.collections import INCIDENTS
from infraspectre.reflex.score import ReflexSettings, Thresholds, Weights, threat_score
from infraspectre.serving.platform import Platform
from infraspectre.serving.reporting import recorded_decision

Share = Annotated[float, Meta(ge=0, le=1)]
Value = Annotated[float, Meta(ge=0, le=100)]


class CustomWeights(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sets how much each channel adds to the leading one, 0 to 1."""

    signatures: Share = Weights().signatures
    anomalies: Share = Weights().anomalies
    correlation: Share = Weights().correlation
    context: Share = Weights().context


class CustomThresholds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sets the value from which each level begins; each at least the one before."""

    low: Value = Thresholds().low
    medium: Value = Thresholds().medium
    high: Value = Thresholds().high
    critical: Value = Thresholds().critical


class ScoringRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Asks what incidents would score with other weights and thresholds; nothing is changed."""

    incident_ids: Annotated[list[str], Meta(min_length=1, max_length=100)]
    weights: CustomWeights = CustomWeights()
    thresholds: CustomThresholds = CustomThresholds()


class Scored(msgspec.Struct, frozen=True):
    """Is what an incident scores now, and what it would."""

    incident_id: str
    now: ThreatScore
    custom: ThreatScore


class Scores(msgspec.Struct, frozen=True):
    """Is what incidents would score, in the order asked for."""

    scores: list[Scored]
    missing: list[str]
    """Incidents that there are not, or whose record does not hold all of the evidence."""


@post("/api/v1/custom-scoring", opt={"permission": "read"}, status_code=200, sync_to_thread=True)
def score_otherwise(platform: GivenPlatform, principal: GivenPrincipal, data: JSONBody[ScoringRequest]) -> Scores:
    """Say what incidents would score if evidence counted otherwise."""
    settings = settings_of(data)
    scores: list[Scored] = []
    missing: list[str] = []
    for identity in dict.fromkeys(data.incident_ids):
        stored = known(platform, principal, identity)
        decision, unknown = recorded_decision(stored.body) if stored else (None, 0)
        if decision is None or unknown:
            missing.append(identity)
            continue
        custom = threat_score(decision.incident, decision.incident.detections, settings)
        scores.append(Scored(identity, decision.threat_score, custom))
    return Scores(scores, missing)


def known(platform: Platform, principal: Principal, identity: str) -> Stored | None:
    """Return the record of an incident; None also for what cannot be one's identity."""
    try:
        return platform.records.get(principal.tenant, INCIDENTS, identity)
    except InputError:
        return None


def settings_of(data: ScoringRequest) -> ReflexSettings:
    """Return the settings that a request asks for; raises RefusedError for thresholds out of order."""
    starts = list(msgspec.structs.asdict(data.thresholds).values())
    if starts != sorted(starts):
        raise RefusedError("not-valid", "the thresholds are not in order: low, medium, high, critical")
    weights = Weights(**msgspec.structs.asdict(data.weights))
    return ReflexSettings(weights=weights, thresholds=Thresholds(*starts))


HANDLERS = [score_otherwise]
