"""Help pages for the terminal and for the reference, from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator

from infraspectre.cli.grammar import HELP, REQUIRED, Command, Group, Option, options_of, paragraphs, walk

Sections = dict[str, list[tuple[str, str]]]
"""What a page lists, by its titles: names, each with a text."""
EXIT_STATUSES = "Exit status: 0 done; 1 failed; 2 wrong usage or bad input; 3 done with losses that are reported."
WIDEST = 100
"""Columns of the widest page that reads well."""
NARROWEST = 20
"""Columns that a text has even where the terminal has fewer."""


def page(path: str, command: Command) -> str:
    """Return the help page of a command for the terminal."""
    lists = ["\n".join([f"{title}:", *rows(lines)]) for title, lines in sections(command).items()]
    texts = map(filled, text_of(command).split("\n\n"))
    return "\n\n".join([f"Usage: {usage(path, command)}", *texts, *lists, filled(EXIT_STATUSES)])


def reference(path: str, command: Command) -> str:
    """Return the pages of a command and of all below it as one document in Markdown."""
    chapters = (chapter(*found) for found in walk(path, command))
    return "\n".join([*chapters, EXIT_STATUSES, ""])


def chapter(path: str, command: Command) -> str:
    """Return the page of a command in Markdown."""
    head = f"{'#' * len(path.split())} {path}\n\n```console\n{usage(path, command)}\n```\n\n{text_of(command)}\n"
    lists = (
        "\n".join([f"\n**{title}**:\n", *(f"* {link(path, name, command)}: {text}" for name, text in lines), ""])
        for title, lines in sections(command).items()
    )
    return head + "".join(lists)


def link(path: str, name: str, command: Command) -> str:
    """Return a name in Markdown; that of a command leads to its chapter."""
    return f"[`{name}`](#{path} {name})".replace(" ", "-") if isinstance(command, Group) else f"`{name}`"


def text_of(command: Command | str) -> str:
    """Return all that is said about a command."""
    if isinstance(command, str):
        return command
    return command.text if isinstance(command, Group) else paragraphs(command.__doc__ or "")[0]


def summary(command: Command | str) -> str:
    """Return what a command does, in one sentence."""
    return text_of(command).split("\n")[0]


def usage(path: str, command: Command) -> str:
    """Return how to call a command."""
    if isinstance(command, Group):
        return f"{path} COMMAND"
    options = options_of(command)
    needed = (f"{option.label} {option.metavar}" for option in options if option.flags and option.default is REQUIRED)
    arguments = (argument(option) for option in options if not option.flags)
    return " ".join([path, *needed, "[OPTIONS]", *arguments])


def argument(option: Option) -> str:
    """Return an argument as usage shows it: in brackets if it may be left out, with dots if there may be more."""
    name = option.label + "..." * option.is_many
    return name if option.default is REQUIRED else f"[{name}]"


def sections(command: Command) -> Sections:
    """Return what a page lists."""
    if isinstance(command, Group):
        return {"Commands": [(name, summary(below)) for name, below in command.commands.items()]}
    listed: Sections = {"Arguments": [], "Options": [], "Common options": []}
    for option in options_of(command):
        title = "Common options" if option.is_common else "Options" if option.flags else "Arguments"
        listed[title].append((name_of(option), " ".join([option.text, *remarks(option)])))
    listed["Common options"].append((", ".join(HELP), "Show this page."))
    return {title: lines for title, lines in listed.items() if lines}


def name_of(option: Option) -> str:
    """Return an option with all its flags and what stands for its value."""
    return f"{', '.join(option.flags)} {option.metavar}".rstrip() if option.flags else option.label


def remarks(option: Option) -> Iterator[str]:
    """Yield what is to be known about the value of an option."""
    if option.default is REQUIRED:
        yield "[required]"
    if option.choices:
        yield f"[choices: {', '.join(option.choices)}]"
    if option.default not in (REQUIRED, None) and option.kind is not bool:
        yield f"[default: {option.default}]"


def rows(lines: list[tuple[str, str]]) -> Iterator[str]:
    """Yield lines in two columns, as wide as the terminal allows."""
    indent = max(len(name) for name, _ in lines) + 4
    for name, text in lines:
        yield f"  {name}".ljust(indent) + filled(text, indent)


def filled(text: str, indent: int = 0) -> str:
    """Return text in lines as wide as the terminal allows, all but the first indented."""
    from shutil import get_terminal_size
    from textwrap import wrap

    width = max(min(get_terminal_size().columns, WIDEST) - indent, NARROWEST)
    return ("\n" + " " * indent).join(wrap(text, width))
