"""What the program tells of itself: the cost of a run, and traces of what led to what (W3C Trace Context).

A part says what it does by `span` or `stage`; unless a process has installed what takes it, that costs nothing. A span
belongs to the spans around it in this process, and through its `traceparent` to those of other processes.
"""

from __future__ import annotations

import random
import re
import resource
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Self

BYTES_PER_MAXRSS = 1 if sys.platform == "darwin" else 1024
"""getrusage(2) counts kibibytes on Linux and bytes on macOS."""
TRACEPARENT = re.compile(
    r"\A(?:00|(?!ff)[0-9a-f]{2}(?=.{53}(?:-|\Z)))-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?\Z"
)
"""Version, trace, span and flags; what follows in later versions is left out (W3C Trace Context section 3.2)."""
MOST_TRACEPARENT = 512
MOST_ATTRIBUTES = 32
MOST_SIGNS = 256
"""Length of a value, most of which may be written by attackers."""
MOST_LINKS = 64
MOST_SPANS = 512
"""Spans of one trace in one process that wait for its end."""
ADDRESSES = frozenset({"client.address", "server.address", "server.port", "host.name"})
"""Attributes that tell who talks with whom."""
LOG_APPEND = "log append"
"""The name under which the event log tells how long entries took to be durable."""
Kind = Literal["internal", "server", "client", "producer", "consumer"]
Value = str | int | float | bool


@dataclass(frozen=True)
class Cost:
    """Holds what a run took so far."""

    elapsed_s: float
    cpu_s: float
    peak_rss_bytes: int


@dataclass(frozen=True)
class Meter:
    """Measures what a run takes from the moment it is made."""

    started_s: float = field(default_factory=time.monotonic)
    started_cpu_s: float = field(default_factory=time.process_time)

    def cost(self) -> Cost:
        """Return the cost since the start; the memory peak is that of the whole process."""
        return Cost(
            elapsed_s=round(time.monotonic() - self.started_s, 6),
            cpu_s=round(time.process_time() - self.started_cpu_s, 6),
            peak_rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * BYTES_PER_MAXRSS,
        )


class Context(NamedTuple):
    """Names a span, wherever it is."""

    trace_id: int
    span_id: int
    is_sampled: bool

    def __str__(self) -> str:
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{self.is_sampled:02x}"

    @classmethod
    def of(cls, text: str) -> Self | None:
        """Read a traceparent; None for what is none, which is to be ignored."""
        found = TRACEPARENT.match(text) if len(text) <= MOST_TRACEPARENT else None
        if found is None or (text.startswith("00") and found[4]):
            return None
        return cls(int(found[1], 16), int(found[2], 16), bool(int(found[3], 16) & 1))


class Trace:
    """Is the part of a trace that lies in this process: it is told as a whole, once its first span has ended."""

    __slots__ = ("dropped", "is_over", "is_sampled", "spans", "trace_id", "tracer")

    def __init__(self, tracer: Tracer, trace_id: int, *, is_sampled: bool) -> None:
        """Begin without spans."""
        self.tracer, self.trace_id, self.is_sampled = tracer, trace_id, is_sampled
        self.spans: list[Span] = []
        self.dropped = 0
        self.is_over = False

    def take(self, span: Span) -> None:
        """Take a span that has ended."""
        if span.is_first:
            self.is_over = True
        if len(self.spans) < MOST_SPANS or self.is_over:
            self.spans.append(span)
        else:
            self.dropped += 1
        if self.is_over:
            self._tell()

    def _tell(self) -> None:
        spans, self.spans = self.spans, []
        dropped, self.dropped = self.dropped, 0
        if self.is_sampled:
            self.tracer.sink(spans, dropped)


