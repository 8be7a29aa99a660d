"""`infraspectre completion`: completion of commands and options in the shell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from infraspectre.cli.grammar import HELP, Command, Group, Option, options_of, walk
from infraspectre.cli.options import DEFAULT, Common
from infraspectre.cli.output import print_json

Shell = Literal["bash", "zsh", "fish"]


def completion(shell: Shell, /, *, common: Common = DEFAULT) -> None:
    """Print a script that completes commands and options in a shell.

    Parameters
    ----------
    shell
        Write for this shell; for bash, `source <(infraspectre completion bash)` turns it on.
    """
    script = SCRIPTS[shell]()
    if common.json:
        print_json({"shell": shell, "script": script})
    elif not common.quiet:
        print(script)


BASH = """\
_infraspectre() {{
    local at=infraspectre word words
    for word in "${{COMP_WORDS[@]:1:$((COMP_CWORD - 1))}}"; do
        case "$at $word" in
            {paths}) at="$at $word" ;;
        esac
    done
    case "$at ${{COMP_WORDS[$((COMP_CWORD - 1))]}}" in
{choices}
        *) case "$at" in
{words}
        esac ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -o default -F _infraspectre infraspectre"""
"""Follows the words that name a command, then offers the choices of the option before, else what may come next."""


def bash() -> str:
    """Return the script for bash; where it offers nothing, the shell completes names of files."""
    paths, words, choices = [], [], []
    for path, command in tree():
        paths.append(f'"{path}"')
        words.append(f'            "{path}") words="{" ".join(nexts(command))}" ;;')
        choices += [
            f'        "{path} {flag}") words="{" ".join(option.choices)}" ;;'
            for option in options(command)
            for flag in option.flags
            if option.metavar
        ]
    return BASH.format(paths="|".join(paths[1:]), words="\n".join(words), choices="\n".join(choices))


def zsh() -> str:
    """Return the script for zsh, which understands completions of bash."""
    return f"autoload -U +X bashcompinit && bashcompinit\n{bash()}"


def fish() -> str:
    """Return the script for fish."""
    return "\n".join(line for path, command in tree() for line in fish_lines(path.split()[1:], command))


def fish_lines(names: list[str], command: Command) -> Iterator[str]:
    """Yield what fish offers after the names of a command."""
    from infraspectre.cli.help import summary

    seen = [f"__fish_seen_subcommand_from {name}" for name in names]
    if isinstance(command, Group):
        seen.append(f"not __fish_seen_subcommand_from {' '.join(command.commands)}")
    start = f"complete -c infraspectre -n '{'; and '.join(seen)}'"
    if isinstance(command, Group):
        for name, below in command.commands.items():
            yield f"{start} -f -a {name} -d {quoted(summary(below))}"
    for option in options(command):
        flags = " ".join(f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in option.flags)
        takes = f" -x -a '{' '.join(option.choices)}'" if option.choices else " -r" * bool(flags and option.metavar)
        yield f"{start} {flags}{takes} -d {quoted(option.text)}"


def quoted(text: str) -> str:
    """Return a text as fish reads it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def tree() -> Iterator[tuple[str, Command]]:
    """Yield every command with its path."""
    from infraspectre.cli import NAME, ROOT

    return walk(NAME, ROOT)


def options(command: Command) -> list[Option]:
    """Return the options of a command; a group has none."""
    return [] if isinstance(command, Group) else options_of(command)


def nexts(command: Command) -> list[str]:
    """Return the words that may come after the name of a command."""
    if isinstance(command, Group):
        return [*command.commands, *HELP]
    found = options_of(command)
    given = [choice for option in found if not option.flags for choice in option.choices]
    return [*given, *(flag for option in found for flag in option.flags), *HELP]


SCRIPTS = {"bash": bash, "zsh": zsh, "fish": fish}
