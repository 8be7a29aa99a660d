"""Fields and values of rules as tests: wildcards, escapes and modifiers.

Source: Sigma Rules Specification 2.0, sections Detection and Escaping; Sigma Modifiers Appendix 2.1.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from ipaddress import ip_network
from itertools import product
from typing import Any, get_args

import polars as pl

from infraspectre.errors import InputError
from infraspectre.soma.sigma.rule import (
    BORDER,
    END,
    START,
    Compare,
    Every,
    Not,
    Operator,
    Part,
    Pattern,
    Present,
    Reference,
    Some,
    Test,
    Text,
    Within,
)

Placeholders = Mapping[str, Sequence[str]]
"""The values that stand for %name% in rules."""

MAX_ALTERNATIVES = 4_096
"""Most texts that modifiers may make of one value."""

DASHES = "-/\u2013\u2014\u2015"
FLAG = re.compile(rf"\B[{DASHES}]\b")
"""What windash varies: a dash or slash that begins a flag of a command line."""
PLACEHOLDER = re.compile(r"(?<!\\)%([^%\\]+)%")
REWRITES = ("expand", "windash")
FLAGS = ("i", "m", "s")
PLACES = ("contains", "startswith", "endswith")
KINDS = (*PLACES, "re", "cidr", "exists", "fieldref")
OPERATORS: tuple[Operator, ...] = ("lt", "lte", "gt", "gte")
PARTS: tuple[Part, ...] = get_args(Part)


class Wildcard(str):
    """Stands for any characters, or for one, within a text."""

    __slots__ = ()


class Octets(str):
    """Holds bytes as the characters of the same numbers."""

    __slots__ = ()


MANY, SINGLE = Wildcard("*"), Wildcard("?")
Glob = tuple[str, ...]
"""Literal texts and wildcards in order."""


def glob(text: str) -> Glob:
    """Split a value at its wildcards; a backslash takes the meaning from the wildcard or backslash after it."""
    pieces: list[str] = [""]
    signs = iter(re.findall(r"\\[\\*?]|.", text, re.DOTALL))
    for sign in signs:
        if sign in "*?":
            pieces += [MANY if sign == "*" else SINGLE, ""]
        else:
            pieces[-1] += sign[-1]
    return tuple(piece for piece in pieces if piece)


class Key:
    """Holds a field and its modifiers, sorted by what they do."""

    def __init__(self, key: str) -> None:
        """Read a key such as `Image|endswith`; raises InputError for modifiers that do not exist or fit."""
        name, *modifiers = key.split("|")
        self.field = name or None
        self.transformations = [name for name in modifiers if name in (*REWRITES, *ENCODINGS)]
        self.is_every, self.is_not, self.is_cased = ("all" in modifiers, "neq" in modifiers, "cased" in modifiers)
        self.part = self._only(modifiers, PARTS)
        self.operator = self._only(modifiers, OPERATORS)
        kinds = [name for name in modifiers if name in KINDS]
        self.is_reference = "fieldref" in kinds
        self.kind = self._only([name for name in kinds if name != "fieldref"], KINDS)
        self.flags = "".join(name for name in modifiers if name in FLAGS)
        self._check(modifiers)

    @staticmethod
    def _only(modifiers: Iterable[str], known: Sequence[Any]) -> Any:
        found = [name for name in modifiers if name in known]
        if len(found) > 1:
            raise InputError(f"modifiers {' and '.join(found)} exclude one another", remedy="use one of them")
        return found[0] if found else None

    def _check(self, modifiers: list[str]) -> None:
        known = {*KINDS, *OPERATORS, *PARTS, *FLAGS, *REWRITES, *ENCODINGS, "all", "neq", "cased"}
        if unknown := [name for name in modifiers if name not in known]:
            raise InputError(f"there is no modifier {unknown[0]!r}", remedy=f"there are {', '.join(sorted(known))}")
        if self.flags and self.kind != "re":
            raise InputError(f"{self.flags[0]!r} is a flag of regular expressions", remedy="write |re before it")
        if self.is_reference and self.kind not in (None, *PLACES):
            raise InputError(f"fieldref does not go with {self.kind}", remedy="compare whole fields, or parts of them")
        if (self.operator or self.part) and (self.kind or self.is_reference or self.transformations):
            raise InputError("numbers and times are not compared as texts", remedy="remove the other modifier")
        if self.field is None and (self.kind not in (None, "contains", "re") or self.operator or self.part):
            raise InputError("keywords have no field to look at", remedy="name a field before the modifier")


def item(key: str, value: Any, placeholders: Placeholders) -> Test:
    """Return the test for a field, its modifiers and its value or list of values."""
    asked = Key(key)
    values = value if isinstance(value, list) else [value]
    if not values:
        raise InputError("has no value", remedy="write null for a field that is absent")
    tests = [one(asked, each, placeholders) for each in values]
    joined = every(tests) if asked.is_every else some(tests)
    return Not(joined) if asked.is_not else joined


def every(tests: Sequence[Test]) -> Test:
    """Join tests that must all hold."""
    return tests[0] if len(tests) == 1 else Every(tuple(tests))


def some(tests: Sequence[Test]) -> Test:
    """Join tests of which one must hold; texts of one field become one test."""
    merged: dict[Any, Test] = {}
    for test in tests:
        place = (test.field, test.cased) if isinstance(test, Text) else test
        before = merged.get(place)
        if isinstance(test, Text) and isinstance(before, Text):
            test = Text(test.field, before.texts | test.texts, test.cased)
        merged[place] = test
    return next(iter(merged.values())) if len(merged) == 1 else Some(tuple(merged.values()))


def one(key: Key, value: Any, placeholders: Placeholders) -> Test:
    """Return the test for one value."""
    if isinstance(value, list | dict):
        raise InputError("is not a value", remedy="write a text, a number, true, false or null")
    if key.kind == "exists":
        return Present(key.field) if truth(value) else Not(Present(key.field))
    if value is None:
        return Not(Present(key.field))
    if key.operator or key.part:
        return Compare(key.field, key.operator or "eq", number(value), key.part)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if key.is_reference:
        return reference(key, text)
    raw = expanded(text, placeholders) if "expand" in key.transformations else [text]
    if key.kind == "re":
        return some([Pattern(key.field, regex(each, key.flags)) for each in raw])
    if key.kind == "cidr":
        return some([Within(key.field, network(each)) for each in raw])
    globs = transformed(raw, key.transformations)
    return some([located(key, each) for each in globs])


def truth(value: Any) -> bool:
    """Return a truth value; raises InputError for what is none."""
    if str(value).lower() not in ("true", "false", "yes", "no"):
        raise InputError(f"{value!r} is neither true nor false", remedy="write true or false")
    return str(value).lower() in ("true", "yes")


def number(value: Any) -> float:
    """Return a number; raises InputError for what is none."""
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"{value!r} is not a number", remedy="compare texts without this modifier") from error


def reference(key: Key, other: str) -> Reference:
    """Return the test that compares a field with another one."""
    if key.field is None:
        raise InputError("fieldref compares two fields", remedy="name the first one")
    is_whole = key.kind is None
    return Reference(
        key.field, other, is_whole or key.kind == "startswith", is_whole or key.kind == "endswith", key.is_cased
    )


def regex(text: str, flags: str) -> str:
    """Return a regular expression with its flags; raises InputError for one that cannot run in linear time."""
    pattern = f"(?{flags}){text}" if flags else text
    try:
        pl.Series([""]).str.contains(pattern)
    except pl.exceptions.ComputeError as error:
        reason = next((line for line in str(error).splitlines() if line.startswith("error: ")), "error: not valid")
        problem = f"is not a regular expression that can be used: {reason.removeprefix('error: ')}"
        raise InputError(problem, remedy="write it without look-around and back-references") from error
    return pattern


def network(text: str) -> str:
    """Return a network in CIDR notation; raises InputError for what is none."""
    try:
        return str(ip_network(text, strict=False))
    except ValueError as error:
        raise InputError(f"{text!r} is not a network", remedy="write it as 10.0.0.0/8 or 2001:db8::/32") from error


def expanded(text: str, placeholders: Placeholders) -> list[str]:
    """Return a text with the values of its placeholders; raises InputError for one without values."""
    names = PLACEHOLDER.findall(text)
    for name in names:
        if not placeholders.get(name):
            raise InputError(f"the placeholder %{name}% has no values", remedy="give its values, or remove the rule")
    between = re.split(PLACEHOLDER, text)[::2]
    choices = bounded(product(*(placeholders[name] for name in names)))
    return ["".join(part for pair in zip(between, [*chosen, ""], strict=True) for part in pair) for chosen in choices]


def bounded(choices: Iterable[Any]) -> list[Any]:
    """Return choices as a list; raises InputError when there are too many."""
    found: list[Any] = []
    for choice in choices:
        if len(found) == MAX_ALTERNATIVES:
            raise InputError(f"stands for more than {MAX_ALTERNATIVES:,} texts", remedy="split the value")
        found.append(choice)
    return found


def windash(text: str) -> Iterator[str]:
    """Write the dashes of flags in each of the ways that Windows accepts."""
    between = FLAG.split(text)
    for dashes in product(DASHES, repeat=len(between) - 1):
        yield "".join(part for pair in zip(between, [*dashes, ""], strict=True) for part in pair)


def encoded(pieces: Glob, encode: Callable[[str], Iterable[str]]) -> Iterator[Glob]:
    """Encode a text without wildcards."""
    if any(isinstance(piece, Wildcard) for piece in pieces):
        raise InputError("a value with wildcards cannot be encoded", remedy="remove them, or escape them with \\")
    for text in encode(pieces[0] if len(pieces) == 1 else "".join(pieces)):
        yield (text,)


def base64_of(text: str) -> list[str]:
    """Encode bytes in Base64 (RFC 4648)."""
    return [base64.b64encode(octets(text)).decode()]


def base64_offsets(text: str) -> list[str]:
    """Return what is the same in every Base64 text that holds some bytes, for each of the three ways to begin."""
    data = octets(text)
    found = []
    for shift in range(3):
        # A character of Base64 holds six bits: those that also hold bits of what is before or after are left out.
        first, after = -(-shift * 8 // 6), (shift + len(data)) * 8 // 6
        found.append(base64.b64encode(bytes(shift) + data).decode()[first:after])
    return found


def octets(text: str) -> bytes:
    """Return the bytes that a text stands for: those of an encoding before, else UTF-8."""
    return text.encode("latin-1") if isinstance(text, Octets) else text.encode()


def utf16(text: str, codec: str, mark: bytes = b"") -> list[str]:
    """Encode in UTF-16, as bytes of which each is a character."""
    return [Octets((mark + text.encode(codec)).decode("latin-1"))]


ENCODINGS: dict[str, Callable[[str], Iterable[str]]] = {
    "wide": partial(utf16, codec="utf-16-le"),
    "utf16le": partial(utf16, codec="utf-16-le"),
    "utf16be": partial(utf16, codec="utf-16-be"),
    "utf16": partial(utf16, codec="utf-16-le", mark=b"\xff\xfe"),
    "base64": base64_of,
    "base64offset": base64_offsets,
}


def transformed(raw: list[str], names: list[str]) -> list[Glob]:
    """Apply modifiers in their order."""
    texts = bounded(text for each in raw for text in windash(each)) if "windash" in names else raw
    globs = [glob(text) for text in texts]
    for name in names:
        if name in ENCODINGS:
            globs = bounded(new for pieces in globs for new in encoded(pieces, ENCODINGS[name]))
    return globs


def located(key: Key, pieces: Glob) -> Test:
    """Return the test for a text with wildcards at the place that the modifiers name."""
    anywhere = key.kind == "contains" or key.field is None
    before = [MANY] if anywhere or key.kind == "endswith" else []
    after = [MANY] if anywhere or key.kind == "startswith" else []
    return wildcard(key.field, [*before, *pieces, *after], key.is_cased)


def wildcard(field: str | None, pieces: list[str], is_cased: bool) -> Test:
    """Return the test for a whole value with wildcards."""
    first = next((n for n, piece in enumerate(pieces) if piece is not MANY), len(pieces))
    last = next((n for n, piece in enumerate(reversed(pieces)) if piece is not MANY), 0)
    inner = pieces[first : len(pieces) - last]
    if not inner and pieces:
        return Present(field)
    start, end = ("" if first else START), ("" if last else END)
    if not any(isinstance(piece, Wildcard) for piece in inner):
        text = "".join(inner)
        return Text(field, frozenset([start + (text if is_cased else text.lower()) + end]), is_cased)
    return with_wildcards(field, inner, (start, end), is_cased)


def with_wildcards(field: str | None, pieces: list[str], ends: tuple[str, str], is_cased: bool) -> Test:
    """Return the test for a text with wildcards inside: its longest literal part is searched first."""
    sign = "." if field else f"[^{BORDER}]"
    symbols = {MANY: f"{sign}*", SINGLE: sign}
    body = "".join(symbols[piece] if isinstance(piece, Wildcard) else re.escape(piece) for piece in pieces)
    pattern = f"(?s{'' if is_cased else 'i'}){'^' if ends[0] else ''}{body}{'$' if ends[1] else ''}"
    longest = max((piece for piece in pieces if not isinstance(piece, Wildcard)), key=len, default="")
    found = Pattern(field, pattern)
    needed = Text(field, frozenset([longest if is_cased else longest.lower()]), is_cased)
    return Every((needed, found)) if longest else found
