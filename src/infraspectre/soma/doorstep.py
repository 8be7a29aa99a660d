"""The doorstep of a casebook: flows of behaviour seen only once wait here, so that a scan cannot flush the cases."""

from __future__ import annotations

import polars as pl


class Doorstep:
    """Lets flows pass once their scope was seen twice; the first flow of a scope waits in its row, without a case.

    This is the doorkeeper of TinyLFU (Einziger et al., 2017), with the difference that it loses no flow.
    """

    def __init__(self, keys: tuple[str, ...], capacity: int) -> None:
        """Tell scopes by these columns; let at most `capacity` flows wait and remember as many scopes that passed."""
        self._scope = pl.struct(keys).hash()
        self._capacity = capacity
        self._waiting: pl.DataFrame | None = None
        self._passed = pl.Series(dtype=pl.UInt64)

    def __len__(self) -> int:
        return 0 if self._waiting is None else len(self._waiting)

    def admit(self, flows: pl.DataFrame) -> pl.DataFrame:
        """Return the flows of scopes seen before or twice by now, those that waited first."""
        if flows.is_empty():
            return flows
        flows = flows.with_columns(_scope=self._scope)
        if self._waiting is not None:
            flows = pl.concat([self._waiting, flows], how="vertical_relaxed")
        scope = flows["_scope"]
        passes = scope.is_in(self._passed.implode()) | scope.is_duplicated()
        self._waiting = flows.filter(~passes).tail(self._capacity)
        admitted = flows.filter(passes)
        self._passed = pl.concat([self._passed, admitted["_scope"]]).unique(maintain_order=True).tail(self._capacity)
        return admitted.drop("_scope")
