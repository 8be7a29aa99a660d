"""What all log readers share: rows become batches of flows, and their counts become the account."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from infraspectre.adapters.columns import BATCH_ROWS, batch
from infraspectre.adapters.fields import Row
from infraspectre.adapters.lines import LineFile
from infraspectre.errors import InputError
from infraspectre.ports import Account, Alerts
from infraspectre.records.flows import FlowBatch


class LogSource:
    """Gives rows read from logs as batches of flows, and adds up what they say."""

    def __init__(
        self,
        files: Sequence[LineFile],
        rows: Iterable[Row],
        features: str = "full",
        alerts: Alerts = (),
    ) -> None:
        """Take rows that are read from files; `alerts` grow with them."""
        self._files = files
        self._rows = iter(rows)
        self._features = features
        self._alerts = alerts
        self._account = Account()

    def __iter__(self) -> Iterator[FlowBatch]:
        while rows := list(islice(self._rows, BATCH_ROWS)):
            for row in rows:
                count(self._account, row)
            yield batch(rows, self._features)
        self._report_losses()

    def _report_losses(self) -> None:
        """Add to the account what could not be read; raises InputError when nothing could."""
        losses = [file.loss for file in self._files if file.loss is not None]
        if losses and not self._account.flows:
            raise losses[0]
        self._account.unreadable |= {str(loss.path): reason(loss) for loss in losses}

    def account(self) -> Account:
        """Return what the flows so far add up to, as far as the logs know."""
        return self._account

    def progress(self) -> tuple[int, int]:
        """Return the bytes read and the bytes in all."""
        return sum(file.read_bytes for file in self._files), sum(file.size for file in self._files)

    def alerts(self) -> Alerts:
        """Return the alerts that came with the flows so far."""
        return self._alerts


def reason(loss: InputError) -> str:
    """Return what a log lost, and where in it."""
    line = f"line {loss.line}" if loss.line else None
    return ": ".join(part for part in (line, loss.field, loss.problem) if part)


def count(account: Account, row: Row) -> None:
    """Add a row to an account."""
    account.flows += 1
    for side in ("orig", "resp"):
        account.packets += row.get(f"{side}_packets") or 0
        account.bytes += row.get(f"{side}_ip_bytes") or 0
    if (started := row.get("started_at")) is not None:
        account.capture_start = started if account.capture_start is None else min(started, account.capture_start)
    if (ended := row.get("ended_at")) is not None:
        account.capture_end = ended if account.capture_end is None else max(ended, account.capture_end)
