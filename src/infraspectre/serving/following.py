"""Following: what people change while the worker works, and what it takes over between two groups of flows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from infraspectre.intel.indicators import IndicatorIndex
from infraspectre.pipeline import Pipeline
from infraspectre.records.collections import INTELLIGENCE, RULES
from infraspectre.serving.intelligence import intelligence_of
from infraspectre.serving.platform import Platform
from infraspectre.serving.rule_shelf import switch_of, switched
from infraspectre.soma.intelligence import Intelligence
from infraspectre.soma.rules import OwnRules
from infraspectre.soma.sigma import SigmaDetector

Off = dict[str, frozenset[str]]
"""The names of rules that are switched off, by kind."""


@runtime_checkable
class Composed(Protocol):
    """Is made of detectors, each of which may stand behind a guard."""

    @property
    def detectors(self) -> Sequence[Any]:
        """Return them."""
        ...


class Wanted(NamedTuple):
    """Is what a tenant wants the worker to do."""

    off: Off
    indicators: IndicatorIndex | None
    """None where it has no intelligence of its own."""


class Following:
    """Lets the worker follow which rules tenants switch off, and which intelligence they import."""

    def __init__(self, platform: Platform) -> None:
        """Begin with what the settings say."""
        self._platform = platform
        self._wanted: dict[str, Wanted] = {}
        self._given: dict[str, tuple[int, Wanted]] = {}

    def read(self) -> None:
        """Read what tenants want; raises InfraSpectreError where that cannot be read."""
        tenants = {each for kind in (RULES, INTELLIGENCE) for each in self._platform.records.tenants(kind)}
        self._wanted = {tenant: self._read(tenant) for tenant in tenants}

    def wanted(self, tenant: str) -> Wanted:
        """Return what a tenant wants, as read last."""
        return self._wanted.get(tenant, Wanted({}, None))

    def apply(self, pipelines: Mapping[str, Pipeline]) -> None:
        """Tell the detectors of each tenant what is news to them; called between groups of flows."""
        for tenant, pipeline in pipelines.items():
            given = id(pipeline), self.wanted(tenant)
            if self._given.get(tenant) != given:
                self._tell(pipeline, given[1])
                self._given[tenant] = given

    def _read(self, tenant: str) -> Wanted:
        off: dict[str, set[str]] = defaultdict(set)
        for each in map(switch_of, switched(self._platform, tenant)):
            if not each.is_enabled:
                off[each.kind].add(each.name)
        known = intelligence_of(self._platform, tenant)
        own = None if known is self._platform.intelligence else known.index
        return Wanted({kind: frozenset(names) for kind, names in off.items()}, own)

    def _tell(self, pipeline: Pipeline, wanted: Wanted) -> None:
        for detector in detectors_of(pipeline):
            if isinstance(detector, OwnRules | SigmaDetector):
                detector.switch(wanted.off)
            elif isinstance(detector, Intelligence):
                detector.know(wanted.indicators or self._platform.intelligence.index)


def detectors_of(pipeline: Pipeline) -> Iterator[Any]:
    """Yield the detectors of a pipeline, without the guards before them."""
    if isinstance(pipeline.soma, Composed):
        yield from (getattr(each, "detector", each) for each in pipeline.soma.detectors)
