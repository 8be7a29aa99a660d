"""Composes the worker: settings in, a process that works on flows until it is told to stop."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from infraspectre import app
from infraspectre.errors import InfraSpectreError
from infraspectre.pipeline import Pipeline
from infraspectre.records.feed import FEED_TOPIC, FLOWS_TOPIC
from infraspectre.rulebook import Told
from infraspectre.serving.breakers import Breaker, Cost, GuardedDetector
from infraspectre.serving.control import BEAT_S, Control, Report, State
from infraspectre.serving.following import Following
from infraspectre.serving.measuring import Measures, WatchedCall
from infraspectre.serving.metrics import FLOWS_WAITING
from infraspectre.serving.observing import log_figures
from infraspectre.serving.opening import close_platform, data_folder, open_platform
from infraspectre.serving.tracing import tracing
from infraspectre.serving.upkeep import Upkeep, log_tasks, record_tasks, table_tasks
from infraspectre.serving.worker import Worker
from infraspectre.settings import Settings
from infraspectre.soma.models import ModelDetector

RECORDS_WAIT_S = 1.0
"""The work is not held up longer by who writes records meanwhile: what was to be written waits in its queue."""
logger = structlog.get_logger(__name__)


class Composition:
    """Makes a pipeline for each tenant, whose detectors have breakers; models that cannot be used are left out."""

    def __init__(self, settings: Settings) -> None:
        """Read rules and intelligence once, for all tenants; raises InputError for what cannot be used."""
        self._settings = settings
        self.breakers: list[Breaker] = []
        self.costs: list[Cost] = []
        self.models: list[ModelDetector] = []
        self.measures: Measures | None = None
        """Measures detectors, where somebody wants it."""
        chosen = settings.detection
        self.intel = app.load_intel(chosen.intel)
        self._models = list(self._sound(chosen.models))
        self._rules = Told().load_all([Path(each) for each in chosen.rules]) if chosen.rules else None

    def __call__(self) -> Pipeline:
        """Return a pipeline."""
        chosen = self._settings.detection
        return app.compose(
            chosen.assets or None,
            sigma=self._rules.sigma if self._rules else None,
            own_rules=self._rules.own if self._rules else (),
            models=self._models,
            correlation=chosen.correlation,
            intel=self.intel,
            settings=self._settings,
            guard=self._guarded,
            on_platform=True,
        )

    def _sound(self, names: Iterable[str]) -> Iterator[str]:
        """Yield the models that can be used; for each other one, a breaker stays open."""
        for name in names:
            try:
                app.model_detectors([name])
            except InfraSpectreError as error:
                logger.error("a model is left out; mend it and reload", model=name, reason=str(error))
                breaker = Breaker(f"model {name}", failures=1)
                breaker.failed(error)
                self.breakers.append(breaker)
            else:
                yield name

    def _guarded(self, detector: Any) -> GuardedDetector:
        found = GuardedDetector(detector, watched=partial(self._watched, isinstance(detector, ModelDetector)))
        self.breakers.append(found.breaker)
        self.costs.append(found.cost)
        if isinstance(detector, ModelDetector):
            self.models.append(detector)
        return found

    def _watched(self, is_model: bool, name: str) -> AbstractContextManager[object]:
        if self.measures is None:
            return nullcontext()
        least_s = self._settings.telemetry.detector_ms / 1_000
        return WatchedCall(self.measures, name, least_s, is_model=is_model)


def work(settings: Settings, control: Control) -> None:
    """Work until told to stop; raises InfraSpectreError where that cannot be."""
    composition = Composition(settings)
    platform = replace(open_platform(settings, RECORDS_WAIT_S), intelligence=composition.intel)
    worker = Worker(platform, composition, worker_folder(settings))
    following = Following(platform)
    composition.measures = worker.measures
    tasks = table_tasks(platform) | record_tasks(platform) | log_tasks(platform, [FEED_TOPIC])
    tasks["following"] = following.read
    telling = tracing(settings.telemetry, "worker", platform.metrics, worker.measures.stage)
    with telling, worker.relay, Upkeep(tasks) as upkeep:
        beat = Beat(control, worker, composition, upkeep)
        upkeep.do("following")
        while not control.stopped.is_set():
            following.apply(worker.learnt.pipelines)
            worker.step(0.1)
            beat.tick()
    control.report(Report("stopping"))
    worker.close()
    close_platform(platform)


def worker_folder(settings: Settings) -> Path:
    """Return the folder of what the worker keeps."""
    return data_folder(settings) / "worker"


class Beat:
    """Reports to the supervisor once in a while."""

    def __init__(self, control: Control, worker: Worker, composition: Composition, upkeep: Upkeep) -> None:
        """Report at once."""
        self._control, self._worker, self._composition, self._upkeep = control, worker, composition, upkeep
        self._told_at = 0.0
        self.tick()

    def tick(self) -> None:
        """Report if it is time."""
        now = time.monotonic()
        if now - self._told_at >= BEAT_S:
            self._told_at = now
            self._control.report(self._report())

    def _report(self) -> Report:
        state: State = "starting" if self._worker.is_learning else "ready"
        breakers = list(self._breakers())
        problems = {each.name: each.error for each in breakers if each.state != "closed"}
        metrics = self._worker.platform.metrics
        self._worker.measures.models(self._composition.models)
        metrics.set(FLOWS_WAITING, value=self._worker.backlog.fill)
        metrics.adopt("log", log_figures(self._worker.platform.log, [FEED_TOPIC]))
        told = facts(self._worker, breakers) | {"detectors": spent(self._composition.costs)}
        return Report(state, facts=told, metrics=metrics.figures(), problems=problems)

    def _breakers(self) -> Iterator[Breaker]:
        yield from (queue.breaker for queue in self._worker.queues)
        yield from self._composition.breakers
        yield self._worker.relay.breaker
        yield from self._upkeep.breakers.values()


def spent(costs: Iterable[Cost]) -> dict[str, float]:
    """Return the processor time of detectors, of all tenants together."""
    found: Counter[str] = Counter()
    for each in costs:
        found[each.name] += each.cpu_s  # type: ignore[assignment]
    return {name: round(seconds, 3) for name, seconds in found.items()}


def facts(worker: Worker, breakers: Iterable[Breaker]) -> dict[str, dict[str, float]]:
    """Return figures about a worker."""
    account, lanes = worker.learnt.account, worker.relay.lanes
    failures: Counter[str] = Counter({"pipeline": worker.failures})
    is_open: Counter[str] = Counter()
    skipped: Counter[str] = Counter()
    for each in breakers:  # those of several tenants have the same name
        failures[each.name] += each.failures
        is_open[each.name] += each.state != "closed"
        skipped[each.name] += each.skipped
    return {
        "flows": {"taken": account.taken, "done": account.done, "queued": account.queued, **account.shed},
        "waiting": {FLOWS_TOPIC: worker.waits, **{name: lane.waits for name, lane in lanes.items()}},
        "open": dict(is_open),
        "skipped": dict(skipped),
        "failures": dict(failures),
    }
