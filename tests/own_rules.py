"""Own rules for tests: written in YAML, read, and run over flow frames."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from infraspectre.own_rules import fields
from infraspectre.records import Detection
from infraspectre.soma.rules import OwnRules, load_rules
from soma_runs import found_in


def found_by(folder: Path, text: str, flows: pl.DataFrame, size: int = 8_192) -> list[Detection]:
    """Return what the rules in a YAML text find in a frame given in batches of `size` rows."""
    path = folder / "rules.yaml"
    path.write_text(text, encoding="utf-8")
    rules = load_rules([path], fields())
    return found_in(lambda: OwnRules(rules), flows, size)
