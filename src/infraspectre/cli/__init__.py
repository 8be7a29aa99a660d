"""The command line: one file per command; nothing heavy is imported before a command needs it."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Sequence

from infraspectre import __version__
from infraspectre.cli.grammar import HELP, Group, call, find
from infraspectre.errors import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, SIGNALLED, InfraSpectreError
from infraspectre.security import printable

COMMANDS = {
    "serve": "Run the platform: API, event log, detection and store, until it is told to stop.",
    "analyze": "Analyze captures or logs: flows, detections, incidents and a report.",
    "flows": "Write flow records and features of captures or logs to a file.",
    "respond": "Show how an incident is answered, and carry out what is approved.",
    "playbooks": "List and check playbooks, and turn them into CACAO 2.0 and back.",
    "alerts": "Match rules in Suricata's language on captures and write the alerts as EVE JSON.",
    "report": "Write what an analysis found as HTML or PDF, as a layer for the ATT&CK Navigator, and its packets.",
    "rules": "Check, list, choose, profile, test and update detection rules.",
    "intel": "Check what sources of threat intelligence hold, and look up values in them.",
    "train": "Train a model on a table with labels and write it into a folder.",
    "predict": "Judge each row of a table and write row, label, score, probability, low and high as CSV.",
    "evaluate": "Judge a table with labels and write a report card: report.json and report.html.",
    "models": "List, show, verify, sign, build and register models, and make keys for that.",
    "graph": "Build the knowledge graph of techniques, actors and incidents, and ask it in Cypher.",
    "log": "Show, verify, export and repair the event log, and change the key that signs it.",
    "store": "Verify, repair and copy the store of records, and erase from it who is named.",
    "backup": "Copy all that a platform keeps into one file, while it runs.",
    "restore": "Make the data folder of a platform out of a backup, once all of it is verified.",
    "watch": "Show what happens on a platform, as it happens, until it is told to stop.",
    "integrations": "List the systems and people that a platform tells what happens, and send them a test.",
    "users": "List, add and disable the users of the platform, and change their passwords.",
    "simulate": "Make a labelled capture of a benign or attack behaviour.",
    "features": "List the columns of flow records with unit, definition and source.",
    "doctor": "Check whether the platform can run here: settings, disk, clock, ports, certificates and limits.",
    "config": "Make, check and show settings.",
    "sensor": "Capture on an interface, or replay a capture, and send the flows to a server.",
    "certificates": "Issue, rotate, revoke and check the certificates of the server and its sensors.",
    "completion": "Print a script that completes commands and options in a shell.",
    "version": "Print the version.",
}

NAME = "infraspectre"
ROOT = Group("Point it at network traffic and it gives back explained incidents.", COMMANDS)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status; being told to end removes unfinished files, too."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: sys.exit(SIGNALLED + received))
    status = run(sys.argv[1:] if arguments is None else arguments)
    gc.freeze()  # the system takes back all memory at once: nothing has to be searched for cycles before
    sys.exit(status)


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit status; errors become one message on stderr."""
    try:
        status = obey(arguments)
        if sys.stdout:  # none where it was closed at the start
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
    return EXIT_DONE if status is None else status


def obey(words: Sequence[str]) -> int | None:
    """Do what words say: call the command that they name, or print its help page or the version."""
    if words and words[0] == "--version":
        print(__version__)
        return None
    path, command, rest = find(NAME, ROOT, words)
    if not isinstance(command, Group) and not any(word in HELP for word in rest):
        return call(command, rest)
    from infraspectre.cli.help import page

    print(page(path, command))
    return None


def explain(error: Exception) -> int:
    """Say on stderr what went wrong and what to do; return the exit status."""
    match error:
        case InfraSpectreError():
            for each in (error, *error.others):
                complain(each.message, each.exit_status)
            return error.exit_status
        case OSError():
            name = f"{error.filename}: " if error.filename else ""
            return complain(f"{name}{error.strerror or error}", EXIT_FAILED)
        case _:
            return complain(f"internal error: {error!r}; run again with --debug for details", EXIT_FAILED)


def complain(message: str, status: int) -> int:
    """Print an error message on stderr, safe to show whatever names are in it; return the exit status."""
    print(f"error: {printable(message)}", file=sys.stderr)
    return status
