"""Flows of packet captures, from the core."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from infraspectre import _core
from infraspectre.errors import CaptureError
from infraspectre.ports import Account, Alerts
from infraspectre.records.flows import FlowBatch

if TYPE_CHECKING:
    import polars as pl

    from infraspectre.capture.settings import FlowSettings

FeatureSet = Literal["base", "cic", "full"]
CLAIMS = "address_claims"
"""What the core calls the claims that found no room."""


class CaptureSource:
    """Gives the flows of captures, merged by time."""

    def __init__(
        self, paths: Sequence[str], features: FeatureSet = "full", settings: FlowSettings | None = None
    ) -> None:
        """Open the captures; raises CaptureError when none can be opened. Settings default to those of the core."""
        try:
            options = settings.options() if settings else None
            self._reader = _core.FlowReader(list(paths), features=features, options=options)
        except (OSError, ValueError) as error:
            raise CaptureError(str(error)) from error
        self._gives_claims = False

    def __iter__(self) -> Iterator[FlowBatch]:
        try:
            yield from map(FlowBatch, self._reader)
        except (OSError, ValueError) as error:
            raise CaptureError(str(error)) from error

    def account(self) -> Account:
        """Return what was read and lost so far; claims count as lost only where somebody takes them."""
        account = Account.of(self._reader.summary())
        if not self._gives_claims:
            account.shed = {name: count for name, count in account.shed.items() if name != CLAIMS}
        return account

    def claims(self) -> pl.DataFrame:
        """Return what hosts claimed by ARP about the owners of addresses since the last call, packet by packet."""
        import polars as pl  # only here: whoever merely writes flows should not wait for it

        self._gives_claims = True
        return pl.DataFrame(self._reader.claims())

    def progress(self) -> tuple[int, int]:
        """Return the bytes read and the bytes in all; 0 in all where that is unknown."""
        return self._reader.progress()

    def alerts(self) -> Alerts:
        """Return no alerts: captures hold packets alone."""
        return ()
