"""Questions as SQL; values are always parameters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from infraspectre.adapters.record_store.database import Dialect
from infraspectre.adapters.record_store.layout import Layout, column
from infraspectre.adapters.record_store.rows import WHOLE, marks
from infraspectre.records.queries import LEAST, NUMBERS, Filter, Operator, Order, Value

SPANS: tuple[Operator, ...] = ("=", "<", "<=", ">", ">=", "^")
"""What an index answers by going to where the values stand."""


class Part(NamedTuple):
    """Is a piece of SQL with its parameters."""

    text: str
    parameters: tuple[Any, ...] = ()


class Way(NamedTuple):
    """Says which indexes a statement uses: that of the order, those of some fields, or none but the tenant's rows."""

    walks: bool = False
    drivers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Question:
    """Asks for the rows of a tenant that pass filters, in an order, from a place on."""

    layout: Layout
    dialect: Dialect
    tenant: int
    filters: tuple[Filter, ...] = ()
    order: Order | None = None
    after: tuple[Value, int] | None = None

    @cached_property
    def drivers(self) -> list[str]:
        """Return the fields by whose index rows can be found."""
        return list(dict.fromkeys(each.field for each in self.filters if each.operator in SPANS))

    def page(self, limit: int, way: Way | None = None) -> Part:
        """Return the statement for the rows of a page, whole."""
        down = " DESC" if self.order is not None and self.order.descending else ""
        place, identity = self._place(way), self._bound("f.id", way is None or way.walks)
        where = self._where(way)
        return Part(
            f"SELECT p.place, p.key, {WHOLE} FROM (SELECT f.id, f.key, {place} AS place FROM {self.layout.found} f "
            f"WHERE {where.text} ORDER BY {place}{down}, {identity}{down} LIMIT ?) p "
            f"LEFT JOIN {self.layout.records} r ON r.id = p.id ORDER BY p.place{down}, p.id{down}",
            (*where.parameters, limit),
        )

    def count(self, most: int, way: Way | None = None) -> Part:
        """Return the statement that counts rows up to a number."""
        where = self._where(way)
        inner = f"SELECT 1 FROM {self.layout.found} f WHERE {where.text} LIMIT ?"
        return Part(f"SELECT count(*) FROM ({inner}) c", (*where.parameters, most))

    def driver_count(self, name: str, most: int) -> Part:
        """Return the statement that counts, by its index alone, the rows that pass the filters of a field."""
        mine = [each for each in self.filters if each.field == name and each.operator in SPANS]
        if self.layout.fields[name] != "texts":
            return Question(self.layout, self.dialect, self.tenant, tuple(mine)).count(most)
        among = self._among(mine[0])
        return Part(f"SELECT count(*) FROM (SELECT 1 {among.text} LIMIT ?) c", (*among.parameters, most))

    def _where(self, way: Way | None) -> Part:
        parts = [Part("f.tenant = ?", (self.tenant,)), *(self._condition(each, way) for each in self.filters)]
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
        name = "f.key" if self.order is None else f"f.{column(self.order.field)}"
        return self._bound(name, way is None or way.walks)

    def _bound(self, name: str, is_free: bool) -> str:
        """Return a column, which no index may be used for unless it is free."""
        return name if is_free else self.dialect.bound.format(name=name)

    def _condition(self, asked: Filter, way: Way | None) -> Part:
        is_driver = way is None or asked.field in way.drivers
        if self.layout.fields[asked.field] == "texts":
            return self._text_condition(asked, is_driver)
        sorts = way is not None and way.walks and self.order is not None and self.order.field == asked.field
        return self._comparison(self._bound(f"f.{column(asked.field)}", is_driver or sorts), asked)

    def _text_condition(self, asked: Filter, is_driver: bool) -> Part:
        among = self._among(asked._replace(operator="=") if asked.operator == "!=" else asked)
        if asked.operator == "!=":
            return Part(f"NOT EXISTS (SELECT 1 {among.text} AND x.id = f.id)", among.parameters)
        if asked.operator == "=" and not is_driver:
            return Part(f"EXISTS (SELECT 1 {among.text} AND x.id = f.id)", among.parameters)
        return Part(f"{self._bound('f.id', is_driver)} IN (SELECT x.id {among.text})", among.parameters)

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
