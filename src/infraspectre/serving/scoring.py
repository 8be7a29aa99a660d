"""Predictions on request: models stay open, and rows of many callers are judged in one go."""

from __future__ import annotations

import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from infraspectre.errors import OverloadError, UsageError
from infraspectre.records.access import DEFAULT_TENANT

if TYPE_CHECKING:
    from infraspectre.modelbook import OpenModel
    from infraspectre.modelbook.rows import Rows
    from infraspectre.records.explanation import Explanation

REGISTRY = "registry:"
SERVED = ("builtin:", REGISTRY)
OF = ".."
"""Stands between a tenant and the name of its model in the registry: no tenant's name holds it, and no model's may."""
MOST_ROWS = 10_000
"""Rows of one request."""
ROWS_AT_ONCE = 4_096
"""Rows judged in one go: more gain nothing, and those who wait would wait longer."""
GATHER_S = 0.005
"""How long requests are gathered while several come at once: judging a few takes nearly as long as judging one."""
MOST_WAITING = 1_000
"""Requests that may wait."""
MOST_MODELS = 16
"""Models that stay open, the most recently used."""


def registered_as(tenant: str, name: str) -> str:
    """Return how the registry, which is one for all tenants, calls what a tenant calls so; raises UsageError.

    Models of the first tenant have their plain names, as on the command line.
    """
    if OF in name:
        raise UsageError(f"{name[:64]!r} cannot be the name of a model", remedy=f"take one without {OF}")
    return name if tenant == DEFAULT_TENANT else f"{tenant}{OF}{name}"


def known_as(tenant: str, registered: Iterable[str]) -> list[str]:
    """Return which names of the registry are a tenant's, as the tenant calls them."""
    if tenant == DEFAULT_TENANT:
        return [name for name in registered if OF not in name]
    own = f"{tenant}{OF}"
    return [name.removeprefix(own) for name in registered if name.startswith(own)]


def served_as(tenant: str, model: str) -> str:
    """Return which model a tenant means; raises UsageError for a name that would be another's."""
    if not model.startswith(REGISTRY):
        return model
    return REGISTRY + registered_as(tenant, model.removeprefix(REGISTRY))


class Prediction(msgspec.Struct, frozen=True):
    """Is what a model says of a row."""

    label: str
    score: float
    """Higher is more suspicious."""
    probability: float
    """The calibrated probability that the row is hostile."""
    low: float
    high: float
    """The ends of the interval that holds the outcome, 1 if a row is hostile and 0 if not, for 90% of rows."""


class Request(NamedTuple):
    """Waits for predictions."""

    kind: tuple[str, frozenset[str]]
    """The model, and the columns given: only what is alike is judged together."""
    rows: Rows
    answer: Future[list[Prediction]]


class Scoring:
    """Judges rows with models by name, such as builtin:flow or registry:NAME@STAGE."""

    def __init__(self, open_model: Callable[[str], OpenModel], most_waiting: int = MOST_WAITING) -> None:
        """Open models as they are asked for, and judge in a thread of its own, which begins with the first request."""
        self._open = open_model
        self._models: OrderedDict[str, OpenModel] = OrderedDict()
        self._lock = threading.Lock()
        self._opening = threading.Lock()
        """Held while a model is opened, which takes long; whoever needs both locks takes this one first."""
        self._waiting: queue.Queue[Request | None] = queue.Queue(most_waiting)
        self._thread: threading.Thread | None = None

    def model(self, name: str) -> OpenModel:
        """Return a model that stays open; raises InputError and UsageError for one that cannot be opened.

        Whoever asks may be far away: no name stands for a folder of this machine.
        """
        if not name.startswith(SERVED):
            raise UsageError(f"no model is named {name[:64]!r}", remedy=f"names begin with {' or '.join(SERVED)}")
        if (known := self.opened(name)) is not None:
            return known
        with self._opening:
            return self.opened(name) or self._keep(name, self._open(name))

    def opened(self, name: str) -> OpenModel | None:
        """Return a model that is open already, at once; None where it is not."""
        with self._lock:
            if name in self._models:
                self._models.move_to_end(name)
            return self._models.get(name)

    def forget(self) -> None:
        """Open models anew from now on, for others may stand behind their names."""
        with self._opening, self._lock:
            self._models.clear()

    def judge(self, name: str, rows: Rows) -> Future[list[Prediction]]:
        """Judge rows soon, at least one; raises InputError for missing columns, OverloadError if too many wait.

        The future raises InputError naming row and column of what a model cannot judge.
        """
        from infraspectre.modelbook.rows import require_columns

        require_columns(self.model(name), rows)
        self._begin()
        answer: Future[list[Prediction]] = Future()
        try:
            self._waiting.put_nowait(Request((name, frozenset().union(*rows)), rows, answer))
        except queue.Full as error:
            raise OverloadError("too many requests wait for predictions", remedy="ask again in a second") from error
        return answer

    def explain(self, name: str, rows: Rows) -> list[Explanation]:
        """Return why rows are judged as they are; raises UsageError for a model that cannot say."""
        from infraspectre.modelbook.judging import explaining
        from infraspectre.modelbook.rows import frame_of, require_columns

        opened = self.model(name)
        require_columns(opened, rows)
        return explaining(opened).explain(frame_of(opened, rows))

    def close(self) -> None:
        """Judge what waits, and end."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join()

    def _keep(self, name: str, model: OpenModel) -> OpenModel:
        with self._lock:
            self._models[name] = model
            while len(self._models) > MOST_MODELS:
                self._models.popitem(last=False)
        return model

    def _begin(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._judge_all, name="scoring", daemon=True)
                self._thread.start()

    def _judge_all(self) -> None:
        batch: list[Request] = []
        while (first := self._waiting.get()) is not None:
            if len(batch) > 1:
                time.sleep(GATHER_S)
            batch, is_last = self._together(first)
            for kind in dict.fromkeys(each.kind for each in batch):
                self._answer(kind[0], [each for each in batch if each.kind == kind])
            if is_last:
                return

    def _together(self, first: Request) -> tuple[list[Request], bool]:
        """Return what waits already with the first, up to ROWS_AT_ONCE, and whether the end was among it."""
        batch, rows = [first], len(first.rows)
        with suppress(queue.Empty):
            while rows < ROWS_AT_ONCE:
                request = self._waiting.get_nowait()
                if request is None:
                    return batch, True
                batch.append(request)
                rows += len(request.rows)
        return batch, False

    def _answer(self, name: str, requests: Sequence[Request]) -> None:
        try:
            found = self._judged(name, [row for each in requests for row in each.rows])
        except Exception as error:  # noqa: BLE001 - whoever waits is told, whatever it was
            if len(requests) == 1:
                requests[0].answer.set_exception(error)
            else:  # the others shall not pay for what one of them sent
                for request in requests:
                    self._answer(name, [request])
            return
        for request in requests:
            request.answer.set_result([next(found) for _ in request.rows])

    def _judged(self, name: str, rows: Rows) -> Iterator[Prediction]:
        from infraspectre.modelbook.rows import frame_of

        opened = self.model(name)
        told = opened.model.judge(frame_of(opened, rows))
        numbers = (each.tolist() for each in (told.scores, told.probabilities, told.low, told.high))
        return (Prediction(*row) for row in zip(told.labels, *numbers, strict=True))
