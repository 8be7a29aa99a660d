"""Payloads of packet captures: what flows carried, put together again by the core."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from infraspectre import _core
from infraspectre.errors import CaptureError
from infraspectre.ports import Account
from infraspectre.records.payload import Payload

ALL_PACKETS = (1 << 64) - 1


class CapturedPayloads:
    """Gives the payloads of captures, up to as many packets as are due."""

    def __init__(self, paths: Sequence[str], settings: Mapping[str, str], max_bytes: int) -> None:
        """Open the captures; raises CaptureError when none can be opened.

        `settings` have Suricata's dotted names; of a payload no more than `max_bytes` are kept.
        """
        try:
            self._reader = _core.PayloadReader(list(paths), settings=settings, max_bytes=max_bytes)
        except (OSError, ValueError) as error:
            raise CaptureError(str(error)) from error
        self.due = 0

    def payloads(self) -> Iterator[Payload]:
        """Yield the payloads that became complete since the last call, with the packets that are due."""
        while some := self._reader.read(self.due):
            yield from map(payload, some)

    def account(self) -> Account:
        """Return what was read and lost so far."""
        return Account.of(self._reader.summary())


def payload(found: _core.Payload) -> Payload:
    """Return a payload of the core as a record."""
    return Payload(
        name=found["name"],
        kind=found["kind"],
        chunks=(found["data"],),
        flow_id=found["flow_id"],
        started_at=found["started_at"],
        ended_at=found["ended_at"],
        orig=found["orig"],
        resp=found["resp"],
        packet=found["packet"],
    )
