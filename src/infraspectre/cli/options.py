"""The options that every command takes."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Common(NamedTuple):
    """Says how a command reads its settings and speaks.

    Parameters
    ----------
    json
        Print the result as JSON on stdout and nothing else there.
    quiet
        Print nothing but errors.
    config
        Read settings from this TOML file.
    debug
        Show the traceback of an error.
    """

    json: bool = False
    quiet: bool = False
    config: Path | None = None
    debug: bool = False


DEFAULT = Common()
