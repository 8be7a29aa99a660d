"""Pages: the parameters by which lists are asked for, and the answer that every list gives."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Generic, NamedTuple, TypeVar

import msgspec
from litestar.di import NamedDependency, Provide
from litestar.params import QueryParameter

from infraspectre.errors import InputError, all_of
from infraspectre.records.access import Principal
from infraspectre.records.queries import MOST_ROWS, Filter, Kind, Order, Query, held

T = TypeVar("T")
MOST_FILTERS = 20
MOST_FILTER = 1_000
FEW_ROWS = 50
"""Rows that are read without a thread: a millisecond or two."""
WHOLE, REAL = r"-?[0-9]{1,18}", r"-?[0-9]{1,15}(\.[0-9]{1,15})?"
VALUES: dict[Kind, str] = {
    "text": r" *(=|!=|<|<=|>|>=|~|\^) *[\s\S]*",
    "texts": r" *(=|!=|~|\^) *[\s\S]*",
    "integer": rf" *((<|<=|>|>=) *{WHOLE}|(=|!=) *{WHOLE}(\|{WHOLE}){{0,99}})",
    "real": rf" *((<|<=|>|>=) *{REAL}|(=|!=) *{REAL}(\|{REAL}){{0,99}})",
}
"""How a comparison with a field of each kind is written."""


class PageOf(msgspec.Struct, Generic[T], frozen=True):
    """Is a part of a list."""

    items: list[T]
    next: str | None = None
    """Give it as `after` for the page that follows; null on the last page."""


class Question(NamedTuple):
    """Is what a list was asked for."""

    query: Query
    fields: frozenset[str]
    """The fields that items shall have; empty for all."""

    @property
    def is_short(self) -> bool:
        """Tell whether a store finds the rows by going along an index, without looking at others."""
        return not self.query.filters and self.query.limit <= FEW_ROWS

    def page(self, items: Iterable[Mapping[str, Any]], next_page: str | None) -> Any:
        """Return the answer, each item with the chosen fields alone."""
        chosen = self.fields
        kept = [{name: item[name] for name in item if name in chosen} for item in items] if chosen else list(items)
        return {"items": kept, "next": next_page}


def asked(filters: Mapping[str, Kind], shown: Iterable[str]) -> Provide:
    """Provide a route with its `question`: which fields can be filtered by, and which an item has."""
    return Provide(reader(filters, frozenset(shown)), sync_to_thread=False)


def sought(filters: Mapping[str, Kind]) -> Provide:
    """Provide a route with its `question` where it answers with all rows at once: only filters and order are asked."""

    def question(filter_: list[str] | None = None, order: str | None = None) -> Question:
        wanted = None if order is None else Order.of(order, filters)
        return Question(Query(tuple(collected(filter_ or [], filters)), wanted), frozenset())

    question.__annotations__.update({name: parameters(filters, frozenset())[name] for name in ("filter_", "order")})
    return Provide(question, sync_to_thread=False)


def reader(filters: Mapping[str, Kind], shown: frozenset[str]) -> Callable[..., Question]:
    """Return the function that reads the parameters of a list."""

    def question(
        principal: NamedDependency[Principal],  # after it, since tasks are started for what is resolved at once
        filter_: list[str] | None = None,
        order: str | None = None,
        limit: int = 100,
        after: str | None = None,
        fields: str | None = None,
    ) -> Question:
        chosen = checked_fields(frozenset() if fields is None else frozenset(fields.split(",")), shown)
        wanted = None if order is None else Order.of(order, filters)
        return Question(Query(tuple(collected(filter_ or [], filters)), wanted, limit, after), chosen)

    question.__annotations__.update(parameters(filters, shown))
    return question


def parameters(filters: Mapping[str, Kind], shown: frozenset[str]) -> dict[str, Any]:
    """Return the parameters of a list as the framework and the description of the API know them.

    Patterns are described alone: who reads a filter, an order or fields says better what is wrong with them.
    """
    written = {"type": "string", "maxLength": MOST_FILTER, "pattern": filter_pattern(filters)}
    return {
        "filter_": Annotated[
            list[str] | None,
            QueryParameter(
                name="filter",
                max_items=MOST_FILTERS,
                schema_extra={"items": written},
                description="FIELD, an operator (= != < <= > >= ~ ^), VALUE: ~ asks for a part, ^ for the beginning; "
                "after = and !=, alternatives stand between |. All filters must hold; a time may be RFC 3339. "
                f"Fields: {', '.join(f'{name} ({kind})' for name, kind in sorted(filters.items()))}.",
            ),
        ],
        "order": Annotated[
            str | None,
            QueryParameter(
                schema_extra={"pattern": f"^-?({any_of(n for n, kind in filters.items() if kind != 'texts')})$"},
                description="Field to sort by; - before it puts the highest first.",
            ),
        ],
        "limit": Annotated[int, QueryParameter(ge=1, le=MOST_ROWS, description="Items at the most.")],
        "after": Annotated[str | None, QueryParameter(max_length=4_096, description="The `next` of the page before.")],
        "fields": Annotated[
            str | None,
            QueryParameter(
                schema_extra={"pattern": f"^({any_of(shown)})(,({any_of(shown)}))*$"},
                description=f"Fields that items shall have, of {', '.join(sorted(shown))}; all by default.",
            ),
        ],
    }


def part_of(
    rows: Iterable[Mapping[str, Any]],
    question: Question,
    kinds: Mapping[str, Kind],
    shown: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda row: row,
) -> Any:
    """Return a page of rows that are all at hand, which pass the filters, in the order asked for.

    Raises InputError for what is no page of them.
    """
    query = question.query
    passing = [row for row in rows if all(each.fits(row[each.field], kinds[each.field]) for each in query.filters)]
    if (order := query.order) is not None:
        passing.sort(key=lambda row: held(order.field, row[order.field], kinds[order.field]), reverse=order.descending)
    start = begin_of(query.after, len(passing))
    end = start + query.limit
    return question.page(map(shown, passing[start:end]), str(end) if end < len(passing) else None)


def begin_of(after: str | None, most: int) -> int:
    """Return how many items come before a page of so many; raises InputError for what is the `next` of none."""
    if after is None:
        return 0
    if not (after.isascii() and after.isdecimal() and len(after) < 10 and int(after) < most):
        raise InputError("is no page of this list", field="after")
    return int(after)


def filter_pattern(filters: Mapping[str, Kind]) -> str:
    """Return the regular expression of all filters; fields of a kind share one, as a table has hundreds."""
    named = {kind: any_of(name for name, of in filters.items() if of == kind) for kind in VALUES}
    return f"^({'|'.join(f'({names}){VALUES[kind]}' for kind, names in named.items() if names)})$"


def any_of(names: Iterable[str]) -> str:
    """Return a regular expression of any of some names."""
    return "|".join(map(re.escape, sorted(names)))


def collected(texts: list[str], filters: Mapping[str, Kind]) -> list[Filter]:
    """Return filters as they are written; raises InputError that names all that are wrong."""
    good: list[Filter] = []
    bad: list[InputError] = []
    for text in texts:
        try:
            good.append(Filter.of(text, filters))
        except InputError as error:
            bad.append(error)
    if bad:
        raise all_of(bad)
    return good


def checked_fields(chosen: frozenset[str], shown: frozenset[str]) -> frozenset[str]:
    """Return the chosen fields; raises InputError for one that items do not have."""
    if unknown := sorted(chosen - shown):
        raise InputError(
            f"there is no field {unknown[0][:64]!r}", field="fields", remedy=f"choose among {', '.join(sorted(shown))}"
        )
    return chosen
