"""How commands speak: data on stdout, everything else on stderr, colour only on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from infraspectre.cli.options import Common
from infraspectre.errors import EXIT_DONE, EXIT_LOSSES

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH = 160
"""Columns of a table that goes into a file or pipe."""
MOST_REFUSALS = 20
"""Refused rules that are named where they are not what was asked for."""
UNDECODED = "link-type"
"""How the kinds of packets begin that cannot be looked into at all."""


def print_json(value: Any) -> None:
    """Print a value as indented JSON on stdout; what JSON has no type for, such as a path, becomes text."""
    import msgspec

    print(msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2).decode())


def console() -> Console:
    """Return a console on stdout that uses colour on a terminal only; `:100:` in an address stays what it is."""
    from rich.console import Console

    return Console(width=None if is_terminal(sys.stdout) else PIPE_WIDTH, emoji=False)


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether a stream is open and shown to a person; there is none where it was closed at the start."""
    return stream is not None and stream.isatty()


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on stdout; cells are shown as they are, without markup."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(*header, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console().print(table)


def note(message: str) -> None:
    """Print a remark for people on stderr."""
    print(message, file=sys.stderr)


class Losses(Protocol):
    """Says what could not be read or decoded and what was shed."""

    @property
    def unreadable(self) -> Mapping[str, str]:
        """Return why each unreadable file is so."""
        ...

    @property
    def without_flow(self) -> Mapping[str, int]:
        """Return how many packets belong to no flow, by kind."""
        ...

    @property
    def shed(self) -> Mapping[str, int]:
        """Return how much was shed for each reason."""
        ...


def status_of(result: Losses) -> int:
    """Report losses on stderr and return the exit status that says whether there were any."""
    from infraspectre.security import printable

    for path, reason in result.unreadable.items():
        note(f"warning: {printable(path)}: {printable(reason)}; what could be read was kept")
    shed = {reason: count for reason, count in result.shed.items() if count}
    for reason, count in shed.items():
        note(f"warning: {count:,} shed: {reason}")
    undecoded = {kind: count for kind, count in result.without_flow.items() if kind.startswith(UNDECODED)}
    for kind, count in undecoded.items():
        note(f"warning: {count:,} packets of a link type that is not decoded ({kind})")
    return EXIT_LOSSES if result.unreadable or shed or undecoded else EXIT_DONE


def warn_refused(refused: Sequence[object], told_by: str = "'infraspectre rules check' names all") -> int:
    """Report refusals on stderr and return the exit status that says whether there were any."""
    from infraspectre.security import printable

    for refusal in refused[:MOST_REFUSALS]:
        note(f"warning: {printable(str(refusal))}")
    if len(refused) > MOST_REFUSALS:
        note(f"warning: {len(refused) - MOST_REFUSALS:,} more are refused; {told_by}")
    return EXIT_LOSSES if refused else EXIT_DONE


@contextmanager
def following(task: str, common: Common, unit: str = "flows") -> Iterator[Callable[[int, int, int], None] | None]:
    """Show progress on stderr while the block runs, if that is a terminal and nobody asked for silence."""
    if common.quiet or common.json or not is_terminal(sys.stderr):
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        shown = bar.add_task(task, total=None)
        yield lambda done, total, count: bar.update(
            shown, completed=done, total=total or None, description=f"{task}: {count:,} {unit}"
        )


@contextmanager
def working(task: str, common: Common) -> Iterator[Callable[[str, float], None] | None]:
    """Show on stderr what was done last and the share done, if that is a terminal and nobody asked for silence."""
    if common.quiet or common.json or not is_terminal(sys.stderr):
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        shown = bar.add_task(task, total=1.0)
        yield lambda step, share: bar.update(shown, completed=share, description=f"{task}: {step}")
