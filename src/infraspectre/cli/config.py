"""`infraspectre config`: make, check and show settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from infraspectre.cli.grammar import Group
from infraspectre.cli.options import DEFAULT, Common
from infraspectre.cli.output import note, print_json
from infraspectre.errors import EXIT_BAD_INPUT, EXIT_DONE, UsageError

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


def init(*, out: Path = Path("infraspectre.yaml"), common: Common = DEFAULT) -> None:
    """Write a settings file in which every setting stands with its meaning and default, as a comment.

    Parameters
    ----------
    out
        Write this file, which must not be there.
    """
    from infraspectre import config as reading
    from infraspectre.files import write_whole
    from infraspectre.settings import Settings

    if out.exists():
        raise UsageError("is there already", path=out, remedy="name another file with --out")
    write_whole(out, reading.document(Settings).encode())
    if common.json:
        print_json({"path": out})
    elif not common.quiet:
        note(f"settings: {out}")


def check(file: Path, /, *, common: Common = DEFAULT) -> int:
    """Name everything that is wrong with a settings file, with line and key.

    Parameters
    ----------
    file
        The settings file, YAML or TOML.
    """
    from infraspectre import config as reading
    from infraspectre.settings import Settings

    problems = reading.check(Settings, file)
    if common.json:
        named = ("path", "line", "problem", "remedy")
        told = [{"key": each.field, **{name: getattr(each, name) for name in named}} for each in problems]
        print_json({"problems": told})
    else:
        for problem in problems:
            note(f"error: {problem.message}")
        if not problems and not common.quiet:
            note(f"{file}: every setting is known and possible")
    return EXIT_BAD_INPUT if problems else EXIT_DONE


config = Group("Make, check and show settings.", {"init": init, "check": check, "show": show})
