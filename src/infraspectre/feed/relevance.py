"""What is worth an analyst's time, learnt from verdicts: logistic regression on hashed traits, one model a tenant."""

from __future__ import annotations

import math
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Annotated, Any, NamedTuple, Self, TypeVar

import msgspec

from infraspectre.errors import InputError
from infraspectre.records.feed import FeedEvent

T = TypeVar("T")
BUCKETS = 2_048
"""Weights of a tenant; traits that fall together share one (Weinberger et al. 2009, feature hashing)."""
MOST_TENANTS = 200
"""Verdicts of further tenants change nothing, so that memory stays below some 100 MB."""
MOST_ENTITIES = 8
RATE = 0.5
"""Of AdaGrad (Duchi et al. 2011): traits that are seldom judged move further at each verdict."""
LIMIT = 6.0
"""Weights and starting points beyond say nothing more: a probability of 0.9975."""
UNSAID = {"informational": 0.1, "low": 0.2, "medium": 0.4, "high": 0.7, "critical": 0.9}
"""The relevance of events whose producer gave none."""


VERDICT_KIND = "verdict.given"
WITHDRAWN_KIND = "verdict.withdrawn"
CHANGE_KIND = "incident.changed"
"""Says what people changed, which is not what they judge."""
WORTH: dict[str, bool] = {"true_positive": True, "benign": False, "false_positive": False, "dismissed": False}
"""What verdicts say; others, such as unsure, say nothing."""
MOST_REMEMBERED = 20_000
"""Subjects whose last event is remembered until somebody judges it, and verdicts that can still be forgotten."""


class Verdict(msgspec.Struct):
    """Reads the verdict of a record."""

    verdict: str = ""
    verdict_id: str = ""


class Lesson(NamedTuple):
    """Holds by how much each weight and its sum of squares moved, so that it can be forgotten."""

    tenant: str
    steps: dict[int, tuple[float, float]]


class Apprentice:
    """Learns from the feed itself: the verdict on a subject says whether the last event about it was worth showing.

    All servers read the same feed, and so learn the same.
    """

    def __init__(self, relevance: Relevance) -> None:
        """Teach a learner."""
        self._relevance = relevance
        self._events: OrderedDict[tuple[str, str], FeedEvent] = OrderedDict()
        self._lessons: OrderedDict[tuple[str, str], Lesson] = OrderedDict()

    def see(self, event: FeedEvent) -> None:
        """Take note of an event, learn from a verdict, or forget one that was withdrawn."""
        subject = (event.tenant, event.subject)
        if event.kind in (VERDICT_KIND, WITHDRAWN_KIND):
            with suppress(msgspec.MsgspecError):
                self._hear(event, msgspec.json.decode(event.data, type=Verdict), self._events.get(subject))
        elif event.subject and event.kind != CHANGE_KIND:
            remember(self._events, subject, event)

    def _hear(self, event: FeedEvent, said: Verdict, judged: FeedEvent | None) -> None:
        name, worth = (event.tenant, said.verdict_id), WORTH.get(said.verdict)
        if event.kind == WITHDRAWN_KIND:
            if (lesson := self._lessons.pop(name, None)) is not None:
                self._relevance.forget(lesson)
        elif worth is not None and judged is not None and (learnt := self._relevance.learn(judged, worth)):
            remember(self._lessons, name, learnt)


def remember(known: OrderedDict[tuple[str, str], T], name: tuple[str, str], value: T) -> None:
    """Keep a value as the latest, and no more than the most."""
    known[name] = value
    known.move_to_end(name)
    if len(known) > MOST_REMEMBERED:
        known.popitem(last=False)


