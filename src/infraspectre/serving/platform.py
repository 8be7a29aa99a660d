"""The platform as its parts see it: settings, stores, log and clock, chosen once by the composition root."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import httpx

from infraspectre.adapters.system_clock import SystemClock
from infraspectre.intel.indicators import Collection as Intelligence
from infraspectre.intel.indicators import read_indicators
from infraspectre.modelbook import open_model
from infraspectre.ports import Clock, EventLog, RecordStore, TableStore
from infraspectre.serving.health import no_faults
from infraspectre.serving.key_file import KEY_BYTES
from infraspectre.serving.metrics import Metrics
from infraspectre.serving.scoring import Scoring
from infraspectre.settings import Settings


@dataclass(frozen=True)
class Platform:
    """Holds what an answer is made from; tests give doubles."""

    records: RecordStore
    tables: TableStore
    log: EventLog
    settings: Settings = field(default_factory=Settings)
    clock: Clock = field(default_factory=SystemClock)
    scoring: Scoring = field(default_factory=lambda: Scoring(open_model))
    intelligence: Intelligence = field(default_factory=lambda: read_indicators([]))
    token_key: bytes = field(default_factory=lambda: secrets.token_bytes(KEY_BYTES), repr=False)
    """Signs access tokens; a random one makes every login end with the process."""
    metrics: Metrics = field(default_factory=Metrics)
    checks: Mapping[str, Callable[[], object]] = field(default_factory=dict)
    """Raise where a further dependency does not work, by its name: quick, and called from threads."""
    faults: Callable[[], Mapping[str, str]] = no_faults
    """Tells what failed though all else goes on, by its name, and why."""
    outgoing: httpx.Client | None = None
    """Sends requests to others, each checked (adapters/outgoing.py)."""
