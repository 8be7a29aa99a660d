from __future__ import annotations

import json
from pathlib import Path

from infraspectre.records.queries import OPERATORS
from infraspectre.records.tables import flows_table

COLUMNS = Path(__file__).parents[2] / "console/src/flows/columns.json"


def test_the_console_knows_every_column_of_flows_and_how_it_is_compared() -> None:
    """`python tools/console.py` writes them anew."""
    table = flows_table()
    told = {each["name"]: each["kind"] for each in json.loads(COLUMNS.read_text())}
    assert told == {name: table.fields.get(name) for name in table.columns}
    assert set(filter(None, told.values())) <= set(OPERATORS)
