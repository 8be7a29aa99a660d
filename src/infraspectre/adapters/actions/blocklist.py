"""A blocklist file: one address a line, for whatever reads such lists; lines that are not ours stay as they are."""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from infraspectre.errors import InputError, OutputError
from infraspectre.files import write_whole, writing_to
from infraspectre.records.response import Action
from infraspectre.records.times import rfc3339

LINE = re.compile(r"(\S+) # infraspectre action=(\w+) incident=\S+ until=(\S+)")
WAIT_S = 0.05


class Blocklist:
    """Keeps addresses in a file until the leases of their actions end."""

    name = "blocklist"

    def __init__(self, path: Path, now: Callable[[], int] = time.time_ns) -> None:
        """Use a file, which is made by the first action."""
        self._path = path
        self._now = now

    def preview(self, action: Action) -> str:
        """Return the line that would be added."""
        return f"append to {self._path}: {_line(action)}"

    def run(self, action: Action) -> str:
        """Add the address, and drop those whose lease has ended."""
        with self._locked(action.deadline_s):
            self._rewrite(without=action.action_id, line=_line(action))
        return f"appended to {self._path}: {_line(action)}"

    def undo(self, action: Action) -> str:
        """Remove the line of an action, and those whose lease has ended."""
        with self._locked(action.deadline_s):
            self._rewrite(without=action.action_id)
        return f"removed from {self._path}: {action.target}"

    def _rewrite(self, without: str, line: str = "") -> None:
        now = rfc3339(self._now())
        kept = [each for each in self._lines() if not _is_over(each, without, now)]
        write_whole(self._path, "".join(f"{each}\n" for each in [*kept, *([line] if line else [])]).encode())

    def _lines(self) -> list[str]:
        try:
            return self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot be read as a list: {error}", path=self._path) from error

    @contextmanager
    def _locked(self, wait_s: float) -> Iterator[None]:
        """Hold the file against others that change it; raises OutputError if they hold it beyond the deadline."""
        lock = self._path.with_name(f".{self._path.name}.lock")
        with writing_to(lock), lock.open("wb") as file:
            end = time.monotonic() + wait_s
            while not _taken(file.fileno()):
                if time.monotonic() >= end:
                    raise OutputError(f"is held by another process for {wait_s:g} s", path=self._path)
                time.sleep(WAIT_S)
            yield
            os.fsync(file.fileno())


def _taken(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _line(action: Action) -> str:
    until = datetime.fromtimestamp(action.expires_at // 1_000_000_000, UTC)
    about = f"action={action.action_id} incident={action.incident_id}"
    return f"{action.target} # infraspectre {about} until={until:%Y-%m-%dT%H:%M:%SZ}"


def _is_over(line: str, without: str, now: str) -> bool:
    ours = LINE.fullmatch(line)
    return ours is not None and (ours[2] == without or ours[3] <= now)
