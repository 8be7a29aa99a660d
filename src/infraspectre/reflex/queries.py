"""Questions that playbooks ask, each in the languages of the tools that people have; they stand in `queries.yaml`."""

from __future__ import annotations

from functools import cache
from importlib.resources import as_file, files

import msgspec

from infraspectre.documents import read_yaml


class Query(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Is a question over flows.parquet and, where it can be asked of them, over other tools' records; all templates."""

    duckdb: str
    platform: str
    """Path and query of the API by which a platform, which has no such file, shows the rows."""
    zeek: str = ""
    suricata: str = ""
    splunk: str = ""

    @property
    def command(self) -> str:
        """Return the command that asks DuckDB."""
        return f'duckdb -c "{self.duckdb}"'

    @property
    def others(self) -> dict[str, str]:
        """Return how other tools are asked, by tool."""
        asked = {"zeek": self.zeek, "suricata": self.suricata, "splunk": self.splunk}
        return {tool: text for tool, text in asked.items() if text}


@cache
def queries() -> dict[str, Query]:
    """Load the questions that come with the package, once."""
    with as_file(files("infraspectre.reflex") / "queries.yaml") as path:
        return read_yaml(path, dict[str, Query])
