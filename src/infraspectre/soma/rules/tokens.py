"""The words of an own rule's expressions: names, quantities with units, texts, networks and signs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from infraspectre.records.times import UNITS

LONGEST = 10_000
"""Most characters of an expression."""
BYTES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
"""Bytes in each unit of size: decimal ones, and binary ones (IEC 80000-13)."""

TokenKind = Literal["name", "number", "text", "network", "sign", "end"]
Dimension = Literal["", "time", "bytes"]

PATTERN = re.compile(
    r"""\s*(?:
    (?P<text>"(?:[^"\\]|\\.)*"|'[^']*')
    |(?P<network>(?:\d{1,3}\.){3}\d{1,3}(?:/\d+)?(?![\w.])|(?:[0-9A-Fa-f]{0,4}:){2,8}[0-9A-Fa-f.]*(?:/\d+)?)
    |(?P<number>0x[0-9A-Fa-f]+|\d[\d_]*(?:\.\d+)?[A-Za-z]*)
    |(?P<name>[A-Za-z_]\w*)
    |(?P<sign>==|!=|<=|>=|[<>()\[\],+*/-])
    |(?P<end>\Z)
    )""",
    re.VERBOSE | re.ASCII,
)


class RuleError(ValueError):
    """Says what is wrong with an expression, and what to do about it."""

    def __init__(self, problem: str, remedy: str | None = None) -> None:
        """Describe the problem and its remedy."""
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy


class Token(NamedTuple):
    """Is one word of an expression, with its place, from 1."""

    kind: TokenKind
    text: str
    place: int


class Quantity(NamedTuple):
    """Is a number in the smallest unit of its dimension: nanoseconds or bytes; one without a unit has none."""

    value: int | float
    dimension: Dimension = ""


def tokens(expression: str) -> Iterator[Token]:
    """Yield the words of an expression and then its end; raises RuleError at a sign that begins none."""
    if len(expression) > LONGEST:
        raise RuleError(f"is longer than {LONGEST:,} characters", "split it into several rules")
    place = 0
    while True:
        found = PATTERN.match(expression, place)
        if found is None:
            rest = expression[place:].lstrip()
            raise RuleError(
                f"cannot be read at character {len(expression) - len(rest) + 1}: {rest[:20]!r}", _hint(rest)
            )
        kind: TokenKind = found.lastgroup  # type: ignore[assignment]  # every alternative is a named kind
        yield Token(kind, found[kind], found.start(kind) + 1)
        if kind == "end":
            return
        place = found.end()


def _hint(rest: str) -> str | None:
    if rest[:1] in "\"'":
        return "close the text with the same quotation mark"
    return "write == for equality" if rest.startswith("=") else None


def unquoted(token: str) -> str:
    r"""Return the text between quotation marks; in double ones \" and \\ stand for " and \, in single ones nothing."""
    inner = token[1:-1]
    return re.sub(r'\\(["\\])', r"\1", inner) if token[0] == '"' else inner


def quantity(text: str) -> Quantity:
    """Read a number with or without a unit, such as 1_000, 2.5, 5m or 10MB; raises RuleError if it is none."""
    if re.fullmatch(r"0x[0-9A-Fa-f]+", text):
        return Quantity(int(text, 16))
    found = re.fullmatch(r"(\d[\d_]*(?:\.\d+)?)([A-Za-z]*)", text)
    if found is None:
        raise RuleError(f"{text!r} is no number")
    figure, unit = found[1].replace("_", ""), found[2]
    number = float(figure) if "." in figure else int(figure)
    if not unit:
        return Quantity(number)
    if unit in UNITS:
        return Quantity(number * UNITS[unit], "time")
    if unit in BYTES:
        return Quantity(number * BYTES[unit], "bytes")
    raise RuleError(f"unknown unit {unit!r} in {text!r}", f"there are {', '.join([*UNITS, *BYTES])}")


def in_unit(amount: Quantity, unit: str) -> int | float:
    """Return a quantity in the unit of a field; raises RuleError if the field is of another dimension."""
    if amount.dimension == "time" and unit in UNITS:
        value = amount.value / UNITS[unit]
        return int(value) if value.is_integer() else value
    if amount.dimension == "time" or (amount.dimension == "bytes" and unit not in ("bytes", "bytes/s")):
        raise RuleError(f"a unit of {amount.dimension} stands beside a field in {unit or 'plain numbers'}")
    return amount.value
