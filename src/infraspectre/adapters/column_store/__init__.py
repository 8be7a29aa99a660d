"""Tables of flows and detections in Parquet: a journal takes what comes, compaction sorts it into days.

TENANT/TABLE/ holds
  manifest.json, manifest.copy.json  which parts there are, with sizes and digests; replaced as a whole
  journal-NUMBER                     appended batches as Arrow IPC, each behind a header with digests
  DAY/NUMBER.parquet                 a chunk: rows with all their columns, sorted by time; immutable
  DAY/NUMBER.listed.parquet          a part: rows of many chunks with the columns of lists alone, quick to search
  DAY/NUMBER.blocks                  the same by 512 rows each, to read rows that lie far apart
  DAY/NUMBER.tops.parquet            the rows of a part with the highest numbers
  DAY/NUMBER.names, .ranks           addresses and names in a part with the rows that have each, and what sorts rows
  DAY/NUMBER.keys                    hashes of the keys in a part
  batches-NUMBER                     hashes of the names of batches that compaction took over, the last ones
  damaged/                           what was found damaged, set aside
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from infraspectre.lazy import lazy

if TYPE_CHECKING:
    from infraspectre.adapters.column_store.store import ParquetTables

__all__ = ["ParquetTables"]
__getattr__ = lazy(__name__, {"ParquetTables": "store"})
