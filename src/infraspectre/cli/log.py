"""`infraspectre log`: what the event log holds, whether it is sound, and what to do where it is not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from infraspectre.cli.grammar import Function, Group
from infraspectre.cli.options import DEFAULT, Common
from infraspectre.cli.output import note, print_json, print_table
from infraspectre.errors import EXIT_DONE, EXIT_FAILED, EXIT_LOSSES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infraspectre.adapters.log.looking import Overview
    from infraspectre.adapters.log.repairing import Repair
    from infraspectre.adapters.log.verifying import Verdict


def show(folder: Path, /, *, common: Common = DEFAULT) -> None:
    """List the topics of a log: their entries and size, and how far each consumer has come.

    Parameters
    ----------
    folder
        Folder of the log.
    """
    from infraspectre import logbook

    found = logbook.overviews(folder)
    if common.json:
        print_json(found)
    elif not common.quiet:
        print_table(["topic", "from", "to", "segments", "bytes", "consumers"], [line(each) for each in found])


def line(topic: Overview) -> list[str]:
    """Return a topic as cells of a table."""
    behind = ", ".join(f"{name} {topic.end - wanted:,} behind" for name, wanted in topic.cursors.items())
    return [topic.topic, f"{topic.begin:,}", f"{topic.end:,}", str(topic.segments), f"{topic.bytes:,}", behind]


def verify(
    folder: Path,
    /,
    *,
    topic: str | None = None,
    key: Path | None = None,
    head: Path | None = None,
    common: Common = DEFAULT,
) -> int:
    """Find what was changed, removed, put elsewhere or cut off in a log; nothing is written.

    Parameters
    ----------
    folder
        Folder of the log.
    topic
        Look at this topic alone.
    key
        Require signatures of this public key in PEM; without it, of the one beside the log, which proves less.
    head
        Require the ends in this file, which `log head` printed: only they tell whether a log was cut off at its end.
    """
    from infraspectre import logbook
    from infraspectre.security import printable

    found = logbook.verify(folder, topic, key, head)
    if common.json:
        print_json(found)
    elif not common.quiet:
        for text in (text for verdict in found for text in told(verdict)):
            print(printable(text))
    if not all(verdict.is_sound for verdict in found):
        return EXIT_FAILED
    return EXIT_LOSSES if any(verdict.lost for verdict in found) else EXIT_DONE


def told(verdict: Verdict) -> Iterator[str]:
    """Yield what was found in a topic, line by line."""
    for each in verdict.findings:
        yield f"{each.file}: byte {each.offset}: {each.problem} ({entries(each.first, each.end)})"
    if verdict.more_findings:
        yield f"{verdict.topic}: {verdict.more_findings:,} more findings"
    for lost in verdict.lost:
        yield f"{verdict.topic}: a repair told that {entries(lost.first, lost.end)} were lost: {lost.problem}"
    if verdict.unfinished_bytes:
        yield f"{verdict.topic}: {verdict.unfinished_bytes:,} bytes of a write that was never acknowledged"
    state = "sound" if verdict.is_sound else "NOT sound"
    span = f"{verdict.begin:,} to {verdict.end:,}"
    yield f"{verdict.topic}: {state}; entries {span} in {verdict.frames:,} frames, {len(verdict.keys)} keys"


def entries(first: int, end: int) -> str:
    """Name a span of entries."""
    return f"entries {first:,} to {end - 1:,}" if end > first else f"no entry, before {first:,}"


def head(folder: Path, /, *, topic: str | None = None, common: Common = DEFAULT) -> int:
    """Print the signed end of each topic as JSON, to be kept elsewhere and given to `log verify --head` later.

    Parameters
    ----------
    folder
        Folder of the log.
    topic
        Print that of this topic alone.
    """
    import msgspec

    from infraspectre import logbook

    found = logbook.verify(folder, topic, None, None)
    heads = [verdict.head for verdict in found if verdict.head]
    if common.json:
        print_json(heads)
    elif not common.quiet:
        for each in heads:
            print(msgspec.json.encode(each).decode())
    unsound = [verdict.topic for verdict in found if not verdict.is_sound]
    if unsound:
        note(f"warning: not sound: {', '.join(unsound)}; 'infraspectre log verify' says what is wrong")
    return EXIT_FAILED if unsound else EXIT_DONE


def export(
    folder: Path,
    topic: str,
    /,
    *,
    start: int = 0,
    end: int | None = None,
    common: Common = DEFAULT,
) -> int:
    """Print entries of a topic as JSON lines: number, time, and the data as text or in base64.

    Parameters
    ----------
    folder
        Folder of the log.
    topic
        Name of the topic.
    start
        Begin with this entry.
    end
        End before this entry.
    """
    import msgspec

    from infraspectre import logbook

    gaps = 0
    for each in logbook.exported(folder, topic, start, end):
        gaps += "gap" in each
        if not common.quiet:
            print(msgspec.json.encode(each).decode())
    if gaps:
        note(f"warning: {gaps:,} gaps; 'infraspectre log verify' says what is wrong")
    return EXIT_LOSSES if gaps else EXIT_DONE


def repair(folder: Path, /, *, signing_key: Path | None = None, common: Common = DEFAULT) -> int:
    """Mend a log that nobody writes: cut off what a crash left, and put what is broken into quarantine.

    Parameters
    ----------
    folder
        Folder of the log.
    signing_key
        Sign what is said about losses with the key in this file instead of the one beside the log.
    """
    from infraspectre import logbook

    done = logbook.repair(folder, signing_key)
    if common.json:
        print_json([{"topic": each.topic, "lost_entries": each.lost_entries, "repair": each} for each in done])
    elif not common.quiet:
        for text in (text for each in done for text in mended(each)):
            print(text)
    return EXIT_LOSSES if any(each.lost_entries for each in done) else EXIT_DONE


def mended(repair: Repair) -> Iterator[str]:
    """Yield what was done to a topic, line by line."""
    for lost in repair.lost:
        kept = f"; its bytes are in {lost.kept}" if lost.kept else ""
        yield f"{repair.topic}: {entries(lost.first, lost.end)} lost: {lost.problem}{kept}"
    if repair.missing:
        yield f"{repair.topic}: {entries(0, repair.missing.end)} are missing"
    if repair.unfinished_bytes:
        yield f"{repair.topic}: {repair.unfinished_bytes:,} bytes of a write that was never acknowledged were cut off"
    if repair.restored_epoch:
        yield f"{repair.topic}: its epoch was taken from its entries"
    for consumer in repair.cursors:
        yield f"{repair.topic}: the cursor of {consumer} was damaged"
    yield f"{repair.topic}: {repair.lost_entries:,} entries lost"


def rotate(
    folder: Path, /, *, signing_key: Path | None = None, new_key: Path | None = None, common: Common = DEFAULT
) -> None:
    """Let a new key sign a log that nobody writes; the old one signs over to it.

    Parameters
    ----------
    folder
        Folder of the log.
    signing_key
        Hand over from the key in this file instead of the one beside the log.
    new_key
        Hand over to the key in this file; without it one is made, and lies beside the log from then on.
    """
    from infraspectre import logbook

    public = logbook.rotate(folder, signing_key, new_key)
    if common.json:
        print_json({"public_key": public})
    elif not common.quiet:
        print(public)


COMMANDS: dict[str, Function] = {
    "show": show, "verify": verify, "head": head, "export": export, "repair": repair, "rotate": rotate,
}  # fmt: skip
log = Group("Show, verify, export and repair the event log, and change the key that signs it.", COMMANDS)
