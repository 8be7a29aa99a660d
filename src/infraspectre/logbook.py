"""The composition root of the care for event logs: a folder in; what it holds, and what is wrong with it, out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from infraspectre.adapters.system_clock import SystemClock
from infraspectre.errors import InputError
from infraspectre.records.times import rfc3339

if TYPE_CHECKING:
    from infraspectre.adapters.log.local import LocalLog
    from infraspectre.adapters.log.looking import Overview
    from infraspectre.adapters.log.repairing import Repair
    from infraspectre.adapters.log.verifying import Head, Verdict
    from infraspectre.records.events import Entry

MOST_HEAD_BYTES = 1 << 20


def overviews(folder: Path) -> list[Overview]:
    """Return what each topic of a log holds."""
    from infraspectre.adapters.log.layout import topics_in
    from infraspectre.adapters.log.looking import TopicView

    return [TopicView(folder, name).overview() for name in topics_in(folder)]


def verify(folder: Path, topic: str | None, key: Path | None, remembered: Path | None) -> list[Verdict]:
    """Check a log against a public key, else the one beside it, and against ends that were remembered."""
    from infraspectre.adapters.log.keys import public_file
    from infraspectre.adapters.log.layout import KEY_FILE
    from infraspectre.adapters.log.verifying import verify as verdicts
    from infraspectre.adapters.signing import public_key

    own = public_file(folder / KEY_FILE)
    source = key or (own if own.exists() else None)
    trusted = None if source is None else public_key(source)
    return verdicts(folder, trusted, heads_in(remembered) if remembered else (), [topic] if topic else None)


def heads_in(path: Path) -> Sequence[Head]:
    """Read remembered ends, a JSON object a line; raises InputError."""
    from infraspectre.adapters.log.verifying import Head

    try:
        with path.open("rb") as file:
            lines = file.read(MOST_HEAD_BYTES).splitlines()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from error
    heads = []
    for number, line in enumerate(lines, start=1):
        try:
            heads.append(msgspec.json.decode(line, type=Head))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            remedy = "give what 'infraspectre log head' printed"
            raise InputError(f"is no end of a log: {error}", path=path, line=number, remedy=remedy) from error
    return heads


def exported(folder: Path, topic: str, start: int, end: int | None) -> Iterator[dict[str, Any]]:
    """Yield entries as they are published, and gaps in place of what cannot be read."""
    from infraspectre.adapters.log.looking import TopicView
    from infraspectre.records.events import GapError

    for each in TopicView(folder, topic).entries(start, end):
        yield {"gap": each.problem, "after": each.after} if isinstance(each, GapError) else entry_object(each)


def entry_object(entry: Entry) -> dict[str, Any]:
    """Return an entry as it is published: as text if it is one, else in base64."""
    import base64

    about = {"sequence": entry.sequence, "at": rfc3339(entry.at)}
    try:
        return about | {"data": entry.data.decode()}
    except UnicodeDecodeError:
        return about | {"base64": base64.b64encode(entry.data).decode()}


def repair(folder: Path, signing_key: Path | None) -> list[Repair]:
    """Mend a log that nobody writes."""
    from infraspectre.adapters.log.repairing import repair as mend

    with closing(folder, signing_key) as log:
        return mend(log)


def rotate(folder: Path, signing_key: Path | None, new_key: Path | None) -> str:
    """Let another key sign a log that nobody writes, and return the public one in hexadecimal."""
    with closing(folder, signing_key) as log:
        return log.rotate(new_key)


@contextmanager
def closing(folder: Path, signing_key: Path | None) -> Iterator[LocalLog]:
    """Open a log that is there, and close it; raises InputError for a folder that is none."""
    from infraspectre.adapters.log.layout import topics_in
    from infraspectre.adapters.log.local import LocalLog

    if not topics_in(folder):
        raise InputError("is no event log", path=folder, remedy="name the folder that holds the folder 'topics'")
    log = LocalLog(folder, SystemClock(), key=signing_key)
    try:
        yield log
    finally:
        log.close()
