"""Settings of the flow table and of live capture."""

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


class CaptureSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Says how an interface is listened to."""

    filter: str = ""
    """Which packets, in tcpdump's language (pcap-filter(7)); empty for all. The outer VLAN tag is not seen by it."""
    snap_bytes: Annotated[int, Meta(ge=64, le=262_144)] = 262_144
    """Bytes kept of each packet; cut payloads are counted, lengths stay those on the wire."""
    buffer_bytes: Annotated[int, Meta(ge=1 << 19, le=1 << 34)] = 64 << 20
    """Memory that the kernel fills while nobody reads, for each thread."""
    block_timeout_ms: Annotated[int, Meta(ge=0, le=1_000)] = 1
    """The kernel hands over packets after so long at the latest; 0 is at once, with room for fewer of them."""
    promiscuous: bool = True
    """Listen also to what is sent to others."""
    threads: Annotated[int, Meta(ge=1, le=64)] = 1
    """The kernel divides flows between so many; damped statistics of hosts then count what one of them sees."""
    flush_ms: Annotated[float, Meta(ge=0, le=60_000)] = 1.0
    """Batches that are not full follow one another no faster than this."""
    early: bool = False
    """Give rows of flows that are still going, too, after their packets 1, 4, 16 and 64."""
    queue_batches: Annotated[int, Meta(ge=1, le=65_536)] = 64
    """Batches that wait for the pipeline; beyond it, rows are shed and counted."""


class RingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Says which packets a sensor keeps on its disk, and for how long."""

    folder: str
    """Folder of the ring, which is made for its owner alone."""
    bytes: Annotated[int, Meta(ge=16 << 20, le=1 << 50)] = 1 << 30
    """Bytes on disk at the most; then the oldest packets go first."""
    snap_bytes: Annotated[int, Meta(ge=64, le=262_144)] = 262_144
    """Bytes kept of each packet."""
    hours: Annotated[float, Meta(gt=0, le=24 * 366)] = 24.0
    """Packets go after so long, however much room there is."""
