"""Questions as SQL; values are always parameters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

from infraspectre.adapters.record_store.database import Dialect
from infraspectre.adapters.record_store.layout import Layout, column
from infraspectre.adapters.record_store.rows import LISTED, WHOLE, marks
from infraspectre.records.queries import LEAST, NUMBERS, Filter, Operator, Order, Value

SPANS: tuple[Operator, ...] = ("=", "<", "<=", ">", ">=", "^")
"""What an index answers by going to where the values stand."""


class Part(NamedTuple):
    """Is a piece of SQL with its parameters."""

    text: str
    parameters: tuple[Any, ...] = ()


class Way(NamedTuple):
    """Says by what rows are found, where we choose: an index, the texts of lists, identities, or all of the tenant."""

    through: str | None = None
    """The name of an index."""
    lists: str | None = None
    """The field whose texts are looked up."""
    identities: str | None = None
    """Identities, as a list in JSON."""


@dataclass(frozen=True)
class Question:
    """Asks for the rows of a tenant that pass filters, in an order, from a place on."""

    layout: Layout
    dialect: Dialect
    tenant: int
    filters: tuple[Filter, ...] = ()
    order: Order | None = None
    after: tuple[Value, int] | None = None
    is_listed: bool = False
    """Whether of each row there shall be the part that lists show, where there is one."""

    @cached_property
    def drivers(self) -> list[str]:
        """Return the fields by whose index rows can be found."""
        return list(dict.fromkeys(each.field for each in self.filters if each.operator in SPANS))

    @property
    def is_covered(self) -> bool:
        """Tell whether indexes of frequent fields hold all that is asked for."""
        asked = {each.field for each in self.filters} | {self.order.field if self.order is not None else ""}
        return asked <= set(self.layout.frequent)

    @property
    def is_of_one_value(self) -> bool:
        """Tell whether all that is asked for is that one field, or one text of a list, be equal to a value."""
        return len(self.filters) == 1 and self.filters[0].operator == "=" and len(self.filters[0].values) == 1

    def way_by(self, name: str) -> Way:
        """Return the way by the filters of a field."""
        return Way(lists=name) if self.layout.fields[name] == "texts" else Way(self.layout.index_name(name))

    def page(self, limit: int, way: Way | None = None) -> Part:
        """Return the statement for the rows of a page, whole or as lists show them."""
        down = " DESC" if self.order is not None and self.order.descending else ""
        place, identity, where = self._place(way), self._bound("f.id", way), self._where(way)
        return Part(
            f"SELECT p.place, {self._shown} FROM (SELECT f.id, {place} AS place FROM {self._source(way)} "
            f"WHERE {where.text} ORDER BY {place}{down}, {identity}{down} LIMIT ?) p "
            f"LEFT JOIN {self.layout.records} r ON r.id = p.id {self._beside}ORDER BY p.place{down}, p.id{down}",
            (*where.parameters, limit),
        )

    def count(self, most: int, way: Way | None = None) -> Part:
        """Return the statement that counts rows up to a number."""
        where = self._where(way)
        inner = f"SELECT 1 FROM {self._source(way)} WHERE {where.text} LIMIT ?"
        return Part(f"SELECT count(*) FROM ({inner}) c", (*where.parameters, most))

    def count_by(self, name: str, most: int) -> Part:
        """Return the statement that counts, by its index alone, the rows that pass the filters of a field."""
        mine = tuple(each for each in self.filters if each.field == name and each.operator in SPANS)
        if self.layout.fields[name] != "texts":
            return replace(self, filters=mine, order=None, after=None).count(most, self.way_by(name))
        among = self._among(mine[0])
        return Part(f"SELECT count(*) FROM (SELECT 1 {among.text} LIMIT ?) c", (*among.parameters, most))

    def identities(self, asked: Filter, most: int) -> Part:
        """Return the statement for the identities of rows that pass one filter of a column, by reading its index."""
        way = self.way_by(asked.field)
        where = replace(self, filters=(asked,), order=None, after=None)._where(way)
        return Part(f"SELECT f.id FROM {self._source(way)} WHERE {where.text} LIMIT ?", (*where.parameters, most))

    @property
    def _shown(self) -> str:
        return LISTED if self.is_listed else WHOLE

    @property
    def _beside(self) -> str:
        if not self.is_listed:
            return ""
        same = " AND ".join(f"l.{name} = r.{name}" for name in ("id", "revision", "changed_at"))
        return f"LEFT JOIN {self.layout.listed} l ON {same} "

    def _source(self, way: Way | None) -> str:
        by = f" INDEXED BY {way.through}" if way is not None and way.through is not None else ""
        return f"{self.layout.found} f{by}"

    def _where(self, way: Way | None) -> Part:
        parts = [Part("f.tenant = ?", (self.tenant,)), *(self._condition(each, way) for each in self.filters)]
        if way is not None and way.identities is not None:
            parts.append(Part("f.id IN (SELECT value FROM json_each(?))", (way.identities,)))
        if self.after is not None:
            parts.append(self._behind(way))
        return joined(" AND ", parts)

    def _behind(self, way: Way | None) -> Part:
        value, identity = self.after or ("", 0)
        if self.order is None:
            return Part(f"{self._place(way)} > ?", (value,))
        comparison = "<" if self.order.descending else ">"
        return Part(f"({self._place(way)}, f.id) {comparison} (?, ?)", (value, identity))

    def _place(self, way: Way | None) -> str:
        return self._bound("f.key" if self.order is None else f"f.{column(self.order.field)}", way)

    def _bound(self, name: str, way: Way | None) -> str:
        """Return a column; where another way than an index was chosen, so that no index takes to it."""
        return name if way is None or way.through is not None else f"+{name}"

    def _condition(self, asked: Filter, way: Way | None) -> Part:
        if self.layout.fields[asked.field] == "texts":
            return self._text_condition(asked, way)
        return self._comparison(self._bound(f"f.{column(asked.field)}", way), asked)

    def _text_condition(self, asked: Filter, way: Way | None) -> Part:
        among = self._among(asked._replace(operator="=") if asked.operator == "!=" else asked)
        if asked.operator == "!=":
            return Part(f"NOT EXISTS (SELECT 1 {among.text} AND x.id = f.id)", among.parameters)
        is_driver = way is None or way.lists == asked.field
        if asked.operator == "=" and not is_driver:
            return Part(f"EXISTS (SELECT 1 {among.text} AND x.id = f.id)", among.parameters)
        return Part(f"{'' if is_driver else '+'}f.id IN (SELECT x.id {among.text})", among.parameters)

    def _among(self, asked: Filter) -> Part:
        value = self._comparison("x.value", asked)
        return Part(
            f"FROM {self.layout.texts} x WHERE x.tenant = ? AND x.field = ? AND {value.text}",
            (self.tenant, self.layout.lists[asked.field], *value.parameters),
        )

    def _comparison(self, name: str, asked: Filter) -> Part:
        kind = self.layout.fields[asked.field]
        values = tuple(asked.asked(kind))
        match asked.operator:
            case "=":
                return Part(f"{name} IN ({marks(len(values))})", values)
            case "!=":
                return Part(f"{name} NOT IN ({marks(len(values))})", values)
            case "~":
                return Part(f"{name} {self.dialect.like} ? ESCAPE '\\'", (f"%{escaped(str(values[0]))}%",))
            case "^":
                return beginning(name, str(values[0]))
            case "<" | "<=" if kind in NUMBERS:
                return Part(f"({name} {asked.operator} ? AND {name} > ?)", (values[0], LEAST[kind]))
            case _:
                return Part(f"{name} {asked.operator} ?", values)


def joined(separator: str, parts: Iterable[Part]) -> Part:
    """Return pieces as one."""
    several = list(parts)
    return Part(
        separator.join(each.text for each in several), tuple(one for each in several for one in each.parameters)
    )


def escaped(text: str) -> str:
    """Return a text as a pattern for itself."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def beginning(name: str, start: str) -> Part:
    """Return the condition of texts that begin so, as a span that an index knows."""
    behind = successor(start)
    if behind is None:
        return Part(f"{name} >= ?", (start,))
    return Part(f"({name} >= ? AND {name} < ?)", (start, behind))


def successor(start: str) -> str | None:
    """Return the first text behind all that begin so, None if there is none."""
    head = start.rstrip("\U0010ffff")
    if not head:
        return None
    number = ord(head[-1]) + 1
    return head[:-1] + chr(0xE000 if number == 0xD800 else number)
