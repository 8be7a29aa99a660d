"""What a benchmark gives back, and how it reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

Cell = str | int | float


class UnavailableError(Exception):
    """Says what a benchmark lacks here, and how to get it."""


@dataclass(frozen=True)
class Figure:
    """Holds one measured value, with the least that is asked for and what is aimed at."""

    name: str
    value: Cell
    unit: str = ""
    floor: str = ""
    aim: str = ""


@dataclass(frozen=True)
class Table:
    """Holds rows of values under a title."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Report:
    """Holds what one benchmark measured; notes say how, where that changes the meaning."""

    figures: list[Figure] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def markdown(name: str, about: str, report: Report) -> str:
    """Return a report as Markdown, which also reads well in a terminal."""
    rows = [(one.name, shown(one.value, one.unit), one.floor, one.aim) for one in report.figures]
    tables = [Table("", ("what", "measured", "floor", "aim"), rows)] if rows else []
    parts = [
        f"## {name}\n\n{about}",
        *map(markdown_table, [*tables, *(table for table in report.tables if table.rows)]),
        *report.notes,
    ]
    return "\n\n".join(parts) + "\n"


def markdown_table(table: Table) -> str:
    """Return a table whose columns are padded to one width."""
    cells = [tuple(table.header), *(tuple(shown(cell) for cell in row) for row in table.rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in cells]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    title = [f"**{table.title}**\n"] if table.title else []
    return "\n".join([*title, lines[0], rule, *lines[1:]])


def shown(value: Cell, unit: str = "") -> str:
    """Return a value with its unit; three digits tell enough of a measured one."""
    text = f"{value:,}" if isinstance(value, int) else number(value) if isinstance(value, float) else value
    return f"{text} {unit}".strip()


def number(value: float) -> str:
    """Return a measured value with three significant digits, without an exponent."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
