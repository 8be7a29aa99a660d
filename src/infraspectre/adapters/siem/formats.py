"""All formats by name: each a pure function from an event to a line or an object."""

from __future__ import annotations

from typing import Any

import msgspec

from infraspectre.adapters.siem.facts import Facts, facts_of
from infraspectre.adapters.siem.lines import LINES
from infraspectre.adapters.siem.objects import OBJECTS
from infraspectre.adapters.siem.stix import bundle
from infraspectre.records.delivery import Format, Outgoing

BY_NAME = {**OBJECTS, "stix": bundle}


def as_value(facts: Facts, chosen: Format) -> Any:
    """Return an event as a value of JSON: an object, or a text that holds the line of a format that is one."""
    return LINES[chosen](facts) if chosen in LINES else BY_NAME[chosen](facts)


def as_line(facts: Facts, chosen: Format) -> str:
    """Return an event as one line; JSON has no line breaks outside of texts, and none within them."""
    return LINES[chosen](facts) if chosen in LINES else msgspec.json.encode(BY_NAME[chosen](facts)).decode()


def line_of(outgoing: Outgoing, chosen: Format) -> str:
    """Return an event of the feed as one line of a format."""
    return as_line(facts_of(outgoing), chosen)
