"""`infraspectre version`: which release this is."""

from __future__ import annotations

from infraspectre import __version__
from infraspectre.cli.options import DEFAULT, Common
from infraspectre.cli.output import print_json


def version(*, common: Common = DEFAULT) -> None:
    """Print the version."""
    if common.json:
        print_json({"version": __version__})
    elif not common.quiet:
        print(__version__)
