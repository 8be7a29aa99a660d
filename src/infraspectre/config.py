"""Settings: a TOML file and the environment, decoded strictly into typed structs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from infraspectre.errors import ConfigError

ENVIRONMENT_PREFIX = "INFRASPECTRE_"
FILE_VARIABLE = "INFRASPECTRE_CONFIG"

Settings = TypeVar("Settings")


def load(schema: type[Settings], path: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings: defaults, overridden by the file, overridden by `INFRASPECTRE_SECTION__KEY` variables.

    Raises ConfigError with file, line and key for a setting that is unknown or has an impossible value.
    """
    environment = os.environ if environment is None else environment
    chosen = path or (Path(environment[FILE_VARIABLE]) if environment.get(FILE_VARIABLE) else None)
    text = read(chosen) if chosen else ""
    settings = parse(text, chosen)
    decode(schema, settings, chosen, text)
    overrides = from_environment(environment)
    return decode(schema, merge(settings, overrides), None, "", lax=bool(overrides))


def data_folder(environment: Mapping[str, str] | None = None) -> Path:
    """Return the folder for what is kept between runs (XDG Base Directory Specification 0.8)."""
    environment = os.environ if environment is None else environment
    chosen = Path(environment.get("XDG_DATA_HOME", ""))
    return (chosen if chosen.is_absolute() else Path.home() / ".local" / "share") / "infraspectre"


def is_given(environment: Mapping[str, str] | None = None) -> bool:
    """Tell whether the environment names a settings file or sets something itself."""
    environment = os.environ if environment is None else environment
    return bool(environment.get(FILE_VARIABLE) or from_environment(environment))


def read(path: Path) -> str:
    """Return the text of a settings file."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", path=path) from error
    except UnicodeDecodeError as error:
        raise ConfigError("is not a text file in UTF-8", path=path) from error


def parse(text: str, path: Path | None) -> dict[str, Any]:
    """Parse TOML into a plain mapping."""
    import re
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+)", str(error))
        raise ConfigError(f"not valid TOML: {error}", path=path, line=int(found[1]) if found else None) from error


def from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """Turn variables such as `INFRASPECTRE_FLOWS__UDP_IDLE_S=30` into a nested mapping."""
    settings: dict[str, Any] = {}
    for name in sorted(environment):
        if name.startswith(ENVIRONMENT_PREFIX) and "__" in name:
            *sections, key = name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
            place = settings
            for section in sections:
                place = place.setdefault(section, {})
            place[key] = environment[name]
    return settings


def merge(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of both mappings; where both have a value, the upper one holds."""
    merged = dict(lower)
    for key, value in upper.items():
        below = merged.get(key)
        both = isinstance(value, Mapping) and isinstance(below, Mapping)
        merged[key] = merge(below, value) if both else value  # type: ignore[arg-type]
    return merged


def decode(
    schema: type[Settings], settings: Mapping[str, Any], path: Path | None, text: str, *, lax: bool = False
) -> Settings:
    """Check a mapping against the schema; `lax` lets text from the environment stand for numbers."""
    import re

    import msgspec

    try:
        return msgspec.convert(settings, schema, strict=not lax)
    except msgspec.ValidationError as error:
        problem, _, where = str(error).partition(" - at `$")
        key = where.rstrip("`").lstrip(".")
        unknown = re.search(r"unknown field `(\w+)`", problem)
        if unknown:
            key = f"{key}.{unknown[1]}".lstrip(".")
            problem = "unknown setting"
        remedy = "'infraspectre config show' lists every setting"
        if path is None:
            key = f"{ENVIRONMENT_PREFIX}{key.replace('.', '__').upper()}"
        raise ConfigError(problem, path=path, line=line_of(key, text), field=key, remedy=remedy) from error


def line_of(key: str, text: str) -> int | None:
    """Return the number of the line on which a dotted key is set, from 1."""
    import re

    *_, name = key.split(".")
    section = key.removesuffix(name).rstrip(".")
    current = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[\s*([\w.\s]+?)\s*\]", line):
            current = header[1].replace(" ", "")
            if current == key:
                return number
        elif current == section and re.match(rf"\s*{re.escape(name)}\s*=", line):
            return number
    return None
