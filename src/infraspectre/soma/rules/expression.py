"""Conditions of own rules: a small typed language over the columns of a flow, compiled to polars expressions.

What is unknown is neither true nor false: a condition on a column without a value does not hold, and neither does its
negation. A condition on a column of lists holds if one of its items fulfils it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Literal, NamedTuple

import polars as pl

from infraspectre.soma.hosts import INSIDE
from infraspectre.soma.rules.tokens import Quantity, RuleError, Token, in_unit, quantity, tokens, unquoted
from infraspectre.soma.rules.values import (
    Network,
    Scalar,
    ValueKind,
    Values,
    network,
    number_column,
    numbers,
    with_numbers,
)

DEEPEST = 64
"""Most brackets and negations around each other."""


class Kind(NamedTuple):
    """Says what a column or a part of an expression holds, and in which unit."""

    base: Literal["text", "number", "truth"]
    is_list: bool = False
    unit: str = ""

    def __str__(self) -> str:
        word = "true or false" if self.base == "truth" else f"a {self.base}"
        return f"a list of {self.base}s" if self.is_list else word


class Term(NamedTuple):
    """Is a part of an expression: what it computes, of which kind, and the quantity that a literal writes."""

    compute: pl.Expr
    kind: Kind
    literal: Quantity | None = None
    name: str | None = None
    """The column's name, if it is nothing but a column."""

    def each(self, test: Callable[[pl.Expr], pl.Expr]) -> pl.Expr:
        """Compute something of the value, or of each item of a list."""
        return self.compute.list.eval(test(pl.element())) if self.kind.is_list else test(self.compute)

    def any(self, test: Callable[[pl.Expr], pl.Expr]) -> pl.Expr:
        """Test the value, or whether an item of a list passes."""
        return self.compute.list.agg(test(pl.element()).any()) if self.kind.is_list else test(self.compute)


class Condition(NamedTuple):
    """Is a compiled condition, and the columns without which it cannot be judged."""

    compute: pl.Expr
    columns: frozenset[str]
    addresses: frozenset[str]
    """Columns of which the addresses are needed as numbers, too; see `with_numbers`."""


TRUTH = Kind("truth")
TEXT = Kind("text")
NUMBER = Kind("number")

Test = Callable[[pl.Expr, pl.Expr], pl.Expr]
COMPARISONS: dict[str, Test] = {
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}
TEXT_TESTS: dict[str, Callable[[pl.Expr, str], pl.Expr]] = {
    "contains": lambda left, text: left.str.contains(text, literal=True),
    "startswith": lambda left, text: left.str.starts_with(text),
    "endswith": lambda left, text: left.str.ends_with(text),
    "matches": lambda left, text: left.str.contains(text),
}
SUMS: dict[str, Test] = {"+": lambda left, right: left + right, "-": lambda left, right: left - right}
PRODUCTS: dict[str, Test] = {
    "*": lambda left, right: left * right,
    "/": lambda left, right: pl.when(right != 0).then(left / right),
}
WORDS = {"and", "or", "not", "in", *TEXT_TESTS}


class Function(NamedTuple):
    """Describes a function: what it takes, in words and as a test, and what it gives."""

    wanted: str
    takes: Callable[[Kind], bool]
    give: Callable[[Term], Term]


def _per_item(base: Literal["text", "number"], compute: Callable[[pl.Expr], pl.Expr]) -> Callable[[Term], Term]:
    return lambda term: Term(term.each(compute), Kind(base, term.kind.is_list))


def _as_number(compute: Callable[[pl.Expr], pl.Expr]) -> Callable[[Term], Term]:
    return lambda term: Term(compute(term.compute).cast(pl.Int64), NUMBER)


def _is_text(kind: Kind) -> bool:
    return kind.base == "text"


def _is_time(kind: Kind) -> bool:
    return kind.unit == "ns"


FUNCTIONS = {
    "inside": Function(
        "an address", _is_text, lambda term: Term(term.any(lambda field: field.str.contains(INSIDE)), TRUTH)
    ),
    "known": Function("a column", lambda kind: True, lambda term: Term(term.compute.is_not_null(), TRUTH)),
    "lower": Function("a text", _is_text, _per_item("text", lambda field: field.str.to_lowercase())),
    "length": Function("a text", _is_text, _per_item("number", lambda field: field.str.len_chars().cast(pl.Int64))),
    "items": Function("a list", lambda kind: kind.is_list, _as_number(lambda field: field.list.len())),
    "hour": Function("a time in ns", _is_time, _as_number(lambda field: field.cast(pl.Datetime("ns")).dt.hour())),
    "weekday": Function("a time in ns", _is_time, _as_number(lambda field: field.cast(pl.Datetime("ns")).dt.weekday())),
}
"""Functions of one argument; hours are those of UTC, and weekdays count from 1 for Monday (ISO 8601)."""


