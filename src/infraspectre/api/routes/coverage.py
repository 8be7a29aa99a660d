"""ATT&CK: the matrix with what is covered, and what was seen of late."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import get
from litestar.params import QueryParameter

from infraspectre.analytics.coverage import (
    COLUMNS,
    MatrixTactic,
    MatrixTechnique,
    in_incidents,
    matrix,
    named_in,
)
from infraspectre.api.given import GivenPlatform, GivenPrincipal
from infraspectre.records.collections import INCIDENTS
from infraspectre.records.times import LATEST, UNITS, rfc3339

DAY = UNITS["d"]


class AttackMatrix(msgspec.Struct, frozen=True):
    """Is the ATT&CK matrix with what is covered, and what was seen in the last days."""

    version: str
    start: str
    """Since when incidents and detections are counted."""
    tactics: list[MatrixTactic]
    """In the order of the matrix."""
    techniques: list[MatrixTechnique]


@get("/api/v1/attack", opt={"permission": "read"}, sync_to_thread=True)
def show_attack(
    platform: GivenPlatform,
    principal: GivenPrincipal,
    days: Annotated[int, QueryParameter(ge=1, le=365, description="How far back incidents and detections count.")] = 30,
) -> AttackMatrix:
    """Show the ATT&CK matrix: which techniques detectors cover, and which were seen in the last days."""
    start = max(platform.clock.now() - days * DAY, 0)
    frames = platform.tables.scan(principal.tenant, "detections", start, LATEST, COLUMNS)
    seen = in_incidents(platform.records, principal.tenant, INCIDENTS, start, named_in(frames))
    found = matrix(seen)
    return AttackMatrix(found.version, rfc3339(start), found.tactics, found.techniques)


HANDLERS = [show_attack]
