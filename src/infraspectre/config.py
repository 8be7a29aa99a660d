"""Settings: a YAML or TOML file and the environment, decoded strictly into typed structs that describe themselves."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from infraspectre.errors import ConfigError, InputError

ENVIRONMENT_PREFIX = "INFRASPECTRE_"
FILE_VARIABLE = "INFRASPECTRE_CONFIG"
YAML_SUFFIXES = (".yaml", ".yml")
MOST_PROBLEMS = 100
"""Problems of one file that are named at once."""
REMEDY = "'infraspectre config show' lists every setting"
FILE_REMEDY = "'infraspectre config init' writes a file with every setting as a comment"

Settings = TypeVar("Settings")


class Given(NamedTuple):
    """Holds settings as somebody wrote them, and where each stands."""

    settings: dict[str, Any]
    path: Path | None = None
    line_of: Callable[[str], int | None] = lambda _: None
    """Returns the line of a dotted key, None where there are no lines."""

    def problem(self, text: str, key: str, remedy: str) -> ConfigError:
        """Return the error that something is wrong with a setting; in the environment it is a variable."""
        if self.path is None:
            variable = f"{ENVIRONMENT_PREFIX}{key.replace('.', '__').upper()}"
            return ConfigError(text, field=variable, remedy=remedy)
        return ConfigError(text, path=self.path, line=self.line_of(key), field=key, remedy=remedy)


def load(schema: type[Settings], path: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings: defaults, overridden by the file, overridden by `INFRASPECTRE_SECTION__KEY` variables.

    Raises ConfigError with file, line and key for each setting that is unknown or has an impossible value.
    """
    environment = os.environ if environment is None else environment
    chosen = path or (Path(environment[FILE_VARIABLE]) if environment.get(FILE_VARIABLE) else None)
    given = read(chosen) if chosen else Given({})
    decode(schema, given)
    overrides = from_environment(environment)
    return decode(schema, Given(merge(given.settings, overrides)), lax=bool(overrides))


def check(schema: type[Settings], path: Path) -> list[ConfigError]:
    """Return everything that is wrong with a settings file."""
    try:
        return decoded(schema, read(path))[1]
    except ConfigError as error:
        return [error]


def data_folder(environment: Mapping[str, str] | None = None) -> Path:
    """Return the folder for what is kept between runs (XDG Base Directory Specification 0.8)."""
    environment = os.environ if environment is None else environment
    chosen = Path(environment.get("XDG_DATA_HOME", ""))
    return (chosen if chosen.is_absolute() else Path.home() / ".local" / "share") / "infraspectre"


def is_given(environment: Mapping[str, str] | None = None) -> bool:
    """Tell whether the environment names a settings file or sets something itself."""
    environment = os.environ if environment is None else environment
    return bool(environment.get(FILE_VARIABLE) or from_environment(environment))


def read(path: Path) -> Given:
    """Read a settings file, YAML by its suffix, else TOML; raises ConfigError naming file and line."""
    from infraspectre.documents import read_document, read_text

    try:
        if path.suffix.lower() not in YAML_SUFFIXES:
            return parse(read_text(path), path)
        document = read_document(path)
    except InputError as error:
        raise ConfigError(error.problem, path=path, line=error.line, remedy=error.remedy or FILE_REMEDY) from error
    content = {} if document.content is None else document.content
    if not isinstance(content, dict):
        raise ConfigError("holds no sections", path=path, line=1, remedy="write SECTION: and settings below it")
    return Given(filled(content), path, lambda key: document.line_of(f"$.{key}"))


