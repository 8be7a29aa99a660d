"""How a question is put to SQLite, which knows little of how many rows pass a filter.

A filter that few rows pass gives all that pass it, to be sorted. Else an index that has the order is walked, in the
hope that a page is full soon; if it is not, which happens where filters and order have to do with one another, the rows
of the filter that fewest pass are sorted, or all rows of the tenant are.
"""

from __future__ import annotations

import json

from infraspectre.adapters.record_store.database import Connection, Rows
from infraspectre.adapters.record_store.statements import Question, Way

FEW = 2_000
"""Rows that are sorted at once."""
MANY = 100_000
"""Rows of a filter that are looked up one by one; beyond, reading all is not slower."""
COVERED = 500_000
"""The same where the index of the filter holds all that is asked for."""
PARTS = 20_000
"""Rows with a part of a text that are looked up one by one."""
STEPS = 100_000
"""Instructions of SQLite's machine that a walk may take: some 5,000 rows, or as many as an index that holds all."""


def page(connection: Connection, question: Question, limit: int) -> Rows:
    """Return the rows of a page."""
    if not question.dialect.is_planned:
        return connection.rows(*question.page(limit))
    best, passing = fewest(connection, question)
    if best is None or passing > FEW:
        rows = connection.rows_within(STEPS, *question.page(limit, in_order(question, best)))
        if rows is not None:
            return rows
    return connection.rows(*question.page(limit, sorting(connection, question, best)))


def count(connection: Connection, question: Question, most: int) -> int:
    """Count rows up to a number."""
    way = None
    if question.dialect.is_planned and question.filters:
        way = sorting(connection, question, fewest(connection, question)[0])
    return int(connection.rows(*question.count(most, way))[0][0])


def fewest(connection: Connection, question: Question) -> tuple[str | None, int]:
    """Return the field whose filters fewest rows pass and how many these are; None where they are too many."""
    best, least = None, COVERED if question.is_covered else MANY
    for name in question.drivers:
        passing = connection.rows(*question.count_by(name, least))[0][0]
        if passing < least:
            best, least = name, passing
    return best, least


def in_order(question: Question, best: str | None) -> Way:
    """Return the way by an index that has the order: of one frequent text, or of the field that sorts."""
    layout, order = question.layout, question.order
    if order is not None and order.field == layout.leading:
        single = [each.field for each in question.filters if each.operator == "=" and len(each.values) == 1]
        texts = [name for name in single if name in layout.frequent and layout.fields[name] == "text"]
        if texts:
            return question.way_by(best if best in texts else texts[0])
    return Way(layout.index_name(None if order is None else order.field))


def sorting(connection: Connection, question: Question, best: str | None) -> Way:
    """Return the way to all rows that may pass."""
    if best is not None:
        return question.way_by(best)
    for asked in question.filters:
        if asked.operator == "~" and question.layout.fields[asked.field] == "text":
            rows = connection.rows(*question.identities(asked, PARTS + 1))
            if len(rows) <= PARTS:
                return Way(identities=json.dumps([identity for (identity,) in rows]))
    if question.is_covered and question.filters:
        return question.way_by(question.filters[0].field)
    return Way()
