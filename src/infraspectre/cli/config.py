"""`infraspectre config`: the settings in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infraspectre.cli.grammar import Group
from infraspectre.cli.options import DEFAULT, Common
from infraspectre.cli.output import print_json

if TYPE_CHECKING:
    from collections.abc import Iterator


def show(*, common: Common = DEFAULT) -> None:
    """Show every setting with the value in force, as a TOML file that could be given to --config."""
    import msgspec

    from infraspectre.app import load_settings

    settings = msgspec.to_builtins(load_settings(common.config))
    if common.json:
        print_json(settings)
    elif not common.quiet:
        print("\n".join(toml(settings)))


def toml(settings: dict[str, Any], section: str = "") -> Iterator[str]:
    """Yield the lines of a TOML document: values first, then sections."""
    import msgspec

    for key, value in settings.items():
        if not isinstance(value, dict) and value is not None:
            yield f"{key} = {msgspec.json.encode(value).decode()}"
    for key, value in settings.items():
        if isinstance(value, dict):
            name = f"{section}.{key}" if section else key
            yield f"\n[{name}]" if section else f"[{name}]"
            yield from toml(value, name)


config = Group("Show the settings in force.", {"show": show})
