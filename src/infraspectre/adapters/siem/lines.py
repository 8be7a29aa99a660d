r"""Formats of one line: CEF, LEEF 2.0, and the frame of syslog (RFC 5424).

No value can end a line or begin another field, and each can be read back exactly: signs that do not print are written
as `\xHH`, `\uHHHH` or `\UHHHHHHHH`, and in a value that holds such, each of its own backslashes as two. What separates
fields is escaped beyond that as each format says.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import msgspec

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
HEADER_SIGNS, EXTENSION_SIGNS, PARAMETER_SIGNS = "\\|", "\\=", '\\"]'
"""What gets a backslash before it in headers and extensions of CEF and in parameters of syslog, itself first."""
ESCAPE = re.compile(r"\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")
"""What readers take for a sign that does not print."""
NO_NAME = re.compile(r"[^!-~]")
"""What a name in the header of syslog may not hold."""
ENTERPRISE = "infraspectre@32473"
"""The identity of our structured data, under the number that is for examples (RFC 5612)."""
MOST_TITLE = 512
MOST_PLAIN = 512
"""Signs of values together that are not looked at one by one, so that none can be too long."""
LEEF_FIRST = " \"'"
"""LEEF has no escapes of its own, and some readers of keys and values take a quote at the beginning for one around the
value and read on behind its end; others find a field behind each space before an equals sign, so that none is shown."""
CEF_HEAD = f"CEF:0|{VENDOR}|{PRODUCT}|{__version__}|"
encoded = msgspec.json.Encoder().encode
LEEF_HEAD = f"LEEF:2.0|{VENDOR}|{PRODUCT}|{__version__}|"


def shown(value: str, most: int = MOST_VALUE, also: str = "", first: str = " ") -> str:
    """Return a value as it stands in a line, before separators are escaped.

    `also` names signs that are not shown anywhere, `first` those not shown at the beginning; no space is shown at an
    end, since readers cut it off.
    """
    value = value[:most]
    if value[:1] not in first and value[-1:] != " " and is_shown(value) and not any(map(value.__contains__, also)):
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


def is_shown(value: str) -> bool:
    """Tell whether a value has only signs that print, and nothing that readers take for another sign."""
    return value.isprintable() and ("\\" not in value or not ESCAPE.search(value))


def escaped(value: str, signs: str) -> str:
    """Return a value with a backslash before each of some signs."""
    for sign in signs:
        if sign in value:
            value = value.replace(sign, "\\" + sign)
    return value


def hexed(sign: str) -> str:
    """Return a sign by its number in hexadecimal digits."""
    number = ord(sign)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def are_plain(values: Sequence[str]) -> bool:
    """Tell whether none of some values has to be cut or escaped in any way: the usual case, asked for all at once.

    JSON escapes what does not print in ASCII but DEL, quotes and backslashes: a text as long in it as before has none.
    """
    joined = f"|{'|'.join(values)}|"
    size = len(joined)
    return (
        size <= MOST_PLAIN
        and joined.isascii()
        and len(encoded(joined)) == size + 2
        and "=" not in joined
        and "'" not in joined
        and "\x7f" not in joined
        and "| " not in joined
        and " |" not in joined
    )


def cef(facts: Facts) -> str:
    """Return an event in the Common Event Format."""
    event, orig, resp = facts.event, *sides(facts)
    values: Sequence[str] = (
        facts.key, event.kind, orig, resp, facts.message, event.tenant, event.subject,
        " ".join([each.id for each in facts.techniques]), facts.rule, " ".join(event.entities), facts.title,
    )  # fmt: skip
    if not are_plain(values) or "|" in facts.title:
        values = [escaped(shown(value, MOST_MESSAGE), EXTENSION_SIGNS) for value in values[:-1]]
        values.append(escaped(shown(facts.title, MOST_TITLE), HEADER_SIGNS))
    key, kind, source, target, message, tenant, subject, techniques, rule, entities, title = values
    at = milliseconds(event.at)
    end = at if facts.last_seen == event.at else milliseconds(facts.last_seen)  # mostly the same
    return (
        f"{cef_head(facts.category[:MOST_VALUE])}{title}|{CEF_SEVERITY[facts.rank]}|externalId={key} rt={at} "
        f"start={milliseconds(facts.first_seen)} end={end} cat={kind}"
        f"{SOURCE[family(orig)] + source if orig else ''}{TARGET[family(resp)] + target if resp else ''}"
        f" msg={message} cs1Label=tenant cs1={tenant}{f' cs2Label=subject cs2={subject}' if subject else ''}"
        f"{f' cs3Label=techniques cs3={techniques}' if techniques else ''} cs4Label=rule cs4={rule}"
        f"{f' cs5Label=entities cs5={entities}' if entities else ''} cfp1Label=risk cfp1={brief(facts.risk)}"
    )


@lru_cache(1 << 10)
def cef_head(category: str) -> str:
    """Return the beginning of the header of CEF, its separators escaped."""
    return f"{CEF_HEAD}{escaped(shown(category), HEADER_SIGNS)}|"


@lru_cache(1 << 14)
def brief(risk: float) -> str:
    """Return a risk in as few digits as it has; there are but 10,001 of two decimals."""
    return f"{risk:g}"


SOURCE: Mapping[Family, str] = {
    "ipv4": " src=", "ipv6": " c6a2Label=Source IPv6 Address c6a2=", "host": " shost=", "other": " shost=",
}  # fmt: skip
TARGET: Mapping[Family, str] = {
    "ipv4": " dst=", "ipv6": " c6a3Label=Destination IPv6 Address c6a3=", "host": " dhost=", "other": " dhost=",
}  # fmt: skip
"""The name of who takes part, by what it is."""


def sides(facts: Facts) -> tuple[str, str]:
    """Return the first of those who acted, and of those who were acted upon; nothing where there is nobody."""
    return facts.orig[0] if facts.orig else "", facts.resp[0] if facts.resp else ""


def leef(facts: Facts) -> str:
    """Return an event in the Log Event Extended Format 2.0, its fields separated by tabs."""
    event, orig, resp = facts.event, *sides(facts)
    identity = event.entities[0] if event.entities else ""
    values: Sequence[str] = (
        event.kind, orig, resp, identity, facts.key, facts.title, facts.message,
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
        f"\trule={rule}\trisk={brief(facts.risk)}\tstartTime={since}\tendTime={until}"
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
    event = facts.event
    priority = FACILITY * 8 + SYSLOG_SEVERITY[facts.rank]
    values: Sequence[str] = (facts.key, event.tenant)
    if not are_plain(values) or "]" in facts.key or "]" in event.tenant:
        values = [escaped(shown(value), PARAMETER_SIGNS) for value in values]
    key, tenant = values
    head = (
        f"<{priority}>1 {timestamp(event.at)} {named(host[:255])} infraspectre - {named(event.kind[:32])} "
        f'[{ENTERPRISE} id="{key}" tenant="{tenant}"] '
    )
    return head.encode() + BOM_UTF8 + message.encode()


@lru_cache(1 << 10)
def named(name: str) -> str:
    """Return a name as the header of syslog may hold it."""
    return NO_NAME.sub("_", name) or "-"


TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?)\d*(Z|[+-]\d\d:\d\d)", re.ASCII)


def timestamp(at: str) -> str:
    """Return a time with at most microseconds, as RFC 5424 section 6.2.3 asks; - for what is none."""
    written = TIMESTAMP.fullmatch(at)
    return f"{written[1]}{written[2]}" if written else "-"


def framed(entry: bytes) -> bytes:
    """Return an entry of syslog with its length before it (RFC 6587 section 3.4.1, RFC 5425 section 4.3)."""
    return b"%d %b" % (len(entry), entry)


LINES: dict[str, Callable[[Facts], str]] = {"cef": cef, "leef": leef}