def filled(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings without keys that stand there alone, as sections do of which every line is a comment."""
    return {
        key: filled(value) if isinstance(value, Mapping) else value
        for key, value in settings.items()
        if value is not None
    }


def parse(text: str, path: Path | None) -> Given:
    """Parse TOML; raises ConfigError naming file and line."""
    import re
    import tomllib

    try:
        return Given(tomllib.loads(text), path, lambda key: line_of(key, text))
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+)", str(error))
        line = int(found[1]) if found else text.count("\n") + 1  # what is missing is missing at the end
        raise ConfigError(f"not valid TOML: {error}", path=path, line=line, remedy=FILE_REMEDY) from error


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


def decode(schema: type[Settings], given: Given, *, lax: bool = False) -> Settings:
    """Return settings as the schema has them; raises ConfigError with all that is wrong.

    `lax` lets text from the environment stand for numbers.
    """
    settings, problems = decoded(schema, given, lax=lax)
    if settings is None or problems:
        first, *others = problems
        raise ConfigError(
            first.problem, path=first.path, line=first.line, field=first.field, remedy=first.remedy, others=others
        )
    return settings


def decoded(schema: type[Settings], given: Given, *, lax: bool = False) -> tuple[Settings | None, list[ConfigError]]:
    """Return the settings without what is wrong in them, None where nothing else is left, and all that is wrong."""
    import msgspec

    rest, problems = merge(given.settings, {}), list[ConfigError]()
    while len(problems) < MOST_PROBLEMS:
        try:
            return msgspec.convert(rest, schema, strict=not lax), problems
        except msgspec.ValidationError as error:
            text, key = told(error)
            problems.append(given.problem(text, key, remedy_for(schema, key)))
            if (left := without(rest, key.split("."))) is None:
                break
            rest = left
    return None, problems


def remedy_for(schema: type[Any], key: str) -> str:
    """Return what to write instead: what a setting may be, or the known one that is most like an unknown one."""
    from difflib import get_close_matches

    import msgspec

    known = {each.name: each for each in settings_and_sections(described(schema))}
    setting = known.get(key.partition("[")[0])
    if setting is None:
        like = get_close_matches(key, known, 1)
        return f"did you mean {like[0]}? {REMEDY}" if like else REMEDY
    if setting.settings is not None:
        return f"write settings below it; {REMEDY}"
    return f"write {setting.kind}; the default is {msgspec.json.encode(setting.default).decode()}"


def settings_and_sections(found: Iterable[Setting]) -> Iterator[Setting]:
    """Yield settings and sections, those within sections too."""
    for each in found:
        yield each
        yield from settings_and_sections(each.settings or ())


def told(error: Exception) -> tuple[str, str]:
    """Return what msgspec found wrong, and the dotted key at which it is."""
    import re

    problem, _, where = str(error).partition(" - at `$")
    key = where.rstrip("`").lstrip(".")
    unknown = re.search(r"unknown field `(.*)`", problem)
    if unknown:
        return "unknown setting", f"{key}.{unknown[1]}".lstrip(".")
    return problem, key


def without(settings: Mapping[str, Any], steps: Sequence[str]) -> dict[str, Any] | None:
    """Return a copy of settings without that to which keys lead, or the list that holds it; None if it is not there."""
    first, *others = steps
    name = first.partition("[")[0]
    if name not in settings:
        return None
    below = settings[name]
    if others and first == name and isinstance(below, Mapping) and (left := without(below, others)) is not None:
        return {**settings, name: left}
    return {key: value for key, value in settings.items() if key != name}


def line_of(key: str, text: str) -> int | None:
    """Return the number of the line on which a dotted key is set in TOML, from 1."""
    import re

    *_, name = key.partition("[")[0].split(".")
    section = key.partition("[")[0].removesuffix(name).rstrip(".")
    current = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[\s*([\w.\s]+?)\s*\]", line):
            current = header[1].replace(" ", "")
            if current == key:
                return number
        elif current == section and re.match(rf"\s*{re.escape(name)}\s*=", line):
            return number
    return None


class Setting(NamedTuple):
    """Describes a setting, or a section if `settings` are given."""

    name: str
    """Its dotted key."""
    text: str
    """What it means, from the docstring beside it; empty where its name says all."""
    kind: str = ""
    default: Any = None
    settings: tuple[Setting, ...] | None = None


def described(schema: type[Any], prefix: str = "") -> Iterator[Setting]:
    """Yield what can be set in a struct: settings first, then sections."""
    import msgspec

    texts = attribute_texts(schema)
    fields = msgspec.structs.fields(schema)
    for field in sorted(fields, key=lambda each: is_section(each.type)):
        name = prefix + field.encode_name
        if is_section(field.type):
            text = (field.type.__doc__ or "").strip().split("\n\n")[0]
            yield Setting(name, text, settings=tuple(described(field.type, f"{name}.")))
        else:
            default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
            yield Setting(name, texts.get(field.name, ""), kind_of(field.type), default)


def is_section(kind: Any) -> bool:
    """Tell whether a type is a struct."""
    import msgspec

    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def attribute_texts(schema: type[Any]) -> dict[str, str]:
    """Return the docstrings below the attributes of a class, which only its source has."""
    import ast
    import inspect
    from textwrap import dedent

    [body] = ast.parse(dedent(inspect.getsource(schema))).body
    texts, last = {}, ""
    for statement in body.body if isinstance(body, ast.ClassDef) else []:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            last = statement.target.id
        elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant) and last:
            texts[last] = " ".join(str(statement.value.value).split())
        else:
            last = ""
    return texts


def kind_of(kind: Any) -> str:
    """Return in words what a setting may be."""
    import msgspec

    return in_words(msgspec.inspect.type_info(kind))


WORDS = {"IntType": "whole number", "FloatType": "number", "StrType": "text", "BoolType": "true or false"}
BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


def in_words(info: Any) -> str:
    """Return in words what msgspec says about a type."""
    name = type(info).__name__
    if name == "LiteralType":
        return " or ".join(str(value) or '""' for value in info.values)
    if name == "UnionType":
        return " or ".join(in_words(each) for each in info.types)
    if name in ("VarTupleType", "ListType"):
        return f"list, each {in_words(info.item_type)}"
    if name == "DictType":
        return f"names, each with {in_words(info.value_type)}"
    limits = [(words, getattr(info, key, None)) for key, words in BOUNDS.items()]
    bounds = [f"{words} {plain(limit)}" for words, limit in limits if limit is not None]
    return ", ".join([WORDS.get(name, name.removesuffix("Type").lower()), *bounds])


def plain(limit: float) -> float:
    """Return a whole number without a point: of equal annotations, Python keeps whichever was made first."""
    return int(limit) if limit == int(limit) else limit


def document(schema: type[Any]) -> str:
    """Return a YAML file with every setting, its meaning and its default, all as comments but the sections."""
    return "\n".join(["# Settings of InfraSpectre; remove the # before those that you change.", *lines(schema)]) + "\n"


def lines(schema: type[Any]) -> Iterator[str]:
    """Yield the lines of the settings file."""
    for setting in described(schema):
        yield from ["", *written(setting, 0)]


def written(setting: Setting, depth: int) -> Iterator[str]:
    """Yield the lines of a setting or section; sections are comments, too, as YAML knows no empty section."""
    import textwrap

    import msgspec

    margin, name = "  " * depth, setting.name.rpartition(".")[2]
    yield from textwrap.wrap(setting.text, 110, initial_indent=f"{margin}# ", subsequent_indent=f"{margin}# ")
    if setting.settings is None:
        default = msgspec.json.encode(setting.default).decode()
        yield f"{margin}#{name}: {default}  # {setting.kind}"
        return
    yield f"{margin}{name}: {{}}" if not setting.settings else f"{margin}{name}:"
    for each in setting.settings:
        yield from written(each, depth + 1)
