"""Formats of one line: CEF, LEEF 2.0, and the frame of syslog (RFC 5424).

No value can end a line or begin another field: signs that do not print are written as backslash escapes first, and what
separates fields is escaped as each format says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from infraspectre import __version__
from infraspectre.adapters.siem.facts import PRODUCT, VENDOR, Facts, milliseconds
from infraspectre.security import printable

CEF_SEVERITY = (0, 3, 5, 8, 10)
"""Of each rank, 0 to 10 (ArcSight CEF implementation standard 0.1, version 26)."""
LEEF_SEVERITY = (1, 3, 5, 8, 10)
SYSLOG_SEVERITY = (6, 5, 4, 3, 2)
"""Informational, notice, warning, error, critical (RFC 5424 section 6.2.1)."""
FACILITY = 13
"""Log audit."""
MOST_VALUE = 1_023
"""Signs of a value; what is longer is cut."""
MOST_MESSAGE = 8_192
HEADER_SIGNS = str.maketrans({"\\": "\\\\", "|": "\\|"})
EXTENSION_SIGNS = str.maketrans({"\\": "\\\\", "=": "\\="})
PARAMETER_SIGNS = str.maketrans({"\\": "\\\\", '"': '\\"', "]": "\\]"})
PLAIN = re.compile(rf"[ -<>-\[\]-~]{{0,{MOST_MESSAGE}}}")
"""Values of which none has to be escaped or cut."""
NO_NAME = re.compile(r"[^!-~]")
"""What a name in the header of syslog may not hold."""
ENTERPRISE = "infraspectre@32473"
"""The identity of our structured data, under the number that is for examples (RFC 5612)."""
Pairs = Iterable[tuple[str, str]]


def shown(value: str, most: int = MOST_VALUE) -> str:
    """Return a value as it stands in a line, before separators are escaped."""
    return printable(value[:most])


def cef(facts: Facts) -> str:
    """Return an event in the Common Event Format."""
    name, kind = shown(facts.title, 512).translate(HEADER_SIGNS), shown(facts.category).translate(HEADER_SIGNS)
    head = f"CEF:0|{VENDOR}|{PRODUCT}|{__version__}|{kind}|{name}|{CEF_SEVERITY[facts.rank]}|"
    pairs = [(key, value) for key, value in cef_pairs(facts) if value]
    if not PLAIN.fullmatch("".join([value for _, value in pairs])):
        pairs = [(key, shown(value, MOST_MESSAGE).translate(EXTENSION_SIGNS)) for key, value in pairs]
    return head + " ".join([f"{key}={value}" for key, value in pairs])


def cef_pairs(facts: Facts) -> Pairs:
    """Yield the fields of an event under the names of CEF."""
    event = facts.event
    yield "externalId", facts.key
    yield "rt", str(milliseconds(event.at))
    yield "start", str(milliseconds(facts.first_seen))
    yield "end", str(milliseconds(facts.last_seen))
    yield "cat", event.kind
    yield from addresses(facts.orig, "src", "c6a2", "shost")
    yield from addresses(facts.resp, "dst", "c6a3", "dhost")
    yield "msg", facts.message
    yield from labelled("cs1", "tenant", event.tenant)
    yield from labelled("cs2", "subject", event.subject)
    yield from labelled("cs3", "techniques", " ".join([each.id for each in facts.techniques]))
    yield from labelled("cs4", "rule", facts.rule)
    yield from labelled("cs5", "entities", " ".join(event.entities))
    yield from labelled("cfp1", "risk", f"{facts.risk:g}")


def labelled(key: str, label: str, value: str) -> Pairs:
    """Return a field that CEF has no name for, and what it is; nothing where it is empty."""
    return ((f"{key}Label", label), (key, value)) if value else ()


def addresses(who: list[str], four: str, six: str, name: str) -> Pairs:
    """Yield the first of those who take part, under the name of what it is."""
    if not who:
        return
    first = who[0]
    if ":" in first:
        yield f"{six}Label", "Source IPv6 Address" if name == "shost" else "Destination IPv6 Address"
        yield six, first
    else:
        yield four if first.replace(".", "").isdecimal() else name, first


def leef(facts: Facts) -> str:
    """Return an event in the Log Event Extended Format 2.0, its fields separated by tabs."""
    kind = shown(facts.category).replace("|", "/")  # LEEF has no escape for its header
    head = f"LEEF:2.0|{VENDOR}|{PRODUCT}|{__version__}|{kind}|x09|"
    return head + "\t".join([f"{key}={shown(value, MOST_MESSAGE)}" for key, value in leef_pairs(facts) if value])


def leef_pairs(facts: Facts) -> Pairs:
    """Yield the fields of an event under the names of LEEF."""
    event = facts.event
    yield "devTime", str(milliseconds(event.at))
    yield "cat", event.kind
    yield "sev", str(LEEF_SEVERITY[facts.rank])
    yield from ((key, who[0]) for key, who in (("src", facts.orig), ("dst", facts.resp)) if who)
    yield "identSrc", event.entities[0] if event.entities else ""
    yield "externalId", facts.key
    yield "title", facts.title
    yield "msg", facts.message
    yield "tenant", event.tenant
    yield "subject", event.subject
    yield "techniques", " ".join([each.id for each in facts.techniques])
    yield "rule", facts.rule
    yield "risk", f"{facts.risk:g}"
    yield "startTime", facts.first_seen
    yield "endTime", facts.last_seen


def syslog(facts: Facts, message: str, host: str) -> bytes:
    """Return a message as an entry of syslog (RFC 5424) without a frame."""
    priority = FACILITY * 8 + SYSLOG_SEVERITY[facts.rank]
    kind = NO_NAME.sub("_", facts.event.kind)[:32] or "-"
    data = f'[{ENTERPRISE} id="{parameter(facts.key)}" tenant="{parameter(facts.event.tenant)}"]'
    at = timestamp(facts.event.at)
    return f"<{priority}>1 {at} {named(host)} infraspectre - {kind} {data} \ufeff{message}".encode()


def parameter(value: str) -> str:
    """Return a value of structured data (RFC 5424 section 6.3.3)."""
    return shown(value).translate(PARAMETER_SIGNS)


def named(host: str) -> str:
    """Return a host as the header of syslog may hold it."""
    return NO_NAME.sub("_", host)[:255] or "-"


TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?)\d*(Z|[+-]\d\d:\d\d)", re.ASCII)


def timestamp(at: str) -> str:
    """Return a time with at most microseconds, as RFC 5424 section 6.2.3 asks; - for what is none."""
    written = TIMESTAMP.fullmatch(at)
    return f"{written[1]}{written[2]}" if written else "-"


def framed(entry: bytes) -> bytes:
    """Return an entry of syslog with its length before it (RFC 6587 section 3.4.1, RFC 5425 section 4.3)."""
    return b"%d %b" % (len(entry), entry)


LINES: dict[str, Callable[[Facts], str]] = {"cef": cef, "leef": leef}
