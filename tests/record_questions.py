"""Records, and questions of all kinds about them with their right answers."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

from infraspectre.ports import RecordStore
from infraspectre.records.queries import LEAST, NUMBERS, OPERATORS, Collection, Filter, Order, Query, held

THINGS = Collection(
    "things",
    {"name": "text", "size": "integer", "weight": "real", "tags": "texts", "part.colour": "text"},
    is_listed=True,
)


class Ticking:
    """Tells a time that grows by one."""

    def __init__(self) -> None:
        self._times = itertools.count(1_000)

    def now(self) -> int:
        """Return the next time."""
        return next(self._times)


def drawn(seed: int, count: int) -> dict[str, dict[str, Any]]:
    """Return records of few different values, some of them missing, so that filters and orders meet equals."""
    draw = random.Random(seed)
    texts = ["", "a", "A", "b", "ab", "a%", "a_b", "\\", "|", "é", "É", "\U0010ffff", "aa\0", "x" * 500, None]
    numbers = [-(2**63) + 1, -1, 0, 1, 2, 2**63 - 1, None]
    reals = [-1.5, 0, 0.1, 1e300, -1e300, 5e-324, None]
    return {
        f"{draw.choice('abcé')}{n}": {
            "name": draw.choice(texts),
            "size": draw.choice(numbers),
            "weight": draw.choice(reals),
            "tags": draw.choice([None, draw.choices(texts[:-1], k=3), draw.choices(texts[:-1], k=1), []]),
            "part.colour": draw.choice(texts[:4]),
        }
        for n in range(count)
    }


def questions(seed: int, count: int) -> Iterator[tuple[tuple[Filter, ...], Order | None]]:
    """Yield filters and orders of all kinds, with values that occur and some that do not."""
    draw = random.Random(seed)
    records = list(drawn(1, 200).values())
    for _ in range(count):
        filters = []
        for _ in range(draw.choice([0, 1, 1, 1, 2, 3])):
            name = draw.choice(list(THINGS.fields))
            kind = THINGS.fields[name]
            operator = draw.choice(OPERATORS[kind])
            known = [each for record in records for each in held(name, record[name], kind)]
            given = [each for each in known if kind not in NUMBERS or each != LEAST[kind]]
            filters.append(Filter(name, operator, tuple(draw.sample(given, k=1 + (operator in ("=", "!="))))))
        sortable = [name for name, kind in THINGS.fields.items() if kind != "texts"]
        yield tuple(filters), draw.choice([None, Order(draw.choice(sortable), draw.choice([True, False]))])


def expected(records: dict[str, dict[str, Any]], filters: tuple[Filter, ...], order: Order | None) -> list[str]:
    """Return the keys that a query has to give, by the reference."""
    fitting = [
        key for key, each in records.items() if all(f.fits(each[f.field], THINGS.fields[f.field]) for f in filters)
    ]
    if order is None:
        return sorted(fitting)
    kind = THINGS.fields[order.field]
    ties = {key: number for number, key in enumerate(records)}
    return sorted(
        fitting,
        key=lambda key: (held(order.field, records[key][order.field], kind), ties[key]),
        reverse=order.descending,
    )


def paged(store: RecordStore, things: Collection, query: Query) -> list[str]:
    """Return the keys of all pages of a query."""
    found: list[str] = []
    after = None
    while True:
        page = store.page("a", things, Query(query.filters, query.order, query.limit, after))
        found += [each.key for each in page.rows]
        after = page.next
        if after is None:
            return found
        assert len(page.rows) == query.limit
