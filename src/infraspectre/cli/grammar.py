"""The grammar of the command line: what a command takes is read from its function, and words become its values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import CodeType
from typing import Annotated, Any, Literal, NamedTuple, Protocol, get_args, get_origin, get_type_hints

from infraspectre.cli.options import Common
from infraspectre.errors import UsageError

REQUIRED: Any = object()
"""Stands in place of a default where there is none."""
STDIN = "-"
HELP = ("--help", "-h")
LIKENESS = 0.7
"""Share of equal letters from which a word may be meant for another (difflib's ratio)."""
REMEDY = "--help shows what the command takes"
METAVARS = {str: "STR", int: "INT", float: "FLOAT", Path: "PATH", bool: ""}
"""How each type of value is shown; a truth value is set by its option alone."""


class Option(NamedTuple):
    """Describes an option of a command, or one of its arguments if it has no flags."""

    parameter: str
    flags: tuple[str, ...]
    kind: Any
    choices: tuple[str, ...]
    is_many: bool
    default: Any
    text: str
    is_common: bool

    @property
    def label(self) -> str:
        """Return the name under which users know it."""
        return self.flags[0] if self.flags else self.parameter.upper()

    @property
    def metavar(self) -> str:
        """Return what stands for its value, nothing for a truth value."""
        return "CHOICE" if self.choices else METAVARS[self.kind]


class Function(Protocol):
    """Is a function that carries out a command and returns the exit status, or None for success."""

    __code__: CodeType
    __defaults__: tuple[Any, ...] | None
    __kwdefaults__: dict[str, Any] | None

    def __call__(self, *arguments: Any, **options: Any) -> int | None:
        """Carry out the command."""
        ...


class Group(NamedTuple):
    """Holds commands by their names: groups, functions, or what a command does as long as it is not imported."""

    text: str
    commands: Mapping[str, Group | Function | str]

    def command(self, name: str) -> Command:
        """Return a command of the group; one that is not imported yet is, from the file of its name."""
        found = self.commands[name]
        return getattr(import_module(f"infraspectre.cli.{name}"), name) if isinstance(found, str) else found


Command = Group | Function


def find(path: str, command: Command, words: Sequence[str]) -> tuple[str, Command, Sequence[str]]:
    """Return the path of the command that the first words name, the command, and the words after its name."""
    if not isinstance(command, Group) or not words or words[0] in HELP:
        return path, command, words
    name, *rest = words
    if name not in command.commands:
        remedy = suggestion(name, command.commands) or f"choose from {', '.join(command.commands)}"
        raise UsageError(f'Unknown command "{name}"', remedy=remedy)
    return find(f"{path} {name}", command.command(name), rest)


def walk(path: str, command: Command) -> Iterator[tuple[str, Command]]:
    """Yield a command and all commands below it, each with its path."""
    yield path, command
    if isinstance(command, Group):
        for name in command.commands:
            yield from walk(f"{path} {name}", command.command(name))


def options_of(command: Function) -> list[Option]:
    """Read the arguments and options of a command from its signature and docstring; the common options come last.

    What is positional only becomes an argument, what is keyword only an option, and a named tuple as many options as it
    has fields. `Annotated[..., "--name", "-N"]` gives an option other names than that of its parameter.
    """
    code = command.__code__
    names = code.co_varnames[: code.co_posonlyargcount]
    defaults = dict(zip(reversed(names), reversed(command.__defaults__ or ()), strict=False))
    hints = get_type_hints(command, include_extras=True)
    bundled = bundles(command)
    own = {name: hint for name, hint in hints.items() if name not in bundled and name != "return"}
    found = list(described(own, defaults | (command.__kwdefaults__ or {}), command.__doc__ or "", names))
    for kind in sorted(bundled.values(), key=lambda kind: kind is Common):
        texts = kind.__doc__ or ""
        hints = get_type_hints(kind, include_extras=True)
        found += described(hints, kind._field_defaults, texts, is_common=kind is Common)
    return found


def bundles(command: Function) -> dict[str, Any]:
    """Return the parameters of a command that stand for several options each, and the named tuples of these."""
    return {name: kind for name, kind in get_type_hints(command).items() if hasattr(kind, "_fields")}


def described(
    hints: Mapping[str, Any],
    defaults: Mapping[str, Any],
    docstring: str,
    arguments: Sequence[str] = (),
    *,
    is_common: bool = False,
) -> Iterator[Option]:
    """Yield the options that type hints, defaults and a docstring describe."""
    texts = parameter_texts(docstring)
    for name, hint in hints.items():
        kind, names = plain(hint)
        flags = () if name in arguments else names or (f"--{name.replace('_', '-')}",)
        is_many = get_origin(kind) is list
        kind = get_args(kind)[0] if is_many else kind
        choices = get_args(kind) if get_origin(kind) is Literal else ()
        default = defaults.get(name, REQUIRED)
        yield Option(name, flags, kind, choices, is_many, default, texts.get(name, ""), is_common)


def plain(hint: Any) -> tuple[Any, tuple[str, ...]]:
    """Return a type without its annotation and without None, and the names in the annotation."""
    names: tuple[str, ...] = ()
    if get_origin(hint) is Annotated:
        hint, *names_given = get_args(hint)
        names = tuple(names_given)
    kinds = [kind for kind in get_args(hint) if kind is not type(None)]
    is_optional = len(kinds) < len(get_args(hint))
    return kinds[0] if is_optional else hint, names


def paragraphs(docstring: str) -> tuple[str, str]:
    """Return the text of a numpydoc docstring and its section on parameters, both without indentation."""
    first, *rest = docstring.strip().splitlines()
    margin = min((len(line) - len(line.lstrip()) for line in rest if line.strip()), default=0)
    text, _, section = "\n".join([first, *(line[margin:] for line in rest)]).partition("Parameters\n----------\n")
    return text.strip(), section


def parameter_texts(docstring: str) -> dict[str, str]:
    """Return what a numpydoc docstring says about each parameter."""
    texts: dict[str, list[str]] = {}
    for line in paragraphs(docstring)[1].splitlines():
        if not line.startswith(" "):
            texts[line] = lines = []
        else:
            lines.append(line.strip())
    return {name: " ".join(lines) for name, lines in texts.items()}


def call(command: Function, words: Sequence[str]) -> int | None:
    """Call a command with the values that words stand for; raises UsageError where they stand for none."""
    options = options_of(command)
    given: dict[str, list[str]] = {}
    for option, text in assigned(options, words):
        texts = given.setdefault(option.parameter, [])
        if texts and not option.is_many:
            raise UsageError(f"{option.label} is given more than once", remedy=REMEDY)
        texts.append(text)
    values = {option.parameter: value(option, given.get(option.parameter)) for option in options}
    for name, kind in bundles(command).items():
        values[name] = kind(*(values.pop(field) for field in kind._fields))
    arguments = [values.pop(option.parameter) for option in options if not option.flags]
    return command(*arguments, **values)


def assigned(options: Sequence[Option], words: Sequence[str]) -> Iterator[tuple[Option, str]]:
    """Yield each option with the text given to it; words without an option go to the arguments in their order."""
    flags = {flag: option for option in options for flag in option.flags}
    places = [option for option in options if not option.flags]
    waiting = iter(words)
    for word in waiting:
        if word == STDIN or not word.startswith("-"):
            yield place(places, word), word
        elif word == "--":
            yield from ((place(places, rest), rest) for rest in waiting)
        else:
            flag, text = split(word)
            if flag not in flags:
                raise unknown(word, flags)
            yield flags[flag], text_for(flags[flag], text, waiting, flags)


def split(word: str) -> tuple[str, str | None]:
    """Return the flag and the text in --flag=text or -Ftext; the text is None where there is none."""
    if not word.startswith("--"):
        return word[:2], word[2:] or None
    flag, equals, text = word.partition("=")
    return flag, text if equals else None


def place(places: list[Option], word: str) -> Option:
    """Return the argument that takes the next word; one that takes many stays."""
    if not places:
        raise UsageError(f'Unexpected argument "{word}"', remedy=REMEDY)
    return places[0] if places[0].is_many else places.pop(0)


def unknown(word: str, flags: Iterable[str]) -> UsageError:
    """Return the error that nobody knows an option."""
    name = split(word)[0] if word.startswith("--") else word
    remedy = suggestion(name, flags) or f"--help lists them, and a file is named as ./{name}"
    return UsageError(f"Unknown option: {name}", remedy=remedy)


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return a question that names the known word most like this one; nothing if none is like it."""
    from difflib import get_close_matches

    return "".join(f"did you mean {match}?" for match in get_close_matches(word, known, n=1, cutoff=LIKENESS))


def text_for(option: Option, text: str | None, waiting: Iterator[str], flags: Mapping[str, Option]) -> str:
    """Return the text of an option: that joined to it, else the next word unless it is an option itself."""
    if option.kind is bool:
        if text is not None:
            raise UsageError(f"{option.label} takes no value", remedy=REMEDY)
        return ""
    if text is None and ((text := next(waiting, None)) is None or split(text)[0] in flags):
        raise missing(option)
    return text


def missing(option: Option) -> UsageError:
    """Return the error that an option or argument has no value."""
    return UsageError(f"{option.label} requires an argument", remedy=REMEDY)


def value(option: Option, texts: Sequence[str] | None) -> Any:
    """Return the value of an option: what its texts stand for, else its default."""
    if texts is None:
        if option.default is REQUIRED:
            raise missing(option)
        return option.default
    values = [converted(option, text) for text in texts]
    return values if option.is_many else values[0]


def converted(option: Option, text: str) -> Any:
    """Return the one value that a text stands for."""
    if option.kind is bool:
        return True
    if not text:
        raise UsageError(f"{option.label} is empty", remedy=REMEDY)
    if option.choices and text not in option.choices:
        remedy = f"choose from {', '.join(option.choices)}"
        raise UsageError(f'Invalid value "{text}" for {option.label}', remedy=remedy)
    if option.choices:
        return text
    try:
        return option.kind(text)
    except ValueError as error:
        remedy = "give a whole number" if option.kind is int else "give a number"
        raise UsageError(f'Invalid value "{text}" for {option.label}', remedy=remedy) from error
