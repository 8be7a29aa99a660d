"""Pages: the parameters by which lists are asked for, and the answer that every list gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Generic, NamedTuple, TypeVar

import msgspec
from litestar.di import Provide
from litestar.params import QueryParameter

from infraspectre.errors import InputError, all_of
from infraspectre.records.queries import MOST_ROWS, Filter, Kind, Order, Query

T = TypeVar("T")
MOST_FILTERS = 20
MOST_FIELDS = 100


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

    def page(self, items: Iterable[Mapping[str, Any]], next_page: str | None) -> Any:
        """Return the answer, each item with the chosen fields alone."""
        chosen = self.fields
        kept = [{name: item[name] for name in item if name in chosen} for item in items] if chosen else list(items)
        return {"items": kept, "next": next_page}


def asked(filters: Mapping[str, Kind], shown: Iterable[str]) -> Provide:
    """Provide a route with its `question`: which fields can be filtered by, and which an item has."""
    return Provide(reader(filters, frozenset(shown)), sync_to_thread=False)


def reader(filters: Mapping[str, Kind], shown: frozenset[str]) -> Callable[..., Question]:
    """Return the function that reads the parameters of a list."""

    def question(
        filter_: Annotated[list[str] | None, QueryParameter(name="filter", max_items=MOST_FILTERS)] = None,
        order: Annotated[
            str | None,
            QueryParameter(max_length=100, description="Field to sort by; - before it puts the highest first."),
        ] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=MOST_ROWS, description="Items at the most.")] = 100,
        after: Annotated[
            str | None, QueryParameter(max_length=4096, description="The `next` of the page before.")
        ] = None,
        fields: Annotated[
            str | None,
            QueryParameter(
                max_length=4096, description="Fields that items shall have, between commas; all by default."
            ),
        ] = None,
    ) -> Question:
        chosen = frozenset(fields.split(",")) if fields else frozenset[str]()
        return Question(
            Query(
                tuple(collected(filter_ or [], filters)),
                Order.of(order, filters) if order else None,
                limit,
                after,
            ),
            checked_fields(chosen, shown),
        )

    return question


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
