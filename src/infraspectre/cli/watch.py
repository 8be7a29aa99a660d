"""`infraspectre watch`: what happens on a platform, as it happens."""

from __future__ import annotations

import os
import sys
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infraspectre.cli.options import DEFAULT, Common
from infraspectre.cli.output import is_terminal, note
from infraspectre.errors import InputError, UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from infraspectre.client.following import Message

KEY_VARIABLE = "INFRASPECTRE_KEY"
MOST_SHOWN = 30
COLOURS = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan", "informational": "dim"}


def watch(
    url: str = "http://127.0.0.1:8440",
    /,
    *,
    channel: list[str] | None = None,
    filter: list[str] | None = None,  # noqa: A002 - as the API calls it
    key_file: Path | None = None,
    authority: Path | None = None,
    resume: str = "",
    common: Common = DEFAULT,
) -> None:
    """Show what happens on a platform, as it happens, until it is told to stop.

    On a terminal the latest events stand in a table, elsewhere each is a line; with --json each is a line of JSON.
    After a break, what happened meanwhile comes first. The key stands in the variable INFRASPECTRE_KEY or in a file.

    Parameters
    ----------
    url
        Where the API answers.
    channel
        Show this channel: threat, behaviour, network, system or custom; may be repeated, all by default.
    filter
        Show only what fits, such as severity>=high; may be repeated, all must hold.
    key_file
        Read the key from the first line of this file.
    authority
        Trust the certificates of this authority (PEM).
    resume
        Begin at this position instead of now.
    """
    import httpx

    from infraspectre.client.following import follow

    key = key_of(key_file)
    with httpx.Client(base_url=url, verify=str(authority) if authority else True) as http:
        found = follow(http, key, channels=channel or (), filters=filter or (), resume=resume)
        if common.json or not is_terminal(sys.stdout):
            for message in found:
                say(message, common)
        else:
            show(found)


def key_of(file: Path | None) -> str:
    """Return the key; raises UsageError where there is none, and InputError for a file that cannot be read."""
    if file is None:
        key = os.environ.get(KEY_VARIABLE, "")
        if not key:
            raise UsageError("no key to ask with", remedy=f"set {KEY_VARIABLE}, or give --key-file FILE")
        return key
    try:
        with file.open(encoding="utf-8") as lines:
            return lines.readline().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(getattr(error, "strerror", None) or "is no text", path=file) from error


def say(message: Message, common: Common) -> None:
    """Print the events of a message, a line each; all else is a note."""
    import msgspec

    if message.kind != "events":
        if message.kind not in ("subscribed", "heartbeat") and not common.quiet:
            note(f"{message.kind}: {told(message)}")
        return
    for event in message.data["events"]:
        print(msgspec.json.encode(event).decode() if common.json else line(event), flush=True)


def told(message: Message) -> str:
    """Return in words what a message that is no event says."""
    from infraspectre.security import printable

    return printable(", ".join(f"{name} {value}" for name, value in message.data.items() if name != "type"))


def line(event: dict[str, Any]) -> str:
    """Return an event as a line for people."""
    from infraspectre.security import printable

    parts = (event["at"], f"{event.get('severity', 'informational'):13}", event["kind"], title(event))
    return printable("  ".join(parts))


def title(event: dict[str, Any]) -> str:
    """Return what an event is about."""
    data = event.get("data") or {}
    return str(data.get("title") or data.get("summary") or event.get("subject") or ", ".join(event.get("entities", [])))


def show(found: Iterator[Message]) -> None:
    """Keep a table of the latest events on the terminal, and say below it what was counted."""
    from rich.live import Live

    latest: deque[dict[str, Any]] = deque(maxlen=MOST_SHOWN)
    counts: Counter[str] = Counter()
    state = "connecting"
    with Live(table(latest, counts, state), refresh_per_second=4, screen=False) as live:
        for message in found:
            if message.kind == "events":
                latest.extend(message.data["events"])
                counts.update(each["kind"] for each in message.data["events"])
            state = "following" if message.kind in ("events", "subscribed") else f"{message.kind}: {told(message)}"
            live.update(table(latest, counts, state))


def table(latest: deque[dict[str, Any]], counts: Counter[str], state: str) -> RenderableType:
    """Return the latest events as a table, the newest first."""
    from rich.table import Table
    from rich.text import Text

    from infraspectre.security import printable

    counted = ", ".join(f"{kind} {count:,}" for kind, count in counts.most_common(6))
    shown = Table("at", "severity", "what", "about", caption=f"{state}  {counted}", expand=True)
    for event in reversed(latest):
        severity = str(event.get("severity", "informational"))
        cells = (str(event["at"])[:19], severity, str(event["kind"]), title(event))
        shown.add_row(*(Text(printable(cell)) for cell in cells), style=COLOURS.get(severity, ""))
    return shown
