"""Bits of a store of records flipped one by one: what is found, and whether a wrong answer ever goes unnoticed."""

from __future__ import annotations

import os
import random
import tempfile
from collections import Counter
from pathlib import Path

from tests import record_flips

from benches.report import Figure, Report
from infraspectre.adapters.record_store import open_sqlite

COUNT = int(os.environ.get("INFRASPECTRE_BENCH_FLIPS", "2_000"))
"""Bits that are flipped, drawn from the whole file; 100,000 take about an hour and a half."""
SEED = 11


def measure() -> Report:
    """Flip bits of a small store that has been closed, and ask it everything."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        record_flips.make(folder / "whole.db")
        whole = (folder / "whole.db").read_bytes()
        store = open_sqlite(folder / "whole.db", record_flips.Clock())
        right = record_flips.answers(store)
        store.close()
        bits = random.Random(SEED).sample(range(len(whole) * 8), COUNT)
        outcomes = Counter(record_flips.outcome(path, right) for _, path in record_flips.flipped(whole, folder, bits))
    return Report(
        [
            Figure("flipped bits", COUNT, "", "", "100,000"),
            Figure("found by verify", outcomes["found"]),
            Figure("refused, with what is damaged", outcomes["refused"]),
            Figure("without any effect", outcomes["unchanged"]),
            Figure("wrong answers unnoticed", outcomes["unnoticed"], "", "0", "0"),
        ]
    )