class Relevance:
    """Estimates how much events are worth an analyst's time; without verdicts it is what their producers say."""

    def __init__(self) -> None:
        """Begin without verdicts."""
        self._weights: dict[str, dict[int, float]] = {}
        self._squares: dict[str, dict[int, float]] = {}
        self.verdicts = 0

    def of(self, event: FeedEvent) -> float:
        """Return the relevance of an event to its tenant, 0 to 1."""
        weights = self._weights.get(event.tenant)
        said = event.relevance or UNSAID[event.severity]
        if weights is None:
            return said
        return logistic(log_odds(said) + sum(weights.get(bucket, 0.0) for bucket in traits(event)))

    def learn(self, event: FeedEvent, worth: bool) -> Lesson | None:
        """Learn from a verdict on an event, or from one that was dismissed; return what was learnt."""
        if event.tenant not in self._weights and len(self._weights) >= MOST_TENANTS:
            return None
        error = float(worth) - self.of(event)
        weights = self._weights.setdefault(event.tenant, {})
        squares = self._squares.setdefault(event.tenant, {})
        steps: dict[int, tuple[float, float]] = {}
        for bucket in traits(event):
            squares[bucket] = squares.get(bucket, 0.0) + error * error
            step = RATE * error / math.sqrt(squares[bucket] + 1e-9)
            old = weights.get(bucket, 0.0)
            weights[bucket] = max(-LIMIT, min(LIMIT, old + step))
            moved, square = steps.get(bucket, (0.0, 0.0))
            steps[bucket] = (moved + weights[bucket] - old, square + error * error)
        self.verdicts += 1
        return Lesson(event.tenant, steps)

    def forget(self, lesson: Lesson) -> None:
        """Take back by how much a verdict moved the weights; what others moved since then stays."""
        weights, squares = self._weights[lesson.tenant], self._squares[lesson.tenant]
        for bucket, (step, square) in lesson.steps.items():
            weights[bucket] = max(-LIMIT, min(LIMIT, weights[bucket] - step))
            squares[bucket] = max(0.0, squares[bucket] - square)
        self.verdicts -= 1

    def save(self) -> dict[str, Any]:
        """Return what was learnt as plain data."""
        return {
            "verdicts": self.verdicts,
            "tenants": {
                tenant: {
                    str(bucket): [weight, self._squares[tenant][bucket]] for bucket, weight in sorted(weights.items())
                }
                for tenant, weights in self._weights.items()
            },
        }

    @classmethod
    def load(cls, saved: Mapping[str, Any]) -> Self:
        """Return a learner that goes on from what was saved; raises InputError."""
        relevance = cls()
        try:
            state = msgspec.convert(saved, State, str_keys=True)
        except msgspec.ValidationError as error:
            raise InputError(f"is no saved relevance: {error}", remedy="remove it to begin anew") from error
        relevance.verdicts = state.verdicts
        for tenant, buckets in state.tenants.items():
            relevance._weights[tenant] = {bucket: weight for bucket, (weight, _) in buckets.items()}
            relevance._squares[tenant] = {bucket: square for bucket, (_, square) in buckets.items()}
        return relevance


Bucket = Annotated[int, msgspec.Meta(ge=0, lt=BUCKETS)]
Weight = Annotated[float, msgspec.Meta(ge=-LIMIT, le=LIMIT)]
Square = Annotated[float, msgspec.Meta(ge=0)]


class State(msgspec.Struct):
    """Is what a learner saves."""

    verdicts: Annotated[int, msgspec.Meta(ge=0)]
    tenants: Annotated[dict[str, dict[Bucket, tuple[Weight, Square]]], msgspec.Meta(max_length=MOST_TENANTS)]


def traits(event: FeedEvent) -> Iterator[int]:
    """Yield the buckets of what an event is like: its kind, level and category, alone and together, and entities."""
    category = category_of(event)
    yield bucket("kind", event.kind)
    yield bucket("kind and level", event.kind, event.severity)
    if category:
        yield bucket("category", category)
        yield bucket("category and level", category, event.severity)
    for entity in event.entities[:MOST_ENTITIES]:
        yield bucket("entity", entity)
        yield bucket("entity and category", entity, category or event.kind)


def category_of(event: FeedEvent) -> str:
    """Return the category that the record within names, or nothing."""
    if b'"category"' not in bytes(event.data):
        return ""
    try:
        return msgspec.json.decode(event.data, type=Categorized).category
    except msgspec.MsgspecError:
        return ""


class Categorized(msgspec.Struct):
    """Reads the category of a record, which is all that is asked of it here."""

    category: str = ""


def bucket(*words: str) -> int:
    """Return the weight that a trait has, the same in every process."""
    return zlib.crc32("\0".join(words).encode()) % BUCKETS


def logistic(value: float) -> float:
    """Return the probability of log odds."""
    return 1.0 / (1.0 + math.exp(-value))


def log_odds(probability: float) -> float:
    """Return the log odds of a probability, bounded."""
    bounded = min(max(probability, 1e-3), 1 - 1e-3)
    return math.log(bounded / (1 - bounded))
