r"""Formats of one line: CEF, LEEF 2.0, and the frame of syslog (RFC 5424).

No value can end a line or begin another field, and each can be read back exactly: signs that do not print are written
as `\xHH`, `\uHHHH` or `\UHHHHHHHH`, and in a value that holds such, each of its own backslashes as two. What separates
fields is escaped beyond that as each format says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from infraspectre import __version__
from infraspectre.adapters.siem.facts import PRODUCT, VENDOR, Facts, Family, family, milliseconds

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
ESCAPE = re.compile(r"\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")
"""What readers take for a sign that does not print."""
NO_NAME = re.compile(r"[^!-~]")
"""What a name in the header of syslog may not hold."""
ENTERPRISE = "infraspectre@32473"
"""The identity of our structured data, under the number that is for examples (RFC 5612)."""
MOST_TITLE = 512
LEEF_FIRST = " \"'"
"""LEEF has no escapes of its own, and some readers of keys and values take a quote at the beginning for one around the
value and read on behind its end; others find a field behind each space before an equals sign, so that none is shown."""
CEF_HEAD = f"CEF:0|{VENDOR}|{PRODUCT}|{__version__}|"
LEEF_HEAD = f"LEEF:2.0|{VENDOR}|{PRODUCT}|{__version__}|"


def shown(value: str, most: int = MOST_VALUE, also: str = "", first: str = " ") -> str:
    """Return a value as it stands in a line, before separators are escaped.

    `also` names signs that are not shown anywhere, `first` those not shown at the beginning; no space is shown at an
    end, since readers cut it off.
    """
    value = value[:most]
    has_ends = value[:1] in first or value[-1:] == " "
    if value and value.isprintable() and not has_ends and not ESCAPE.search(value) and not set(also) & set(value):
        return value
    signs = list(value.replace("\\", "\\\\"))
    return "".join(
        [
            hexed(sign)
            if not sign.isprintable()
            or sign in also
            or (place == 0 and sign in first)
            or (place == len(signs) - 1 and sign == " ")
            else sign
            for place, sign in enumerate(signs)
        ]
    )


def hexed(sign: str) -> str:
    """Return a sign by its number in hexadecimal digits."""
    number = ord(sign)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def are_plain(values: Sequence[str]) -> bool:
    """Tell whether none of some values has to be cut or escaped in any way: the usual case, asked for all at once."""
    joined = f"|{'|'.join(values)}|"
    return (
        len(joined) <= MOST_VALUE
        and joined.isprintable()
        and "\\" not in joined
        and "=" not in joined
        and '|"' not in joined
        and "|'" not in joined
        and "| " not in joined
        and " |" not in joined
    )


def cef(facts: Facts) -> str:
    """Return an event in the Common Event Format."""
    event, orig, resp = facts.event, first(facts.orig), first(facts.resp)
    values: Sequence[str] = (
        facts.key, event.kind, orig, resp, facts.message, event.tenant, event.subject,
        " ".join([each.id for each in facts.techniques]), facts.rule, " ".join(event.entities),
    )  # fmt: skip
    if not are_plain(values):
        values = [shown(value, MOST_MESSAGE).translate(EXTENSION_SIGNS) for value in values]
    key, kind, source, target, message, tenant, subject, techniques, rule, entities = values
    head = cef_head(facts.category[:MOST_VALUE], facts.title[:MOST_TITLE], facts.rank)
    at = milliseconds(event.at)
    end = at if facts.last_seen == event.at else milliseconds(facts.last_seen)  # mostly the same
    return (
        f"{head}externalId={key} rt={at} start={milliseconds(facts.first_seen)} "
        f"end={end} cat={kind}"
        f"{SOURCE[family(orig)] + source if orig else ''}{TARGET[family(resp)] + target if resp else ''}"
        f" msg={message} cs1Label=tenant cs1={tenant}{f' cs2Label=subject cs2={subject}' if subject else ''}"
        f"{f' cs3Label=techniques cs3={techniques}' if techniques else ''} cs4Label=rule cs4={rule}"
        f"{f' cs5Label=entities cs5={entities}' if entities else ''} cfp1Label=risk cfp1={facts.risk:g}"
    )


@lru_cache(1 << 10)
def cef_head(category: str, title: str, rank: int) -> str:
    """Return the header of CEF, its separators escaped."""
    name, kind = shown(title).translate(HEADER_SIGNS), shown(category).translate(HEADER_SIGNS)
    return f"{CEF_HEAD}{kind}|{name}|{CEF_SEVERITY[rank]}|"


SOURCE: Mapping[Family, str] = {
    "ipv4": " src=", "ipv6": " c6a2Label=Source IPv6 Address c6a2=", "host": " shost=", "other": " shost=",
}  # fmt: skip
TARGET: Mapping[Family, str] = {
    "ipv4": " dst=", "ipv6": " c6a3Label=Destination IPv6 Address c6a3=", "host": " dhost=", "other": " dhost=",
}  # fmt: skip
"""The name of who takes part, by what it is."""


def first(who: Sequence[str]) -> str:
    """Return the first of those who take part; nothing where there is nobody."""
    return who[0] if who else ""


def leef(facts: Facts) -> str:
    """Return an event in the Log Event Extended Format 2.0, its fields separated by tabs."""
    event = facts.event
    values: Sequence[str] = (
        event.kind, first(facts.orig), first(facts.resp), first(event.entities), facts.key, facts.title, facts.message,
        event.tenant, event.subject, " ".join([each.id for each in facts.techniques]), facts.rule, facts.first_seen,
        facts.last_seen,
    )  # fmt: skip
    if not are_plain(values):
        values = [shown(value, MOST_MESSAGE, "=", LEEF_FIRST) for value in values]
    kind, orig, resp, identity, key, title, message, tenant, subject, techniques, rule, since, until = values
    return (
        f"{leef_head(facts.category[:MOST_VALUE])}devTime={milliseconds(event.at)}\tcat={kind}\tsev={LEEF_SEVERITY[facts.rank]}"
        f"{field('src', orig)}{field('dst', resp)}{field('identSrc', identity)}\texternalId={key}\ttitle={title}"
        f"\tmsg={message}\ttenant={tenant}{field('subject', subject)}{field('techniques', techniques)}"
        f"\trule={rule}\trisk={facts.risk:g}\tstartTime={since}\tendTime={until}"
    )


def field(key: str, value: str) -> str:
    """Return a further field of LEEF; nothing where it is empty."""
    return f"\t{key}={value}" if value else ""


@lru_cache(1 << 10)
def leef_head(category: str) -> str:
    """Return the header of LEEF, which has no escape of its own for what separates it."""
    return f"{LEEF_HEAD}{shown(category, also='|')}|x09|"


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
