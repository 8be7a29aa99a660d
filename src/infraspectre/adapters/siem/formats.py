"""All formats by name: each a pure function from an event to a line or an object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from infraspectre.adapters.siem.facts import Facts, facts_of
from infraspectre.adapters.siem.lines import LINES
from infraspectre.adapters.siem.objects import OBJECTS, encoded, plain_of
from infraspectre.adapters.siem.stix import bundle
from infraspectre.records.delivery import Format, Outgoing

BY_NAME: dict[str, Callable[[Facts], Any]] = {**LINES, **OBJECTS, "stix": bundle}


def as_value(facts: Facts, chosen: Format) -> Any:
    """Return an event as a value of JSON: an object, or a text that holds the line of a format that is one."""
    return BY_NAME[chosen](facts)


def value_of(outgoing: Outgoing, chosen: Format) -> Any:
    """Return an event of the feed as a value of JSON; its record is read only for formats that need it."""
    return plain_of(outgoing.key, outgoing.event) if chosen == "json" else BY_NAME[chosen](facts_of(outgoing))


def as_line(facts: Facts, chosen: Format) -> str:
    """Return an event as one line."""
    return one_line(as_value(facts, chosen))


def line_of(outgoing: Outgoing, chosen: Format) -> str:
    """Return an event of the feed as one line of a format."""
    return one_line(value_of(outgoing, chosen))


def one_line(value: Any) -> str:
    """Return a value as one line; JSON has no line breaks outside of texts, and none within them."""
    return value if isinstance(value, str) else encoded(value).decode()
