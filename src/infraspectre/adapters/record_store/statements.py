"""Questions as SQL; values are always parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from infraspectre.adapters.record_store.database import Dialect
from infraspectre.adapters.record_store.layout import Layout, column
from infraspectre.records.queries import LEAST, Filter, Order, Value


class Part(NamedTuple):
    """Is a piece of SQL with its parameters."""

    text: str
    parameters: tuple[Any, ...] = ()


def joined(separator: str, parts: Sequence[Part]) -> Part:
    """Return pieces as one."""
    return Part(separator.join(part.text for part in parts), tuple(each for part in parts for each in part.parameters))


@dataclass(frozen=True)
class Question:
    """Asks for the rows of a tenant that pass filters, in an order, from a place on."""

    layout: Layout
    dialect: Dialect
    tenant: str
    filters: tuple[Filter, ...] = ()
    order: Order | None = None
    after: tuple[Value | None, str] | None = None

    @property
    def sorted_by(self) -> str:
        """Return the column that sorts."""
        return "f.key" if self.order is None else f"f.{column(self.order.field)}"

    def page(self, limit: int) -> Part:
        """Return the statement for the rows of a page, whole."""
        down = " DESC" if self.order is not None and self.order.descending else ""
        inner = joined(
            " ", [Part(f"SELECT f.id, f.key, {self.sorted_by} AS place FROM {self.layout.found} f"), self.where()]
        )
        sort = f"ORDER BY place{down}, key{down}"
        return Part(
            f"SELECT p.key, p.place, r.id, r.tenant, r.key, r.revision, r.changed_at, r.body, r.checksum "
            f"FROM ({inner.text} {sort} LIMIT ?) p LEFT JOIN {self.layout.records} r ON r.id = p.id "
            f"ORDER BY p.place{down}, p.key{down}",
            (*inner.parameters, limit),
        )

    def count(self, most: int) -> Part:
        """Return the statement that counts rows up to a number."""
        where = self.where()
        return Part(
            f"SELECT count(*) FROM (SELECT 1 FROM {self.layout.found} f {where.text} LIMIT ?) c",
            (*where.parameters, most),
        )

    def where(self) -> Part:
        """Return the condition of all filters and of the place."""
        parts = [Part("f.tenant = ?", (self.tenant,)), *map(self.condition, self.filters)]
        if self.after is not None:
            parts.append(self.behind(*self.after))
        both = joined(" AND ", parts)
        return Part(f"WHERE {both.text}", both.parameters)

    def behind(self, value: Value | None, key: str) -> Part:
        """Return the condition of rows behind a place."""
        if self.order is None:
            return Part("f.key > ?", (key,))
        return Part(f"({self.sorted_by}, f.key) {'<' if self.order.descending else '>'} (?, ?)", (value, key))

    def condition(self, asked: Filter) -> Part:
        """Return the condition of a filter."""
        kind = self.layout.fields[asked.field]
        if kind != "texts":
            return self.comparison(f"f.{column(asked.field)}", asked)
        positive = asked._replace(operator="=") if asked.operator == "!=" else asked
        among = self.comparison("x.value", positive)
        word = "NOT IN" if asked.operator == "!=" else "IN"
        return Part(
            f"f.id {word} (SELECT x.id FROM {self.layout.texts} x WHERE x.tenant = ? AND x.field = ? AND {among.text})",
            (self.tenant, asked.field, *among.parameters),
        )

    def comparison(self, name: str, asked: Filter) -> Part:
        """Return the comparison of a column."""
        kind = self.layout.fields[asked.field]
        values = asked.asked(kind)
        match asked.operator:
            case "=" | "!=":
                word = "IN" if asked.operator == "=" else "NOT IN"
                return Part(f"{name} {word} ({', '.join('?' * len(values))})", tuple(values))
            case "~":
                return Part(f"{name} {self.dialect.like} ? ESCAPE '\\'", (f"%{escaped(str(values[0]))}%",))
            case "^":
                return beginning(name, str(values[0]))
            case "<" | "<=" if kind in LEAST and kind != "text":
                return Part(f"({name} {asked.operator} ? AND {name} > ?)", (values[0], LEAST[kind]))
            case _:
                return Part(f"{name} {asked.operator} ?", (values[0],))


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
