"""`infraspectre playbooks`: check playbooks, and turn them into CACAO 2.0 and back."""

from __future__ import annotations

from pathlib import Path

from infraspectre.cli.grammar import Function, Group
from infraspectre.cli.options import DEFAULT, Common
from infraspectre.cli.output import note, print_json, print_table
from infraspectre.errors import EXIT_BAD_INPUT, EXIT_DONE, InputError


def list_(*, common: Common = DEFAULT) -> None:
    """List the playbooks that come with the package."""
    from infraspectre.reflex.playbooks import builtin_playbooks

    found = builtin_playbooks()
    if common.json:
        print_json(found)
    elif not common.quiet:
        print_table(
            ["playbook", "answers", "steps"], [[p.name, ", ".join(p.families), str(len(p.steps))] for p in found]
        )


def check(paths: list[Path], /, *, common: Common = DEFAULT) -> int:
    """Check playbooks and say everything that is wrong with them, each fault with file and line.

    Parameters
    ----------
    paths
        Playbooks, our own in YAML or CACAO 2.0 in JSON, or folders of them.
    """
    from infraspectre.reflex.playbooks import read_all

    shelf = read_all(paths)
    if common.json:
        places = [{"path": f.path, "line": f.line, "field": f.field, "reason": f.problem} for f in shelf.faults]
        print_json({"playbooks": [each.name for each in shelf.playbooks], "refused": places})
    else:
        complain(shelf.faults)
        if not common.quiet:
            note(f"{len(shelf.playbooks)} playbooks can be used, {len(shelf.faults)} faults")
    return EXIT_BAD_INPUT if shelf.faults else EXIT_DONE


def export(path: Path, /, *, out: Path, common: Common = DEFAULT) -> int:
    """Write a playbook of ours as CACAO 2.0.

    Parameters
    ----------
    path
        Playbook in YAML.
    out
        Write the CACAO object to this file.
    """
    from infraspectre import app

    return finish(app.export_playbook(path, out), out, common)


def import_(path: Path, /, *, out: Path, family: list[str] | None = None, common: Common = DEFAULT) -> int:
    """Read a CACAO 2.0 playbook, check its structure, and write it as a playbook of ours.

    Parameters
    ----------
    path
        CACAO playbook in JSON.
    out
        Write the playbook to this file, in YAML.
    family
        Let it answer this family of findings, such as beacon; may be repeated. One of ours says it itself.
    """
    from infraspectre import app

    return finish(app.import_playbook(path, out, family), out, common)


def finish(faults: list[InputError], out: Path, common: Common) -> int:
    """Say what was written, or everything that kept it from being written."""
    if faults:
        complain(faults)
        return EXIT_BAD_INPUT
    if common.json:
        print_json({"out": out})
    elif not common.quiet:
        note(f"written to {out}")
    return EXIT_DONE


def complain(faults: list[InputError]) -> None:
    """Say on stderr what is wrong."""
    from infraspectre.security import printable

    for fault in faults:
        note(f"error: {printable(str(fault))}")


COMMANDS: dict[str, Function] = {"list": list_, "check": check, "export": export, "import": import_}
playbooks = Group("List and check playbooks, and turn them into CACAO 2.0 and back.", COMMANDS)