def condition(expression: str, columns: Mapping[str, Kind], lists: Mapping[str, Values]) -> Condition:
    """Compile a condition; raises RuleError saying what is wrong with it, where, and what to do about it."""
    parser = _Parser(expression, columns, lists)
    compute = parser.whole()
    used = sorted(parser.used)
    if not used:
        raise RuleError("names no field", "compare a field with something")
    try:  # what polars refuses, such as a wrong regular expression, it says only when it computes
        sample = pl.DataFrame({name: [_sample(columns[name])] for name in used})
        with_numbers(sample, parser.addresses).select(compute)
    except pl.exceptions.PolarsError as error:
        raise RuleError(_first_words(error)) from error
    return Condition(compute, frozenset(used), frozenset(parser.addresses))


def _first_words(error: Exception) -> str:
    """Return the sentence of an error of polars that says what is wrong, on one line."""
    return " ".join(str(error).partition("\n\nThis error")[0].split())


def _sample(kind: Kind) -> Scalar | list[Scalar]:
    item: Scalar = "" if kind.base == "text" else 0
    return [item] if kind.is_list else item


class _Parser:
    """Reads an expression from left to right by precedence: or, and, not, comparisons, sums, products."""

    def __init__(self, expression: str, columns: Mapping[str, Kind], lists: Mapping[str, Values]) -> None:
        self.used: set[str] = set()
        self.addresses: set[str] = set()
        self._columns = columns
        self._lists = lists
        self._tokens = list(tokens(expression))
        self._next = 0
        self._depth = 0

    def whole(self) -> pl.Expr:
        """Read all of it as a condition."""
        term = self._either()
        if self._peek.kind != "end":
            raise self._fault(f"expected an operator instead of {self._seen}")
        return self._truth(term)

    @property
    def _peek(self) -> Token:
        return self._tokens[self._next]

    @property
    def _seen(self) -> str:
        return "the end" if self._peek.kind == "end" else repr(self._peek.text)

    def _take(self) -> Token:
        token = self._peek
        self._next += token.kind != "end"
        return token

    def _accept(self, *texts: str) -> str | None:
        """Take the next word if it is one of these."""
        token = self._peek
        return self._take().text if token.kind in ("name", "sign") and token.text in texts else None

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            raise self._fault(f"expected {text!r} instead of {self._seen}")

    def _fault(self, problem: str, remedy: str | None = None, at: Token | None = None) -> RuleError:
        return RuleError(f"at character {(at or self._peek).place}: {problem}", remedy)

    def _truth(self, term: Term) -> pl.Expr:
        if term.kind != TRUTH:
            raise self._fault(f"expected a condition instead of {term.kind}", "compare it with something")
        return term.compute

    def _either(self) -> Term:
        term = self._both()
        while self._accept("or"):
            term = Term(self._truth(term) | self._truth(self._both()), TRUTH)
        return term

    def _both(self) -> Term:
        term = self._negation()
        while self._accept("and"):
            term = Term(self._truth(term) & self._truth(self._negation()), TRUTH)
        return term

    def _negation(self) -> Term:
        if not self._accept("not"):
            return self._comparison()
        return Term(~self._truth(self._nested(self._negation)), TRUTH)

    def _nested(self, read: Callable[[], Term]) -> Term:
        """Read something inside something else, not too deep."""
        if self._depth >= DEEPEST:
            raise self._fault(f"is nested deeper than {DEEPEST} levels", "split it into several rules")
        self._depth += 1
        term = read()
        self._depth -= 1
        return term

    def _comparison(self) -> Term:
        left = self._sum()
        if sign := self._accept(*COMPARISONS):
            return self._compared(left, sign)
        if test := self._accept(*TEXT_TESTS):
            return self._tested(left, test)
        if self._accept("in"):
            return Term(self._contained(left), TRUTH)
        if self._accept("not"):
            self._expect("in")
            return Term(~self._contained(left), TRUTH)
        return left

    def _compared(self, left: Term, sign: str) -> Term:
        right = self._sum()
        if TRUTH in (left.kind, right.kind) or left.kind.base != right.kind.base:
            raise self._fault(f"{left.kind} cannot be compared with {right.kind}")
        if right.kind.is_list or (left.kind.is_list and right.compute.meta.root_names()):
            raise self._fault("a list can only be compared with a literal", "write the list on the left of the sign")
        left, right = self._aligned(left, right)
        return Term(left.any(lambda field: COMPARISONS[sign](field, right.compute)), TRUTH)

    def _tested(self, left: Term, test: str) -> Term:
        values = self._values(left)
        if values.kind != "text" or left.kind.base != "text":
            raise self._fault(f"{test!r} tests a text with texts, not {left.kind} with {values.kind}s")
        texts = [str(item) for item in values.items]
        return Term(left.any(lambda field: pl.any_horizontal(TEXT_TESTS[test](field, text) for text in texts)), TRUTH)

    def _contained(self, left: Term) -> pl.Expr:
        values = self._values(left)
        base = "number" if values.kind == "number" else "text"
        if left.kind.base != base:
            raise self._fault(f"{left.kind} is never one of these {values.kind}s")
        if values.kind != "network":
            return left.any(values.hold)
        if left.name and not left.kind.is_list:
            self.addresses.add(left.name)
            return values.hold(pl.col(number_column(left.name)))
        return left.any(lambda field: values.hold(field.map_batches(numbers, return_dtype=pl.UInt128)))

    def _values(self, left: Term) -> Values:
        """Read what is compared with the left side: a literal, several in brackets, or the name of a list."""
        token = self._peek
        if token.kind == "name":
            if token.text not in self._lists:
                raise self._fault(f"there is no list {token.text!r}", _likely(token.text, self._lists))
            return self._lists[self._take().text]
        if not self._accept("["):
            return Values(*self._literals(left, "number", "text", "network"))
        kind, items = self._literals(left, "number", "text", "network")
        while self._accept(","):
            items += self._literals(left, kind)[1]
        self._expect("]")
        return Values(kind, items)

    def _literals(self, left: Term, *wanted: ValueKind) -> tuple[ValueKind, tuple[Scalar | Network, ...]]:
        """Read one literal of the kinds wanted."""
        for kind in wanted:
            if self._peek.kind == kind:
                return kind, (self._literal(self._take(), left),)
        raise self._fault(f"expected a {' or a '.join(wanted)} instead of {self._seen}")

    def _literal(self, token: Token, left: Term) -> Scalar | Network:
        if token.kind == "number":
            return self._in_unit(quantity(token.text), left.kind.unit)
        return unquoted(token.text) if token.kind == "text" else network(token.text)

    def _in_unit(self, literal: Quantity, unit: str) -> int | float:
        try:
            return in_unit(literal, unit)
        except RuleError as error:
            raise self._fault(error.problem) from error

    def _aligned(self, left: Term, right: Term) -> tuple[Term, Term]:
        """Bring a literal into the unit of the other side; refuse two fields of different units."""
        if right.literal:
            value = pl.lit(self._in_unit(right.literal, left.kind.unit))
            return left, Term(value, left.kind._replace(is_list=False))
        if left.literal:
            return self._aligned(right, left)[::-1]
        if left.kind.unit != right.kind.unit and left.kind.unit and right.kind.unit:
            raise self._fault(f"a field in {left.kind.unit} and one in {right.kind.unit} have no common unit")
        return left, right

    def _sum(self) -> Term:
        term = self._product()
        while sign := self._accept(*SUMS):
            left, right = self._aligned(self._figure(term), self._figure(self._product()))
            term = Term(SUMS[sign](left.compute, right.compute), left.kind)
        return term

    def _product(self) -> Term:
        term = self._atom()
        while sign := self._accept(*PRODUCTS):
            left, right = self._figure(term), self._figure(self._atom())
            unit = left.kind.unit if right.literal else right.kind.unit if left.literal and sign == "*" else ""
            term = Term(PRODUCTS[sign](left.compute, right.compute), Kind("number", unit=unit))
        return term

    def _figure(self, term: Term) -> Term:
        """Return a number that can be reckoned with: unsigned columns must not wrap below zero."""
        if term.kind.base != "number" or term.kind.is_list:
            raise self._fault(f"{term.kind} cannot be reckoned with")
        return term._replace(compute=term.compute.cast(pl.Float64))

    def _atom(self) -> Term:
        token = self._take()
        match token.kind:
            case "number":
                literal = quantity(token.text)
                return Term(pl.lit(literal.value), NUMBER, literal)
            case "text":
                return Term(pl.lit(unquoted(token.text)), TEXT)
            case "network":
                return self._address(token)
            case "name" if token.text not in WORDS:
                return self._call(token) if self._accept("(") else self._column(token)
            case "sign" if token.text == "(":
                return self._closed()
            case "sign" if token.text == "-":
                value = self._figure(self._nested(self._atom))
                return value._replace(compute=-value.compute, literal=value.literal and _negated(value.literal))
        self._next -= token.kind != "end"
        raise self._fault(f"expected a field or a value instead of {self._seen}")

    def _closed(self) -> Term:
        """Read up to the bracket that closes."""
        term = self._nested(self._either)
        self._expect(")")
        return term

    def _address(self, token: Token) -> Term:
        found = network(token.text)
        if found.num_addresses > 1:
            raise self._fault(f"{token.text} is a network", "write 'in' instead of a comparison", token)
        return Term(pl.lit(str(found.network_address)), TEXT)

    def _column(self, token: Token) -> Term:
        if token.text not in self._columns:
            raise self._fault(f"there is no field {token.text!r}", _likely(token.text, self._columns), token)
        self.used.add(token.text)
        return Term(pl.col(token.text), self._columns[token.text], name=token.text)

    def _call(self, token: Token) -> Term:
        if token.text not in FUNCTIONS:
            raise self._fault(f"there is no function {token.text!r}", f"there are {', '.join(FUNCTIONS)}", token)
        function, argument = FUNCTIONS[token.text], self._closed()
        if not function.takes(argument.kind):
            raise self._fault(f"{token.text}() takes {function.wanted} instead of {argument.kind}")
        return function.give(argument)


def _negated(literal: Quantity) -> Quantity:
    return literal._replace(value=-literal.value)


def _likely(name: str, known: Iterable[str]) -> str | None:
    """Ask whether the most similar of the known names was meant."""
    return next((f"did you mean {match}?" for match in get_close_matches(name, known, n=1)), None)
