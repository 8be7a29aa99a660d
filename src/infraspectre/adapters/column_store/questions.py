"""Questions as SQL for DuckDB; values are always parameters."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from infraspectre.errors import InputError
from infraspectre.records.queries import Filter, Kind, Order, Query, Value
from infraspectre.records.tables import ADDRESS, Table

TYPES: dict[Kind, str] = {"text": "VARCHAR", "integer": "BIGINT", "real": "DOUBLE", "texts": "VARCHAR[]"}


class Piece(NamedTuple):
    """Is a piece of SQL with its parameters."""

    text: str
    parameters: tuple[Any, ...] = ()


class Place(NamedTuple):
    """Is where a page ended: the value that sorts, and the key."""

    value: Value | None
    key: Value


def joined(separator: str, pieces: Sequence[Piece]) -> Piece:
    """Return pieces as one."""
    return Piece(separator.join(each.text for each in pieces), tuple(one for each in pieces for one in each.parameters))


@dataclass(frozen=True)
class Question:
    """Asks for rows of a table that pass filters, in an order, from a place on."""

    table: Table
    filters: tuple[Filter, ...]
    order: Order
    after: Place | None
    bound: Value | None = None
    """A value of what sorts, behind which no row of the page lies."""
    shown: tuple[str, ...] = ()
    """Columns of lists that a page shows, if it shows no others."""

    @classmethod
    def of(cls, table: Table, query: Query) -> Question:
        """Read a query; the newest rows come first unless it says otherwise. Raises InputError."""
        order = query.order or Order(table.at, descending=True)
        for each in query.filters:
            checked(each, table)
        if table.fields.get(order.field) in (None, "texts"):
            raise InputError("cannot be sorted by", field=order.field[:64])
        return cls(table, query.filters, order, None if query.after is None else place_of(query.after, order, table))

    @property
    def names(self) -> set[str]:
        """Return the columns that the question reads."""
        asked = {each.field for each in self.filters} | {self.order.field, self.table.key, self.table.at}
        return (asked - {ADDRESS}) | set(self.table.addresses if ADDRESS in asked else ())

    def where(self, present: Collection[str]) -> Piece:
        """Return the condition of all filters and of the place, over columns that there are."""
        pieces = [self.condition(each, present) for each in self.filters]
        if self.after is not None:
            pieces.append(self.behind(self.after, present))
        if self.bound is not None:
            name = self.column(self.order.field, present)
            text = f"{name} >= ?" if self.order.descending else f"({name} <= ? OR {name} IS NULL)"
            pieces.append(Piece(text, (self.bound,)))
        return joined(" AND ", pieces or [Piece("TRUE")])

    def sort(self, present: Collection[str]) -> str:
        """Return the order of rows; those without a value come first, or last where the highest do."""
        way = "DESC NULLS LAST" if self.order.descending else "ASC NULLS FIRST"
        return f"{self.column(self.order.field, present)} {way}, {quoted(self.table.key)} {way}"

    def behind(self, place: Place, present: Collection[str]) -> Piece:
        """Return the condition of rows behind a place."""
        name, key = self.column(self.order.field, present), quoted(self.table.key)
        sign = "<" if self.order.descending else ">"
        if place.value is None:
            rest = "" if self.order.descending else f" OR {name} IS NOT NULL"
            return Piece(f"(({name} IS NULL AND {key} {sign} ?){rest})", (place.key,))
        rest = f" OR {name} IS NULL" if self.order.descending else ""
        parameters = (place.value, place.value, place.value, place.key)
        return Piece(f"(({name} {sign}= ? AND ({name} {sign} ? OR ({name} = ? AND {key} {sign} ?))){rest})", parameters)

    def condition(self, asked: Filter, present: Collection[str]) -> Piece:
        """Return the condition of a filter."""
        if asked.field == ADDRESS:
            some = asked._replace(operator="=") if asked.operator == "!=" else asked
            either = joined(" OR ", [self.text(self.column(each, present), some) for each in self.table.addresses])
            return Piece(f"{'NOT ' if asked.operator == '!=' else ''}coalesce({either.text}, false)", either.parameters)
        name = self.column(asked.field, present)
        match self.table.fields[asked.field]:
            case "texts":
                return among(name, asked)
            case "text":
                return self.text(name, asked)
            case _:
                return equal(name, asked) if asked.operator in ("=", "!=") else comparison(name, asked)

    @staticmethod
    def text(name: str, asked: Filter) -> Piece:
        """Return the condition of a text, which is empty where it is missing; `=` stays one that files can answer."""
        return equal(name, asked) if asked.operator == "=" else comparison(f"coalesce({name}, '')", asked)

    def column(self, name: str, present: Collection[str]) -> str:
        """Return a column as SQL; one that no file has is null."""
        return quoted(name) if name in present else typed_null(self.table, name)


def typed_null(table: Table, name: str) -> str:
    """Return a column without values as SQL."""
    return f"NULL::{TYPES[table.fields[name]]}"


def checked(asked: Filter, table: Table) -> None:
    """Raise InputError for a filter that the table cannot answer."""
    kind = table.fields.get(asked.field)
    types = {"integer": (int,), "real": (int, float)}.get(kind or "", (str,))
    if kind is None or not asked.values or (kind == "texts" and asked.operator not in ("=", "!=", "~", "^")):
        raise InputError(f"cannot be asked for by {asked.operator}", field=asked.field[:64])
    for value in asked.values:
        if not isinstance(value, types) or (isinstance(value, int) and not -(2**63) <= value < 2**63):
            raise InputError(f"is no value of it: {str(value)[:40]}", field=asked.field[:64])


def quoted(name: str) -> str:
    """Return a name as SQL."""
    return '"' + name.replace('"', '""') + '"'


def equal(name: str, asked: Filter) -> Piece:
    """Return the condition that a column has one of some values, or none of them; what is null has none."""
    marks = ", ".join("?" * len(asked.values))
    if asked.operator == "=":
        empty = f" OR {name} IS NULL" if "" in asked.values else ""
        return Piece(f"({name} IN ({marks}){empty})", asked.values)
    return Piece(f"({name} IS NULL OR {name} NOT IN ({marks}))", asked.values)


def comparison(name: str, asked: Filter) -> Piece:
    """Return the comparison of a column."""
    match asked.operator:
        case "=" | "!=":
            word = "IN" if asked.operator == "=" else "NOT IN"
            return Piece(f"{name} {word} ({', '.join('?' * len(asked.values))})", asked.values)
        case "~":
            return Piece(f"contains(lower({name}), ?)", (str(asked.values[0]).lower(),))
        case "^":
            return Piece(f"starts_with({name}, ?)", asked.values)
        case _:
            return Piece(f"{name} {asked.operator} ?", asked.values)


def among(name: str, asked: Filter) -> Piece:
    """Return the condition that one of a list of texts fits, or that none is equal."""
    some = asked._replace(operator="=") if asked.operator == "!=" else asked
    fits = comparison("x", some)
    found = Piece(f"len(list_filter(coalesce({name}, []), lambda x: {fits.text})) > 0", fits.parameters)
    return Piece(f"NOT ({found.text})", found.parameters) if asked.operator == "!=" else found


def written(place: Place, order: Order) -> str:
    """Return a place as text that a page can be asked for by."""
    data = msgspec.json.encode((order.field, order.descending, place.value, place.key))
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def place_of(text: str, order: Order, table: Table) -> Place:
    """Read a place; raises InputError for one that was not written for this order."""
    problem = InputError("is no place in this order", field="after", remedy="give the `next` of the page before")
    try:
        data = base64.b64decode(text[:4_096].encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        read = msgspec.json.decode(data, type=tuple[str, bool, Value | None, str | int])
    except (binascii.Error, UnicodeEncodeError, msgspec.DecodeError) as error:
        raise problem from error
    place = Place(*read[2:])
    is_sound = place.value is None or is_value(place.value, table.fields[order.field])
    if read[:2] != (order.field, order.descending) or not is_sound or not is_value(place.key, table.fields[table.key]):
        raise problem
    return place


def is_value(value: Value, kind: Kind) -> bool:
    """Tell whether a column of a kind may hold a value: what others wrote must not look like a damaged file."""
    if kind == "integer":
        return isinstance(value, int) and -(2**63) <= value < 2**64
    return isinstance(value, int | float if kind == "real" else str)
