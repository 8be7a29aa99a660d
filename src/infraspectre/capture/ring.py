"""The packet ring: what a sensor captures, kept on its disk for a while, and the search in it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from infraspectre import _core
from infraspectre.capture.packets import Conversation, PacketSource
from infraspectre.errors import CaptureError, OutputError, UsageError
from infraspectre.files import writing_to

if TYPE_CHECKING:
    from infraspectre.capture.settings import RingSettings

HOUR_S = 3_600.0
OTHERS = 0o077
"""Permissions of all but the owner."""


class Search:
    """Gives the packets that a ring has of conversations as a pcapng file, piece by piece, and says what it lacks."""

    def __init__(self, source: PacketSource | None, since: int | None, first: int) -> None:
        """Search in segments that may hold some, None where none does; the ring reaches back to `since`."""
        self._source = source
        self._is_late = since is None or since > first

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._source or ())

    @property
    def packets(self) -> int:
        """Return how many packets were given so far."""
        return self._source.packets if self._source else 0

    @property
    def remarks(self) -> list[str]:
        """Return why packets may be missing."""
        found = ["its ring does not reach back to the beginning"] if self._is_late else []
        if self._source is not None and self._source.is_cut:
            found.append("there are more packets than were asked for")
        if self._source is not None and self._source.unreadable:
            found.append(f"{len(self._source.unreadable)} segments of its ring cannot be read to their end")
        return found


class PacketRing:
    """Keeps packets in segments on disk, the oldest of which go first."""

    def __init__(self, settings: RingSettings) -> None:
        """Open a ring; raises UsageError for a folder that others may read or that is in use, and OutputError."""
        self.folder = Path(settings.folder)
        with writing_to(self.folder):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._handle = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._claim()
            age_s = settings.hours * HOUR_S
            self.recorder = _core.PacketRecorder(
                str(self.folder), most_bytes=settings.bytes, snap_bytes=settings.snap_bytes, age_s=age_s
            )
        except OSError as error:
            self._let_go()
            raise OutputError(f"no packets can be kept: {error}", path=self.folder) from error
        except UsageError:
            self._let_go()
            raise

    def copy(self, paths: Sequence[str]) -> int:
        """Keep the packets of captures; return how many they have. Raises CaptureError where none can be opened."""
        try:
            return self.recorder.copy(list(paths))
        except OSError as error:
            raise CaptureError(str(error)) from error

    def search(self, conversations: Sequence[Conversation], span: tuple[int, int], most_bytes: int) -> Search:
        """Look for packets in the segments of a time span, in nanoseconds since the epoch.

        Raises CaptureError where the ring cannot be read.
        """
        try:
            segments = list(map(str, self.recorder.segments(*span)))
        except OSError as error:
            raise CaptureError(f"cannot be read: {error}", path=self.folder) from error
        source = PacketSource(segments, conversations, span, most_bytes) if segments else None
        return Search(source, self.recorder.account()["since"], span[0])

    def counters(self) -> dict[str, int]:
        """Return what became of packets, and what there is: offered = written + left_out + failed, once all is done."""
        account = self.recorder.account()
        counts = {f"ring_{name}": value for name, value in account.items() if isinstance(value, int)}
        return counts | {"ring_faults": int(account["fault"] is not None)}

    def close(self) -> None:
        """Write what is on its way; nothing more is kept."""
        self.recorder.close()
        self._let_go()

    def _claim(self) -> None:
        """Raise UsageError unless the folder is its owner's alone and no other ring's."""
        if os.fstat(self._handle).st_mode & OTHERS:
            raise UsageError("others may read the packets", path=self.folder, remedy="chmod 700")
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError("another sensor keeps packets there", path=self.folder, remedy="name another") from None

    def _let_go(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
