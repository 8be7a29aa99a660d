"""Settings of the flow table."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Seconds = Annotated[float, Meta(ge=0)]


class FlowSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds flows in time and the flow table in memory; the defaults are those of the core."""

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

    def options(self) -> dict[str, float]:
        """Return the settings as the core takes them."""
        return msgspec.structs.asdict(self)
