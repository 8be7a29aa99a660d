"""Lists that are held in memory: filtered, sorted and cut into pages as stores do it with theirs."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from infraspectre.errors import InputError
from infraspectre.records.queries import LEAST, Kind, Order, Query

Row = TypeVar("Row")
PLACE = msgspec.json.Decoder(tuple[str, bool, str | int | float | None, str])
"""Field and direction of an order, the value in it, and what tells the row apart."""


def page_of_rows(
    rows: Sequence[Row], query: Query, fields: Mapping[str, Kind], value: Callable[[Row, str], Any], key: str
) -> tuple[list[Row], str | None]:
    """Return the rows that pass all filters, in order, from the place of `after` on, and where the next page begins.

    Rows are told apart by the text of a field; raises InputError for a place that is none.
    """
    order = query.order or Order(key)
    kept = [row for row in rows if all(each.fits(value(row, each.field), fields[each.field]) for each in query.filters)]

    def place(row: Row) -> tuple[Any, str]:
        found = value(row, order.field)
        return (LEAST[fields[order.field]] if found is None else found), value(row, key)

    if query.after is not None:
        last = place_of(query.after, order, fields[order.field])
        kept = [row for row in kept if (place(row) < last if order.descending else place(row) > last)]
    kept.sort(key=place, reverse=order.descending)
    page = kept[: query.limit]
    return page, written(order, place(page[-1])) if len(kept) > len(page) else None


def written(order: Order, place: tuple[Any, str]) -> str:
    """Return a place as clients carry it."""
    value, key = place
    said = msgspec.json.encode([order.field, order.descending, None if value in LEAST.values() else value, key])
    return base64.urlsafe_b64encode(said).rstrip(b"=").decode()


def place_of(text: str, order: Order, kind: Kind) -> tuple[Any, str]:
    """Return a place as it was written for an order; raises InputError."""
    try:
        content = base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4))
        field, descending, value, key = PLACE.decode(content)
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        field, descending, value, key = "", False, None, ""
    is_text = isinstance(value, str)
    if (field, descending) != order or (value is not None and is_text != (kind == "text")):
        raise InputError("is no place of this list", field="after", remedy="give the `next` of the page before")
    return (LEAST[kind] if value is None else value), key
