"""The command line: one file per command; nothing heavy is imported before a command needs it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from cyclopts import App
from cyclopts.exceptions import CycloptsError

from infraspectre import __version__
from infraspectre.errors import EXIT_BAD_INPUT, EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, InfraSpectreError
from infraspectre.security import printable

COMMANDS = {
    "analyze": "Analyze captures or logs: flows, detections, incidents and a report.",
    "flows": "Write flow records and features of captures or logs to a file.",
    "simulate": "Make a labelled capture of a benign or attack behaviour.",
    "features": "List the columns of flow records with unit, definition and source.",
    "config": "Show the settings in force.",
    "completion": "Print a script that completes commands and options in a shell.",
    "version": "Print the version.",
}

app = App(
    name="infraspectre",
    help="Point it at network traffic and it gives back explained incidents.",
    version=__version__,
    help_epilogue="Exit status: 0 done; 1 failed; 2 wrong usage or bad input; 3 done with losses that are reported.",
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
for _name, _help in COMMANDS.items():
    app.command(f"infraspectre.cli.{_name}:{_name}", name=_name, help=_help)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit status; errors become one message on stderr."""
    try:
        status = app(arguments, exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output has seen enough; what is still buffered must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except KeyboardInterrupt:
        return complain("interrupted; unfinished files were removed", EXIT_INTERRUPTED)
    except Exception as error:  # the outermost edge: a message instead of a traceback
        if "--debug" in arguments:
            raise
        return explain(error)
    return status if isinstance(status, int) else EXIT_DONE


def explain(error: Exception) -> int:
    """Say on stderr what went wrong and what to do; return the exit status."""
    match error:
        case InfraSpectreError():
            return complain(str(error), error.exit_status)
        case CycloptsError():
            return complain(f"{' '.join(str(error).split())} See 'infraspectre --help'.", EXIT_BAD_INPUT)
        case OSError():
            name = f"{error.filename}: " if error.filename else ""
            return complain(f"{name}{error.strerror or error}", EXIT_FAILED)
        case _:
            return complain(f"internal error: {error!r}; run again with --debug for details", EXIT_FAILED)


def complain(message: str, status: int) -> int:
    """Print an error message on stderr, safe to show whatever names are in it; return the exit status."""
    print(f"error: {printable(message)}", file=sys.stderr)
    return status
