"""Context around detections and decisions: what rules allow is lowered, and hosts get names, roles and owners."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec
import polars as pl

from infraspectre.intel.assets import Assets
from infraspectre.intel.business_rules import BusinessRules
from infraspectre.intel.identity import Identities
from infraspectre.intel.roles import Roles
from infraspectre.records import Asset, Decision, Detection, FlowBatch, Incident, Statement

V4, V6 = r"\d{1,3}(?:\.\d{1,3}){3}", r"[0-9a-f]*:[0-9a-f:]*:[0-9a-f.:]*[0-9a-f]"
ADDRESS = re.compile(rf"(?<![\w.:])(?:(?:{V4}|\[{V6}\])(?::\d{{1,5}}\b)?|{V6})(?!\w)")
"""An address in a sentence, with its port."""
NEEDED = ("ended_at", "orig_ip")


class Soma(Protocol):
    """Finds suspicious behaviour."""

    def detect(self, flows: FlowBatch, features: Any) -> list[Detection]:
        """Return what became certain with this batch."""
        ...

    @property
    def detectors(self) -> Sequence[Any]:
        """Return the detectors."""
        ...

    def settle(self) -> list[Detection]:
        """Return what flows that still wait make certain."""
        ...

    def due(self) -> int | None:
        """Return the event time at which something is to be told even if no flow comes, None where there is none."""
        ...

    def turn(self, until: int) -> list[Detection]:
        """Return what event time makes certain that goes on without flows."""
        ...

    def finish(self) -> list[Detection]:
        """Return what the end of the input makes certain."""
        ...


class Reflex(Protocol):
    """Judges incidents."""

    def decide(self, incident: Incident) -> Decision:
        """Return how bad an incident is, why, and what to do."""
        ...

    def doubt(self, decision: Decision, lost: float) -> Decision:
        """Return a decision that is less sure, since a share of the traffic was lost."""
        ...


class Context:
    """Knows the site: what its owner says, and what its traffic shows, as of any time."""

    def __init__(self, assets: Assets | None = None, rules: BusinessRules | None = None) -> None:
        """Take what the owner says."""
        self.assets = assets or Assets()
        self.rules = rules or BusinessRules([], self.assets)
        self._identities = Identities()
        self._roles = Roles()
        self._clock = 0

    def learn(self, flows: FlowBatch) -> None:
        """Take in flows; what they show counts from the time at which they were seen."""
        if not len(flows) or not set(NEEDED) <= set(flows.frame.columns):
            return
        clock = pl.max_horizontal(pl.col("ended_at").fill_null(0).cum_max(), self._clock)
        frame = flows.frame.with_columns(known_at=clock)
        self._clock = int(frame["known_at"][-1])
        self._identities.learn(frame)
        self._roles.learn(frame)

    def asset(self, address: str, at: int) -> Asset | None:
        """Return all that is known about an address at a time; None if that is nothing."""
        stated, name, roles = self.assets.find(address), self._identities.name(address, at), self._roles.of(address, at)
        if name is None and not roles:
            return stated
        return msgspec.structs.replace(stated or Asset(address), seen_name=name, seen_roles=roles)

    def describe(self, decision: Decision) -> Decision:
        """Return a decision whose incident says what is known about its hosts, and whose sentences name them."""
        incident = decision.incident
        found = ((entity, self.asset(entity, incident.last_seen)) for entity in incident.entities)
        assets = {entity: asset for entity, asset in found if asset is not None}
        names = {entity: name for entity, asset in assets.items() if (name := name_of(asset, entity))}
        explanation = msgspec.structs.replace(
            decision.explanation,
            summary=with_names(decision.explanation.summary, names),
            steps=[_named(step, names) for step in decision.explanation.steps],
        )
        incident = msgspec.structs.replace(incident, assets=assets, title=with_names(incident.title, names))
        return msgspec.structs.replace(decision, incident=incident, explanation=explanation)


class SomaInContext:
    """Lowers what rules allow, and lets the context learn from the flows beforehand."""

    def __init__(self, soma: Soma, context: Context) -> None:
        """Stand before Soma."""
        self._soma = soma
        self._context = context

    def detect(self, flows: FlowBatch, features: Any) -> list[Detection]:
        """Return what became certain with this batch, allowed or not."""
        self._context.learn(flows)
        return self._context.rules.apply(self._soma.detect(flows, features))

    @property
    def detectors(self) -> Sequence[Any]:
        """Return the detectors behind the context."""
        return self._soma.detectors

    def settle(self) -> list[Detection]:
        """Return what flows that still wait make certain, allowed or not."""
        return self._context.rules.apply(self._soma.settle())

    def due(self) -> int | None:
        """Return the event time at which something is to be told even if no flow comes, None where there is none."""
        return self._soma.due()

    def turn(self, until: int) -> list[Detection]:
        """Return what event time makes certain that goes on without flows, allowed or not."""
        return self._context.rules.apply(self._soma.turn(until))

    def finish(self) -> list[Detection]:
        """Return what the end of the input makes certain, allowed or not."""
        return self._context.rules.apply(self._soma.finish())


class ReflexInContext:
    """Tells of the hosts of decided incidents."""

    def __init__(self, reflex: Reflex, context: Context) -> None:
        """Stand behind Reflex."""
        self._reflex = reflex
        self._context = context

    def decide(self, incident: Incident) -> Decision:
        """Return how bad an incident is, why, and what to do, with names."""
        return self._context.describe(self._reflex.decide(incident))

    def doubt(self, decision: Decision, lost: float) -> Decision:
        """Return a decision that is less sure, since a share of the traffic was lost."""
        return self._reflex.doubt(decision, lost)


def name_of(asset: Asset, address: str) -> str | None:
    """Return how people call a host: as its owner does, if that names this host alone, else as it called itself."""
    is_alone = "/" not in asset.network or asset.network.partition("/")[0] == address
    return (asset.name if is_alone else None) or asset.seen_name


def with_names(text: str, names: Mapping[str, str]) -> str:
    """Write the name of each host behind its address, where it stands first."""
    told: set[str] = set()

    def named(found: re.Match[str]) -> str:
        address = _bare(found[0])
        if address not in names or address in told:
            return found[0]
        told.add(address)
        return f"{found[0]} ({names[address]})"

    return ADDRESS.sub(named, text) if names else text


def _bare(text: str) -> str:
    """Return an address without brackets and port."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if "." in text.partition(":")[0] else text


def _named(step: Statement, names: Mapping[str, str]) -> Statement:
    return msgspec.structs.replace(step, text=with_names(step.text, names))
