"""Flows of a network interface as they end, from the core."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from infraspectre import _core
from infraspectre.capture.reader import FeatureSet
from infraspectre.errors import CaptureError
from infraspectre.ports import Account, Alerts
from infraspectre.records.flows import FlowBatch

if TYPE_CHECKING:
    import polars as pl

    from infraspectre.capture.ring import PacketRing
    from infraspectre.capture.settings import CaptureSettings, FlowSettings

PATIENCE_S = 1.0
"""How often whoever iterates may be interrupted."""


class EarlyFlows(FlowBatch):
    """Holds rows of flows that are still going, after their packets 1, 4, 16 or 64; `end_reason` is early."""


class LiveAccount(Account):
    """Counts packets from the kernel to the pipeline.

    received = dropped + packets + in_ring, and packets are in flows, without one, malformed, or fragments that wait.
    """

    def __init__(self) -> None:
        """Begin with nothing; what is shed is in `shed`, under packets_dropped, flows_shed and early_shed."""
        super().__init__()
        self.received = 0
        """Packets that passed the filter."""
        self.dropped = 0
        """Packets for which the kernel's ring had no room."""
        self.freezes = 0
        """How often the ring was full."""
        self.in_ring = 0
        """Packets that the kernel holds until they are read."""
        self.outages = 0
        """How often the interface went away."""


class LiveSource:
    """Gives the flows of an interface as they end, until it is stopped."""

    def __init__(
        self,
        interface: str,
        features: FeatureSet = "full",
        settings: CaptureSettings | None = None,
        flows: FlowSettings | None = None,
    ) -> None:
        """Listen to an interface; afterwards privileges are needed only to find it again should it go away.

        Raises CaptureError for an interface that cannot be listened to, ConfigError for a filter that is wrong.
        """
        self.interface = interface
        self.is_done = False
        self._gives_claims = False
        self._reader = opened(interface, features, settings, flows)

    def read(self, timeout_s: float = PATIENCE_S) -> FlowBatch | None:
        """Return the next batch; None when the time is over, or all was read after `stop`: then `is_done` is set."""
        try:
            columns = self._reader.read(timeout_s)
        except StopIteration:
            self.is_done = True
            return None
        if columns is None:
            return None
        return EarlyFlows(columns) if columns.is_early else FlowBatch(columns)

    def __iter__(self) -> Iterator[FlowBatch]:
        while not self.is_done:
            batch = self.read()
            if batch is not None:
                yield batch

    def record(self, ring: PacketRing) -> None:
        """Keep packets from now on in a ring, too."""
        self._reader.record(ring.recorder)

    def stop(self) -> None:
        """Let no further packet in; what was received is still given out."""
        self._reader.stop()

    def account(self) -> LiveAccount:
        """Return the account as it was a moment ago; it is exact once `is_done`. A fault of the interface is named."""
        summary = self._reader.summary()
        account = LiveAccount.of(summary)
        losses = {
            "packets_dropped": summary["dropped"],
            "flows_shed": summary["flows_shed"],
            "early_shed": summary["early_shed"],
        }
        account.shed = account.shed | {name: count for name, count in losses.items() if count}
        if not self._gives_claims:
            account.shed.pop("address_claims", None)
        if summary["fault"]:
            account.unreadable[self.interface] = summary["fault"]
        return account

    def claims(self) -> pl.DataFrame:
        """Return what hosts claimed by ARP about the owners of addresses, up to the batch read last."""
        import polars as pl  # only here: whoever merely passes batches on should not wait for it

        self._gives_claims = True
        return pl.concat([pl.DataFrame(columns) for columns in self._reader.claims()])

    def progress(self) -> tuple[int, int]:
        """Return the bytes on the wire so far, of an unknown number."""
        return self._reader.summary()["bytes"], 0

    def alerts(self) -> Alerts:
        """Return no alerts: an interface gives packets alone."""
        return ()


def opened(
    interface: str, features: FeatureSet, settings: CaptureSettings | None, flows: FlowSettings | None
) -> _core.LiveReader:
    """Open the reader of the core."""
    from infraspectre.capture.bpf import compiled  # only here: captures are read without it, and without msgspec
    from infraspectre.capture.settings import CaptureSettings

    chosen = settings or CaptureSettings()
    try:
        program = compiled(chosen.filter, _core.link_type(interface), chosen.snap_bytes) if chosen.filter else None
        return _core.LiveReader(
            interface,
            program=program,
            snap_bytes=chosen.snap_bytes,
            buffer_bytes=chosen.buffer_bytes,
            block_timeout_ms=chosen.block_timeout_ms,
            promiscuous=chosen.promiscuous,
            threads=chosen.threads,
            flush_ms=chosen.flush_ms,
            queue_batches=chosen.queue_batches,
            early=chosen.early,
            features=features,
            options=flows.options() if flows else None,
        )
    except AttributeError as error:
        raise CaptureError("live capture needs Linux", path=interface, remedy="read a capture file instead") from error
    except OSError as error:
        raise CaptureError(str(error), path=interface) from error
