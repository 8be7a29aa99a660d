"""Batches of finished flows, as Arrow columns shared without copying."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl


class FlowBatch:
    """Holds the columns of some finished flows; one row per flow, in the order in which they ended."""

    def __init__(self, columns: Any) -> None:
        """Wrap anything that offers the Arrow PyCapsule interface, or a polars frame."""
        self.columns = columns

    @cached_property
    def frame(self) -> pl.DataFrame:
        """Return the rows as a polars frame over the same memory."""
        import polars as pl  # only here: whoever merely passes batches on should not wait for it

        return self.columns if isinstance(self.columns, pl.DataFrame) else pl.DataFrame(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.columns.__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        return f"FlowBatch of {len(self)} flows\n{self.frame}"
