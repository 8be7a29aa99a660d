"""The options that every command takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from infraspectre.errors import UsageError


def refuse_options(_: type, inputs: list[str]) -> None:
    """Raise UsageError for an option that nobody knows; - alone is stdin."""
    for name in inputs:
        if name.startswith("-") and name != "-":
            raise UsageError(f"Unknown option: {name}", remedy=f"--help lists them, and a file is named as ./{name}")


Inputs = Annotated[list[str], Parameter(negative=(), allow_leading_hyphen=True, validator=refuse_options)]
"""Captures, logs or folders, or - for stdin."""


@Parameter(name="*", group="Common options", negative=())
@dataclass(frozen=True)
class Common:
    """Says how a command reads its settings and speaks."""

    json: bool = False
    """Print the result as JSON on stdout and nothing else there."""
    quiet: bool = False
    """Print nothing but errors."""
    config: Path | None = None
    """Read settings from this TOML file."""
    debug: bool = False
    """Show the traceback of an error."""


DEFAULT = Common()
