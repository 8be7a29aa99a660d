"""Decided incidents as one STIX 2.1 bundle, to be handed on as a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from infraspectre.adapters.results import incident_object
from infraspectre.adapters.siem.formats import line_of
from infraspectre.adapters.siem.stix import named
from infraspectre.records import Decision
from infraspectre.records.delivery import Outgoing
from infraspectre.records.feed import FeedEvent
from infraspectre.records.times import rfc3339

TENANT = "default"
"""Whose incidents are those of an analysis; identities are those of the same incident on a platform of one tenant."""


class Bundle(msgspec.Struct, frozen=True):
    """Is the part of a bundle that is put together anew."""

    objects: list[dict[str, Any]]


def bundle_of(decisions: Sequence[Decision]) -> bytes:
    """Return a bundle (STIX 2.1 section 8) with the objects of all incidents, each once."""
    objects = {each["id"]: each for decision in decisions for each in _objects(decision)}
    identity = named("bundle", " ".join(each.incident.incident_id for each in decisions))
    told = {"type": "bundle", "id": identity} | ({"objects": list(objects.values())} if objects else {})
    return msgspec.json.format(msgspec.json.encode(told), indent=1) + b"\n"


def _objects(decision: Decision) -> Iterator[dict[str, Any]]:
    """Yield what the formatter for other systems says of an incident."""
    incident = decision.incident
    event = FeedEvent(
        TENANT, "threat", "incident.raised", rfc3339(incident.raised_at), incident.incident_id,
        severity=decision.threat_score.level, entities=incident.entities,
        data=msgspec.Raw(msgspec.json.encode(incident_object(decision))),
    )  # fmt: skip
    yield from msgspec.json.decode(line_of(Outgoing(incident.incident_id, event, ""), "stix"), type=Bundle).objects
