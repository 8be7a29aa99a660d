"""How a question is put to SQLite, which knows little of how many rows pass a filter.

A filter that few rows pass gives all that pass it, to be sorted. Else the index of the order is walked, in the hope
that a page is full soon; if it is not, which happens where filters and order have to do with one another, the rows of
the filter that fewest pass are sorted, or all rows of the tenant are.
"""

from __future__ import annotations

from infraspectre.adapters.record_store.database import Connection, Rows
from infraspectre.adapters.record_store.statements import Question, Way

FEW = 2_000
"""Rows that are sorted at once."""
MANY = 50_000
"""Rows of a filter that are looked up one by one; beyond, reading all is not slower."""
STEPS = 100_000
"""Instructions of SQLite's machine that a walk may take: some 5,000 rows."""


def page(connection: Connection, question: Question, limit: int) -> Rows:
    """Return the rows of a page."""
    if not question.dialect.is_planned:
        return connection.rows(*question.page(limit))
    fields, passing = fewest(connection, question)
    if passing > FEW:
        rows = connection.rows_within(STEPS, *question.page(limit, Way(walks=True)))
        if rows is not None:
            return rows
    return connection.rows(*question.page(limit, Way(drivers=fields if passing <= MANY else ())))


def count(connection: Connection, question: Question, most: int) -> int:
    """Count rows up to a number."""
    way = Way()
    if question.dialect.is_planned and question.filters:
        fields, passing = fewest(connection, question)
        way = Way(drivers=fields if passing <= MANY else ())
    return int(connection.rows(*question.count(most, way))[0][0])


def fewest(connection: Connection, question: Question) -> tuple[tuple[str, ...], int]:
    """Return the field whose filters fewest rows pass, and how many these are, up to more than many."""
    best: tuple[tuple[str, ...], int] = ((), MANY + 1)
    for name in question.drivers:
        passing = connection.rows(*question.driver_count(name, best[1]))[0][0]
        if passing < best[1]:
            best = ((name,), passing)
    return best