class Span:
    """Says what was done, when, and whether it failed; entered, it is the one around those that follow."""

    __slots__ = (
        "_token", "attributes", "began", "ended", "error", "is_first", "kind", "links", "name", "parent_id", "span_id",
        "trace",
    )  # fmt: skip

    def __init__(self, trace: Trace, span_id: int, parent_id: int, name: str, kind: Kind, *, is_first: bool) -> None:
        """Begin now; `parent_id` is 0 for the first span of a trace, wherever that is."""
        self.trace, self.span_id, self.parent_id, self.is_first = trace, span_id, parent_id, is_first
        self.name, self.kind = name, kind
        self.attributes: dict[str, Value] = {}
        self.links: list[Context] = []
        self.error = ""
        self.began, self.ended = time.time_ns(), 0
        """Nanoseconds since the epoch, UTC."""
        self._token: Token[Span | None] | None = None

    def __enter__(self) -> Self:
        self._token = CURRENT.set(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._token is not None:
            CURRENT.reset(self._token)
        self.end(kind.__name__ if kind is not None else "")

    @property
    def traceparent(self) -> str:
        """Return the name of this span for other processes."""
        return str(Context(self.trace.trace_id, self.span_id, self.trace.is_sampled))

    def rename(self, name: str) -> None:
        """Give another name, where it is known only later."""
        self.name = name

    def set(self, attributes: Mapping[str, Value]) -> None:
        """Add attributes, within bounds, and none that holds an address unless the tracer shows them."""
        for name, value in attributes.items():
            is_hidden = name in ADDRESSES and not self.trace.tracer.shows_addresses
            if not is_hidden and (name in self.attributes or len(self.attributes) < MOST_ATTRIBUTES):
                self.attributes[name] = value[:MOST_SIGNS] if isinstance(value, str) else value

    def link(self, traceparents: Iterable[str]) -> None:
        """Add other spans that led to this one."""
        for each in traceparents:
            context = Context.of(each)
            if context is not None and context.span_id != self.parent_id and len(self.links) < MOST_LINKS:
                self.links.append(context)

    def keep(self) -> None:
        """Let the whole trace be told from here on, whatever was drawn for it."""
        self.trace.is_sampled = True

    def end(self, error: str = "") -> None:
        """End, once; what failed says how, and is always told."""
        if self.ended:
            return
        self.ended = time.time_ns()
        self.error = error or self.error
        if self.error:
            self.attributes["error.type"] = self.error[:MOST_SIGNS]
            self.keep()
        self.trace.take(self)


class Untraced:
    """Is the span where nothing is traced."""

    traceparent = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End."""

    def rename(self, name: str) -> None:
        """Ignore a name."""

    def set(self, attributes: Mapping[str, Value]) -> None:
        """Ignore attributes."""

    def link(self, traceparents: Iterable[str]) -> None:
        """Ignore links."""

    def keep(self) -> None:
        """Keep nothing."""

    def end(self, error: str = "") -> None:
        """End."""


Sink = Callable[[Sequence[Span], int], None]
"""Takes spans that ended, and how many had no room beside them; any thread may call it."""
Observe = Callable[[str, float], None]
"""Takes the name of a stage and the seconds that it took."""
UNTRACED = Untraced()
CURRENT: ContextVar[Span | None] = ContextVar("span", default=None)


class Tracer:
    """Makes spans, and decides which traces are told: by chance, as whoever began a trace said, and all that fail."""

    def __init__(
        self, sink: Sink, ratio: float = 1.0, *, shows_addresses: bool = False, follows_callers: bool = True
    ) -> None:
        """Tell a share of traces to a sink; callers from outside may begin traces that this process goes on with."""
        self.sink, self.shows_addresses, self.follows_callers = sink, shows_addresses, follows_callers
        self._bound = round(ratio * (1 << 64))
        self._random = random.Random()  # noqa: S311 - names traces, and keeps no secret

    def start(self, name: str, kind: Kind, parent: str) -> Span:
        """Begin a span within the one around, or within one of elsewhere if that belongs to another trace."""
        remote = Context.of(parent) if parent else None
        span_id = self._random.getrandbits(64) or 1
        around = CURRENT.get()
        if around is not None and (remote is None or remote.trace_id == around.trace.trace_id):
            return Span(around.trace, span_id, around.span_id, name, kind, is_first=False)
        if remote is not None:
            trace = Trace(self, remote.trace_id, is_sampled=remote.is_sampled)
            return Span(trace, span_id, remote.span_id, name, kind, is_first=True)
        trace_id = self._random.getrandbits(128) or 1
        trace = Trace(self, trace_id, is_sampled=self.draws(trace_id))
        return Span(trace, span_id, 0, name, kind, is_first=True)

    def draws(self, trace_id: int) -> bool:
        """Tell whether a trace is among those told, as all processes would (OpenTelemetry, TraceIdRatioBased)."""
        return trace_id & ((1 << 64) - 1) < self._bound


class Installed:
    """Holds what this process does with what its parts tell; set once at its start."""

    tracer: Tracer | None = None
    observe: Observe | None = None


def install(tracer: Tracer | None = None, observe: Observe | None = None) -> None:
    """Let a process tell spans and stages from now on, or nothing."""
    Installed.tracer, Installed.observe = tracer, observe


def is_traced() -> bool:
    """Tell whether spans are made in this process."""
    return Installed.tracer is not None


def span(
    name: str,
    kind: Kind = "internal",
    attributes: Mapping[str, Value] | None = None,
    *,
    parent: str = "",
    links: Iterable[str] = (),
) -> Span | Untraced:
    """Begin a span; `parent` is the traceparent of one that led to it from elsewhere, `links` are those of others."""
    if Installed.tracer is None:
        return UNTRACED
    begun = Installed.tracer.start(name, kind, parent)
    if attributes:
        begun.set(attributes)
    begun.link(links)
    return begun


def note(name: str, began: int, attributes: Mapping[str, Value] | None = None, *, error: str = "") -> None:
    """Tell a span within the one around that began at a time and ends now, as for what is told only if it took long."""
    noted = inner_span(name)
    if isinstance(noted, Span):
        noted.set(attributes or {})
        noted.began = began
    noted.end(error)


def inner_span(name: str) -> Span | Untraced:
    """Begin a span within the one around; none where there is none, as it would say nothing on its own."""
    return UNTRACED if CURRENT.get() is None else span(name)


def request_span(method: str, caller: str) -> Span | Untraced:
    """Begin the span of a request, within that of the caller, or linked with it where callers are not followed."""
    if Installed.tracer is None:
        return UNTRACED
    follows = Installed.tracer.follows_callers
    return span(method, "server", parent=caller if follows else "", links=() if follows else (caller,))


def traceparent() -> str:
    """Return the name of the span around; empty where nothing is traced."""
    around = CURRENT.get()
    return "" if around is None else around.traceparent


class Stage:
    """Measures a stage, and traces it."""

    __slots__ = ("_began", "_name", "_span")

    def __init__(self, name: str) -> None:
        """Begin when entered."""
        self._name = name
        self._span = inner_span(name)

    def __enter__(self) -> None:
        self._span.__enter__()
        self._began = time.perf_counter()

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if Installed.observe is not None:
            Installed.observe(self._name, time.perf_counter() - self._began)
        self._span.__exit__(kind, *rest)


class Timed:
    """Measures what is done while it is entered."""

    __slots__ = ("_began", "_name")

    def __init__(self, name: str) -> None:
        """Begin when entered."""
        self._name = name

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        if Installed.observe is not None:
            Installed.observe(self._name, time.perf_counter() - self._began)


def stage(name: str) -> Stage | Untraced:
    """Return what measures and traces a stage while it is entered."""
    return UNTRACED if Installed.tracer is None and Installed.observe is None else Stage(name)


def chosen_parent(traceparents: Sequence[str]) -> str:
    """Return of several that led to something the first that is told, else the first; empty where there is none."""
    contexts = ((each, Context.of(each)) for each in traceparents)
    return next((text for text, found in contexts if found and found.is_sampled), next(iter(traceparents), ""))
