"""Flows of packet captures, from the core."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from infraspectre import _core
from infraspectre.errors import CaptureError
from infraspectre.ports import Account, Alerts
from infraspectre.records.flows import FlowBatch

FeatureSet = Literal["base", "cic", "full"]
Seconds = Annotated[float, Meta(ge=0)]


class FlowSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds flows in time and the flow table in memory."""

    tcp_idle_s: Seconds = 300.0
    """A TCP flow without packets for so long has ended."""
    tcp_half_open_idle_s: Seconds = 60.0
    """The same, as long as only opening segments were seen."""
    udp_idle_s: Seconds = 60.0
    other_idle_s: Seconds = 60.0
    linger_s: Seconds = 5.0
    """How long a closed TCP flow waits for stragglers."""
    active_s: Seconds = 1800.0
    """A flow longer than this is reported and begun anew."""
    max_flows: Annotated[int, Meta(ge=1, le=1 << 32)] = 1 << 20
    """When the table is full, the flow whose idle timeout comes first is ended."""
    max_buffered_bytes: Annotated[int, Meta(ge=0, le=1 << 48)] = 64 << 20
    """Bytes held for reassembly; beyond it, no further streams are inspected."""


class CaptureSource:
    """Gives the flows of captures, merged by time."""

    def __init__(
        self, paths: Sequence[str], features: FeatureSet = "full", settings: FlowSettings | None = None
    ) -> None:
        """Open the captures; raises CaptureError when none of them can be opened."""
        try:
            options = msgspec.structs.asdict(settings or FlowSettings())
            self._reader = _core.FlowReader(list(paths), features=features, options=options)
        except (OSError, ValueError) as error:
            raise CaptureError(str(error)) from error

    def __iter__(self) -> Iterator[FlowBatch]:
        try:
            yield from map(FlowBatch, self._reader)
        except (OSError, ValueError) as error:
            raise CaptureError(str(error)) from error

    def account(self) -> Account:
        """Return what was read and lost so far."""
        told = dict(self._reader.summary())
        return msgspec.convert(told | {"without_flow": told.pop("other")}, Account)

    def progress(self) -> tuple[int, int]:
        """Return the bytes read and the bytes in all; 0 in all where that is unknown."""
        return self._reader.progress()

    def alerts(self) -> Alerts:
        """Return no alerts: captures hold packets alone."""
        return ()
