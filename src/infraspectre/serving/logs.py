"""What the platform's processes log: JSON lines on stderr, without secrets."""

from __future__ import annotations

import logging
import re
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, FilteringBoundLogger

from infraspectre.telemetry import CURRENT

SECRET = re.compile(r"password|passwd|secret|token|authorization|cookie|dsn|api_?key|private_?key", re.IGNORECASE)
"""Names of values that are never logged."""
IN_ADDRESS = re.compile(r"(\w+://[^\s:/@]*):[^\s@/]+@")
"""A password within an address."""
HIDDEN = "[hidden]"
MOST_SIGNS = 4_000
"""Length of a value, most of which may be written by attackers."""


def configure(process: str) -> FilteringBoundLogger:
    """Let this process log JSON lines on stderr, and return a logger that names it."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            with_trace,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            without_secrets,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
    return structlog.get_logger()  # type: ignore[no-any-return]


def with_trace(_: Any, __: str, event: EventDict) -> EventDict:
    """Return an event that names the span in which it happened, as collectors join logs with traces."""
    around = CURRENT.get()
    if around is not None:
        event.update(trace_id=f"{around.trace.trace_id:032x}", span_id=f"{around.span_id:016x}")
    return event


def without_secrets(_: Any, __: str, event: EventDict) -> EventDict:
    """Return an event in which nothing secret stands, and nothing without bounds."""
    return {key: HIDDEN if SECRET.search(key) else shown(value) for key, value in event.items()}


def shown(value: Any) -> Any:
    """Return a value as it may be logged."""
    return IN_ADDRESS.sub(rf"\1:{HIDDEN}@", value)[:MOST_SIGNS] if isinstance(value, str) else value
